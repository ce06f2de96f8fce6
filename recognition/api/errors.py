"""Every error of the REST API has the same body: {code, message, field}."""

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
# Seconds, for errors that may be gone with the next request.
RETRY_AFTER = 5


class InvalidQueryError(GraftError):
    """A query parameter is unknown or invalid."""

    code = 'invalid_query'
    status = 400


def handle_exception(error: Exception, context: dict[str, object]) -> Response | None:
    """The response to an expected error; None for any other, which is a bug (500)."""
    response = _respond(error)
    if response is not None:
        set_rollback()
    return response


def handle_server_error(request: HttpRequest) -> HttpResponseBase:
    """Status 500, as JSON below /api/ and as a page elsewhere. The cause is only in the log."""
    if request.path.startswith('/api/'):
        return JsonResponse(
            {
                'code': 'internal',
                'message': 'Internal server error. The server log has the cause.',
                'field': '',
            },
            status=500,
        )
    return server_error(request)


def _respond(error: Exception) -> Response | None:
    if isinstance(error, GraftError):
        headers = {'Retry-After': str(RETRY_AFTER)} if error.retryable else None
        return _error_response(error.status, error.code, error.message, error.field, headers)
    if isinstance(error, exceptions.ValidationError):
        field, message = get_first_error(error.detail)
        return _error_response(422, 'invalid', message, field)
    if isinstance(error, exceptions.APIException):
        return _error_response(
            error.status_code, CODES.get(type(error), 'error'), str(error.detail), headers=_headers(error)
        )
    if isinstance(error, Http404):
        return _error_response(404, 'not_found', 'This URL does not exist.')
    if isinstance(error, PermissionDenied):
        return _error_response(403, 'not_allowed', 'You are not allowed to do this.')
    if isinstance(error, RequestDataTooBig):
        return _error_response(413, 'too_large', 'The form fields of this request are too large.')
    if isinstance(error, SuspiciousOperation | ValidationError | UnreadablePostError):
        return _error_response(
            400,
            'malformed',
            'The request cannot be read: it has too many fields or files, or it ended too early.',
        )
    return None


def _error_response(
    status: int, code: str, message: str, field: str = '', headers: dict[str, str] | None = None
) -> Response:
    # Messages and field names repeat parts of the request: a lone surrogate in it cannot be encoded as UTF-8.
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


def get_first_error(detail: Any, path: str = '') -> tuple[str, str]:
    """The first message of a nested ValidationError, and the path of its field: `images[3].label`."""
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        if name == 'non_field_errors':
            return get_first_error(inner, path)
        step = f'[{name}]' if isinstance(name, int) else f'.{name}' if path else str(name)
        return get_first_error(inner, path + step)
    if isinstance(detail, list):
        if all(isinstance(item, dict) for item in detail):
            index = next((index for index, item in enumerate(detail) if item), 0)
            return get_first_error(detail[index], f'{path}[{index}]')
        return get_first_error(detail[0], path)
    return path, f'{path}: {detail}' if path else str(detail)
