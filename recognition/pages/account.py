"""API keys, the zoo as its readers see it, and the page that explains."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from recognition.errors import InvalidInputError
from recognition.models import ApiKey
from recognition.pages.decorators import action, page, person
from recognition.pages.forms import KeyForm
from recognition.serving import api_keys
from recognition.zoo.catalog import list_usable


@page
def show_keys(request: HttpRequest) -> HttpResponse:
    return _keys_page(request, KeyForm())


@action
def issue_key(request: HttpRequest) -> HttpResponse:
    """The new key stands in this one answer; it is kept nowhere, so it cannot be shown again."""
    form = KeyForm(request.POST)
    if not form.is_valid():
        raise InvalidInputError('Say what the key is for (up to 80 characters).')
    key, plain = api_keys.issue(person(request), form.cleaned_data['name'], form.cleaned_data['scope'])
    response = _keys_page(request, KeyForm(), {'new_key': key, 'plain': plain})
    response['Cache-Control'] = 'no-store'
    return response


def _keys_page(request: HttpRequest, form: KeyForm, extra: dict[str, object] | None = None) -> HttpResponse:
    own = ApiKey.objects.filter(user_id=person(request).pk)
    return render(request, 'keys.html', {'keys': own, 'form': form, **(extra or {})})


@action
def revoke_key(request: HttpRequest, key_id: int) -> HttpResponse:
    key = api_keys.get_own_key(person(request), key_id)
    api_keys.revoke(key)
    messages.success(request, f'The key “{key.name}” opens nothing any more.')
    return redirect('keys')


@page
def zoo(request: HttpRequest) -> HttpResponse:
    return render(request, 'zoo.html', {'sources': list_usable(person(request))})


@page
def help_page(request: HttpRequest) -> HttpResponse:
    return render(request, 'help.html')
