"""Decorators of the page views: who must be signed in, which methods are allowed, how errors are shown."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from recognition.errors import GraftError, NotAllowedError, NotFoundError

Rest = ParamSpec('Rest')
View = Callable[Concatenate[HttpRequest, Rest], HttpResponse]


def page(view: View[Rest]) -> View[Rest]:
    """A page to read (GET). What the user may not see answers 404, as if it did not exist."""

    @functools.wraps(view)
    def respond(request: HttpRequest, /, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except GraftError as error:
            raise _to_http_error(error) or error from error

    return require_safe(login_required(respond))


def action(view: View[Rest]) -> View[Rest]:
    """The target of a form (POST). An error is shown as a message on the page that the form stands on."""

    @functools.wraps(view)
    def respond(request: HttpRequest, /, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except GraftError as error:
            if (http_error := _to_http_error(error)) is not None:
                raise http_error from error
            messages.error(request, error.message)
            return redirect(get_referring_page(request))

    return require_POST(login_required(respond))


def get_referring_page(request: HttpRequest) -> str:
    """The page of this site that the form stands on; '/' when the referer is missing or of another site."""
    referer = request.headers.get('referer', '')
    if url_has_allowed_host_and_scheme(
        referer, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return referer
    return '/'


def require_user(request: HttpRequest) -> AbstractBaseUser:
    """The signed-in user. The decorators above let nobody else through."""
    if not isinstance(request.user, AbstractBaseUser):
        raise PermissionDenied
    return request.user


def _to_http_error(error: GraftError) -> Exception | None:
    """Django's exception for what is not there or not allowed; None when the error is about a field of the
    form."""
    if isinstance(error, NotFoundError) and not error.field:
        return Http404(error.message)
    if isinstance(error, NotAllowedError):
        return PermissionDenied(error.message)
    return None
