"""Every refusal of the REST API in one shape: {code, message, field}."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation, ValidationError
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse, UnreadablePostError
from django.views.defaults import server_error
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from recognition.errors import GraftError
from recognition.naming import make_printable

CODES: dict[type[exceptions.APIException], str] = {
    exceptions.ParseError: 'malformed',
    exceptions.NotAuthenticated: 'unauthenticated',
    exceptions.AuthenticationFailed: 'unauthenticated',
    exceptions.PermissionDenied: 'not_allowed',
    exceptions.NotFound: 'not_found',
    exceptions.MethodNotAllowed: 'method_not_allowed',
    exceptions.NotAcceptable: 'not_acceptable',
    exceptions.UnsupportedMediaType: 'unsupported_media_type',
    exceptions.Throttled: 'throttled',
}
RETRY_AFTER = 5  # seconds, for refusals that may be gone the next time


class InvalidQueryError(GraftError):
    """A parameter of the address is unknown or makes no sense."""

    code = 'bad_query'
    status = 400


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an expected refusal; None for anything else, which is a fault of ours (500)."""
    response = _answer(error)
    if response is not None:
        set_rollback()
    return response


def crash(request: HttpRequest) -> HttpResponseBase:
    """A fault of ours, in the shape that the asker understands; what happened is in the log only."""
    if request.path.startswith('/api/'):
        return JsonResponse(
            {'code': 'internal', 'message': 'Something went wrong on our side.', 'field': ''}, status=500
        )
    return server_error(request)


def _answer(error: Exception) -> Response | None:
    if isinstance(error, GraftError):
        headers = {'Retry-After': str(RETRY_AFTER)} if error.retryable else None
        return _refusal(error.status, error.code, error.message, error.field, headers)
    if isinstance(error, exceptions.ValidationError):
        field, message = first_complaint(error.detail)
        return _refusal(422, 'invalid', message, field)
    if isinstance(error, exceptions.APIException):
        return _refusal(
            error.status_code, CODES.get(type(error), 'error'), str(error.detail), headers=_headers(error)
        )
    if isinstance(error, Http404):
        return _refusal(404, 'not_found', 'There is nothing here.')
    if isinstance(error, PermissionDenied):
        return _refusal(403, 'not_allowed', 'You may not do this.')
    if isinstance(error, RequestDataTooBig):
        return _refusal(413, 'too_large', 'The fields of this request are too large.')
    if isinstance(error, SuspiciousOperation | ValidationError | UnreadablePostError):
        return _refusal(
            400, 'malformed', 'This request cannot be read: too many fields or files, or it ended too early.'
        )
    return None


def _refusal(
    status: int, code: str, message: str, field: str = '', headers: dict[str, str] | None = None
) -> Response:
    # What was asked comes back in messages and names of fields: a lone surrogate in it could not be written as UTF-8.
    return Response(
        {
            'code': code,
            'message': make_printable(message, 1000),
            'field': field and make_printable(field, 200),
        },
        status,
        headers=headers,
    )


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, 'auth_header', None):
        headers['WWW-Authenticate'] = challenge
    if (wait := getattr(error, 'wait', None)) is not None:
        headers['Retry-After'] = str(max(1, int(wait)))
    return headers


def first_complaint(detail: Any, path: str = '') -> tuple[str, str]:
    """The first complaint of a nested ValidationError and the path of its field: `images[3].label`."""
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        if name == 'non_field_errors':
            return first_complaint(inner, path)
        step = f'[{name}]' if isinstance(name, int) else f'.{name}' if path else str(name)
        return first_complaint(inner, path + step)
    if isinstance(detail, list):
        if all(isinstance(item, dict) for item in detail):
            place = next((index for index, item in enumerate(detail) if item), 0)
            return first_complaint(detail[place], f'{path}[{place}]')
        return first_complaint(detail[0], path)
    return path, f'{path}: {detail}' if path else str(detail)
