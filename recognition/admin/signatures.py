"""The part of a source's page that computes its signature: its images are sent, a job runs, the page shows
its progress.
"""

from __future__ import annotations

import dataclasses
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


class FolderInput(forms.ClearableFileInput):
    """A browser sends every file of the chosen folder."""

    allow_multiple_selected = True


class ImagesForm(forms.Form):
    archive = forms.FileField(required=False, label='A zip', widget=forms.FileInput(attrs={'accept': '.zip'}))
    folder = forms.FileField(
        required=False,
        label='or a folder',
        widget=FolderInput(attrs={'webkitdirectory': '', 'multiple': True}),
    )


class SignaturePages(ReadOnlyAdmin):
    """Addresses under a source: compute its signature (from sent images, from the stored ones), progress,
    cancel.
    """

    def get_urls(self) -> list[URLPattern]:
        def source_path(route: str, view: Any, name: str) -> URLPattern:
            return path(
                f'<int:pk>/{route}/', self.admin_site.admin_view(view), name=f'recognition_sourcemodel_{name}'
            )

        return [
            source_path('compute-signature', require_POST(self.compute_signature), 'compute_signature'),
            source_path('recompute-signature', require_POST(self.recompute_signature), 'recompute_signature'),
            source_path('signature-progress', require_safe(self.signature_progress), 'signature_progress'),
            source_path('cancel-signature', require_POST(self.cancel_signature), 'cancel_signature'),
            *super().get_urls(),
        ]

    def get_managed_row(self, request: HttpRequest, pk: int) -> SourceModel:
        """The row, for a user who may change it."""
        if not self.has_manage_permission(request):
            raise PermissionDenied
        return self.get_visible_row(request, pk)

    def get_visible_row(self, request: HttpRequest, pk: int) -> SourceModel:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = SourceModel.objects.filter(pk=pk).first()
        if row is None:
            raise Http404
        return row

    def compute_signature(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self.get_managed_row(request, pk)
        self.run_action(
            request,
            lambda: signature_jobs.start_from_files(row, _read_files(request), get_user(request)),
            f'The signature of “{row.name}” is being computed.',
        )
        return redirect('admin:recognition_sourcemodel_change', pk)

    def recompute_signature(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self.get_managed_row(request, pk)
        self.run_action(
            request,
            lambda: signature_jobs.start(row, get_user(request)),
            f'The signature of “{row.name}” is being computed.',
        )
        return redirect('admin:recognition_sourcemodel_change', pk)

    def signature_progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        progress = signature_jobs.get_progress(self.get_visible_row(request, pk))
        return JsonResponse({} if progress is None else dataclasses.asdict(progress))

    def cancel_signature(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self.get_managed_row(request, pk)
        job = signature_jobs.find_running(row)
        if job is not None:
            self.run_action(
                request,
                lambda: queue.cancel(job, get_user(request)),
                'The computation of the signature is being cancelled.',
            )
        return redirect('admin:recognition_sourcemodel_change', pk)

    def get_signature_panel(self, row: SourceModel, reference: str) -> dict[str, object]:
        """What the page shows of it. reference: the digest of the reference model."""
        return {
            'progress': signature_jobs.get_progress(row),
            'exists': reference in row.signatures,
            'others': len(set(row.signatures) - {reference}),
            'has_images': signature_jobs.has_images(row),
            'form': ImagesForm(),
        }

    @admin.action(description='Compute signatures from the stored images', permissions=['manage'])
    def compute_signatures(self, request: HttpRequest, rows: Any) -> None:
        self.run_for_each(
            request,
            rows,
            lambda row: signature_jobs.start(row, get_user(request)),
            'queued: a worker will compute the signature',
        )


def _read_files(request: HttpRequest) -> Iterator[IncomingFile | UploadResult]:
    """The zip, or the files of the folder. InvalidInputError when neither was sent."""
    files = [*request.FILES.getlist('archive'), *request.FILES.getlist('folder')]
    if not files:
        raise InvalidInputError('Choose a zip or a folder of its training images.', field='archive')
    return archives.read_files([(file.name or '', file) for file in files])
