"""The page that explains how Graft works."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from recognition.pages.decorators import page


@page
def show_help(request: HttpRequest) -> HttpResponse:
    return render(request, 'help.html')
