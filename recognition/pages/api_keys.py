"""The page of a user's API keys."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from recognition.errors import InvalidInputError
from recognition.models import ApiKey
from recognition.pages.decorators import action, page, require_user
from recognition.pages.forms import KeyForm
from recognition.serving import api_keys


@page
def list_keys(request: HttpRequest) -> HttpResponse:
    return _render_keys(request, KeyForm())


@action
def create_key(request: HttpRequest) -> HttpResponse:
    """The only answer that shows the new key: it is stored as a hash, so it cannot be shown again."""
    form = KeyForm(request.POST)
    if not form.is_valid():
        raise InvalidInputError('Enter what the key is for, in at most 80 characters.')
    key, plain = api_keys.issue(require_user(request), form.cleaned_data['name'], form.cleaned_data['scope'])
    response = _render_keys(request, KeyForm(), {'new_key': key, 'plain': plain})
    response['Cache-Control'] = 'no-store'
    return response


def _render_keys(request: HttpRequest, form: KeyForm, extra: dict[str, object] | None = None) -> HttpResponse:
    own = ApiKey.objects.filter(user_id=require_user(request).pk)
    return render(request, 'keys.html', {'keys': own, 'form': form, **(extra or {})})


@action
def revoke_key(request: HttpRequest, key_id: int) -> HttpResponse:
    key = api_keys.get_own_key(require_user(request), key_id)
    api_keys.revoke(key)
    messages.success(request, f'API key “{key.name}” was revoked.')
    return redirect('keys')
