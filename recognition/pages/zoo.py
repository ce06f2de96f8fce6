"""The list of source models that a user may start from."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from recognition.pages.decorators import page, require_user
from recognition.zoo.catalog import list_usable


@page
def list_sources(request: HttpRequest) -> HttpResponse:
    return render(request, 'zoo.html', {'sources': list_usable(require_user(request))})
