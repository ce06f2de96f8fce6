"""How the pages answer: who must be signed in, and what becomes of a refusal."""

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
    """A page to look at: what a stranger asks for does not exist."""

    @functools.wraps(view)
    def answer(request: HttpRequest, /, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except GraftError as error:
            raise _as_http(error) or error from error

    return require_safe(login_required(answer))


def action(view: View[Rest]) -> View[Rest]:
    """A form's target: a refusal is told on the page it came from."""

    @functools.wraps(view)
    def answer(request: HttpRequest, /, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except GraftError as error:
            if (refusal := _as_http(error)) is not None:
                raise refusal from error
            messages.error(request, error.message)
            return redirect(came_from(request))

    return require_POST(login_required(answer))


def came_from(request: HttpRequest) -> str:
    """The page of ours that the form stood on."""
    referer = request.headers.get('referer', '')
    if url_has_allowed_host_and_scheme(
        referer, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return referer
    return '/'


def person(request: HttpRequest) -> AbstractBaseUser:
    """The signed-in person (the decorators above let nobody else through)."""
    if not isinstance(request.user, AbstractBaseUser):
        raise PermissionDenied
    return request.user


def _as_http(error: GraftError) -> Exception | None:
    """The framework's exception for what is not there or not allowed; None when the error speaks about a field."""
    if isinstance(error, NotFoundError) and not error.field:
        return Http404(error.message)
    if isinstance(error, NotAllowedError):
        return PermissionDenied(error.message)
    return None
