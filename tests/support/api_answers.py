"""The shape of refusals over REST."""

from __future__ import annotations


def is_refusal(answer, status: int, code: str, field: str | None = None) -> bool:
    """Whether the answer has the one shape of every refusal, this status, code and field."""
    body = answer.json()
    assert (answer.status_code, body['code']) == (status, code), body
    assert set(body) >= {'code', 'message', 'field'} and body['message']
    assert field is None or body['field'] == field, body
    return True
