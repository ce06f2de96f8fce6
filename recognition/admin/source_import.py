"""Adding a source: a form sends its file, a job examines it, a page follows; what is refused can be corrected there."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recognition.admin import formatting
from recognition.admin.forms import KeptSourceForm, SourceForm
from recognition.admin.read_only import ReadOnlyAdmin, get_user
from recognition.errors import GraftError, NotFoundError
from recognition.jobs import queue
from recognition.models import Job
from recognition.models.job import ENDED, State
from recognition.zoo import import_jobs

FIELDSETS: list[Any] = [
    ('The file', {'fields': ('file', 'architecture', 'side')}),
    ('What it is called', {'fields': ('name', 'title', 'licence')}),
    ('What it was trained on', {'fields': ('dataset', 'domain', 'images', 'classes_file', 'classes')}),
    ('Use', {'fields': ('approved',)}),
]


class ImportPages(ReadOnlyAdmin):
    """Addresses beside the list of sources: add, and of each addition its page, progress, stop, discard."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def get_urls(self) -> list[URLPattern]:
        def own(route: str, view: Any, name: str) -> URLPattern:
            there = f'additions/<uuid:job_id>/{route}'
            return path(there, self.admin_site.admin_view(view), name=f'recognition_sourcemodel_{name}')

        return [
            own('', require_http_methods(['GET', 'HEAD', 'POST'])(self.addition), 'addition'),
            own('progress/', require_safe(self.addition_progress), 'addition_progress'),
            own('stop/', require_POST(self.stop_addition), 'stop_addition'),
            own('discard/', require_POST(self.discard_addition), 'discard_addition'),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        jobs = import_jobs.list_imports() if self.has_add_permission(request) else []
        shown = [{'job': job, 'progress': import_jobs.get_progress(job)} for job in jobs]
        return super().changelist_view(request, {'additions': shown, **(extra_context or {})})

    def add_view(
        self, request: HttpRequest, form_url: str = '', extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = SourceForm(request.POST or None, request.FILES or None)
        if request.method == 'POST' and form.is_valid():
            try:
                return _to(
                    import_jobs.start_import(form.cleaned_data['file'], form.said(), get_user(request))
                )
            except GraftError as error:
                form.blame(error.field, error.message)
        return self.form_page(request, form, 'add', {'title': 'Add a source model'})

    def addition(self, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
        """What is being done; where it ended without a source, the form again, with what was said and why it was refused."""
        job = self.asked_for(request, job_id)
        if job.state not in ENDED:
            if request.method == 'POST':
                self.message_user(
                    request,
                    'It is being examined again already: what you said now was not taken.',
                    messages.ERROR,
                )
                return _to(job)
            return self.under_way(request, job)
        if job.state == State.SUCCEEDED:
            return self.to_source(request, job)
        return self.corrected(request, job) if request.method == 'POST' else self.refused(request, job)

    def asked_for(self, request: HttpRequest, job_id: uuid.UUID) -> Job:
        if not self.has_add_permission(request):
            raise PermissionDenied
        try:
            return import_jobs.find_import(job_id)
        except NotFoundError as error:
            raise Http404(error.message) from error

    def under_way(self, request: HttpRequest, job: Job) -> HttpResponse:
        page = 'admin/recognition/sourcemodel/addition.html'
        return TemplateResponse(
            request, page, self.about(request, job) | {'progress': import_jobs.get_progress(job)}
        )

    def to_source(self, request: HttpRequest, job: Job) -> HttpResponse:
        row = import_jobs.find_imported_source(job)
        if row is None:
            self.message_user(request, f'“{job.spec["name"]}” has left the zoo since.', messages.WARNING)
            return redirect('admin:recognition_sourcemodel_changelist')
        self.message_user(request, f'“{row.name}” is in the zoo.', messages.SUCCESS)
        return redirect('admin:recognition_sourcemodel_change', row.pk)

    def refused(self, request: HttpRequest, job: Job) -> HttpResponse:
        form = KeptSourceForm.of(job)
        if job.state == State.FAILED:
            form.blame(job.result.get('field', ''), job.error_message)
        return self.correction_page(request, job, form, 200)

    def corrected(self, request: HttpRequest, job: Job) -> HttpResponse:
        form = KeptSourceForm(request.POST, request.FILES)
        form.keep(job)
        if form.is_valid():
            try:
                return _to(_begun_again(job, form, request))
            except GraftError as error:
                form.blame(error.field, error.message)
        return self.correction_page(request, job, form, 422)

    def correction_page(self, request: HttpRequest, job: Job, form: SourceForm, status: int) -> HttpResponse:
        until = None if job.finished_at is None else job.finished_at + import_jobs.KEPT
        shown = {
            'until': until,
            'kept': import_jobs.get_weights_path(job).exists(),
            'answered': request.method == 'POST',
        }
        return self.form_page(request, form, 'correct', self.about(request, job) | shown, status)

    def addition_progress(self, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
        return JsonResponse(import_jobs.get_progress(self.asked_for(request, job_id)))

    def stop_addition(self, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
        job = self.asked_for(request, job_id)
        self.one(request, lambda: queue.cancel(job, get_user(request)))
        return _to(job)

    def discard_addition(self, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
        job = self.asked_for(request, job_id)
        gone = self.one(
            request,
            lambda: import_jobs.discard_import(job, get_user(request)),
            f'“{job.spec["shown"]}” is discarded.',
        )
        return redirect('admin:recognition_sourcemodel_changelist') if gone else _to(job)

    def about(self, request: HttpRequest, job: Job) -> dict[str, Any]:
        shown = {'title': f'Adding {job.spec["name"]}', 'job': job, 'size': formatting.size(job.spec['size'])}
        return {**self.admin_site.each_context(request), 'opts': self.opts, **shown}

    def form_page(
        self, request: HttpRequest, form: SourceForm, template: str, shown: dict[str, Any], status: int = 0
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            'opts': self.opts,
            'adminform': helpers.AdminForm(cast(Any, form), FIELDSETS, {}, model_admin=self),
            'form': form,
            **shown,
        }
        status = status or (422 if form.errors else 200)
        return TemplateResponse(
            request, f'admin/recognition/sourcemodel/{template}.html', context, status=status
        )


def _begun_again(job: Job, form: SourceForm, request: HttpRequest) -> Job:
    """The addition to follow: another one, when another file was sent."""
    if form.cleaned_data['file']:
        return import_jobs.replace_file(job, form.cleaned_data['file'], form.said(), get_user(request))
    import_jobs.retry_import(job, form.said(), get_user(request))
    return job


def _to(job: Job) -> HttpResponseRedirect:
    return redirect('admin:recognition_sourcemodel_addition', job.pk)
