"""The part of a source's page that signs it: its images are sent, a job looks at them, the page follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST, require_safe

from recognition.admin.read_only import ReadOnlyAdmin, get_user
from recognition.datasets import archives
from recognition.datasets.upload_results import IncomingFile, UploadResult
from recognition.errors import InvalidInputError
from recognition.jobs import queue
from recognition.models import SourceModel
from recognition.zoo import signature_jobs


class Folder(forms.ClearableFileInput):
    """A browser sends every file of the chosen folder."""

    allow_multiple_selected = True


class ImagesForm(forms.Form):
    archive = forms.FileField(required=False, label='A zip', widget=forms.FileInput(attrs={'accept': '.zip'}))
    folder = forms.FileField(
        required=False, label='… or a folder', widget=Folder(attrs={'webkitdirectory': '', 'multiple': True})
    )


class SignaturePages(ReadOnlyAdmin):
    """Addresses under a source: sign (send images, begin), sign-again (with the images kept), progress, stop."""

    def get_urls(self) -> list[URLPattern]:
        def own(route: str, view: Any, name: str) -> URLPattern:
            return path(
                f'<int:pk>/{route}/', self.admin_site.admin_view(view), name=f'recognition_sourcemodel_{name}'
            )

        return [
            own('sign', require_POST(self.sign), 'sign'),
            own('sign-again', require_POST(self.sign_again), 'sign_again'),
            own('signing', require_safe(self.progress), 'signing'),
            own('stop-signing', require_POST(self.stop), 'stop_signing'),
            *super().get_urls(),
        ]

    def kept(self, request: HttpRequest, pk: int) -> SourceModel:
        """The row, for someone who may change it."""
        if not self.has_keep_permission(request):
            raise PermissionDenied
        return self.looked_at(request, pk)

    def looked_at(self, request: HttpRequest, pk: int) -> SourceModel:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = SourceModel.objects.filter(pk=pk).first()
        if row is None:
            raise Http404
        return row

    def sign(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self.kept(request, pk)
        self.one(
            request,
            lambda: signature_jobs.start_from_files(row, _sent(request), get_user(request)),
            f'“{row.name}” is being signed.',
        )
        return redirect('admin:recognition_sourcemodel_change', pk)

    def sign_again(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self.kept(request, pk)
        self.one(
            request, lambda: signature_jobs.start(row, get_user(request)), f'“{row.name}” is being signed.'
        )
        return redirect('admin:recognition_sourcemodel_change', pk)

    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        return JsonResponse(signature_jobs.get_progress(self.looked_at(request, pk)) or {})

    def stop(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self.kept(request, pk)
        job = signature_jobs.find_running(row)
        if job is not None:
            self.one(request, lambda: queue.cancel(job, get_user(request)), 'The signing is being stopped.')
        return redirect('admin:recognition_sourcemodel_change', pk)

    def signing_panel(self, row: SourceModel, reference: str) -> dict[str, Any]:
        """What the page shows of it."""
        return {
            'progress': signature_jobs.get_progress(row),
            'signed': reference in row.signatures,
            'others': len(set(row.signatures) - {reference}),
            'again': signature_jobs.has_images(row),
            'form': ImagesForm(),
        }

    @admin.action(description='Sign again, with the images that are kept', permissions=['keep'])
    def sign_rows(self, request: HttpRequest, rows: Any) -> None:
        self.each(request, rows, lambda row: signature_jobs.start(row, get_user(request)), 'being signed')


def _sent(request: HttpRequest) -> Iterator[IncomingFile | UploadResult]:
    """The zip, or the files of the folder. InvalidInputError when neither was sent."""
    files = [*request.FILES.getlist('archive'), *request.FILES.getlist('folder')]
    if not files:
        raise InvalidInputError('Choose a zip or a folder of its images.', field='archive')
    return archives.read_files([(file.name or '', file) for file in files])
