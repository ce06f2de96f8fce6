"""Import a source model: a form sends its file, a job inspects it, a page shows its progress; a refused form
can be corrected.
"""

from __future__ import annotations

import dataclasses
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
from recognition.admin.forms import RetrySourceForm, SourceForm
from recognition.admin.read_only import ReadOnlyAdmin, get_user
from recognition.errors import GraftError, NotFoundError
from recognition.jobs import queue
from recognition.models import Job
from recognition.models.job import ENDED, State
from recognition.zoo import import_jobs

FIELDSETS: list[Any] = [
    ('File', {'fields': ('file', 'architecture', 'side')}),
    ('Name and licence', {'fields': ('name', 'title', 'licence')}),
    ('Training data', {'fields': ('dataset', 'domain', 'images', 'classes_file', 'classes')}),
    ('Approval', {'fields': ('approved',)}),
]


class ImportPages(ReadOnlyAdmin):
    """Addresses beside the list of sources: add/, and of each import its page, progress, cancel, discard."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def get_urls(self) -> list[URLPattern]:
        def import_path(route: str, view: Any, name: str) -> URLPattern:
            return path(
                f'imports/<uuid:job_id>/{route}',
                self.admin_site.admin_view(view),
                name=f'recognition_sourcemodel_{name}',
            )

        return [
            import_path('', require_http_methods(['GET', 'HEAD', 'POST'])(self.show_import), 'import'),
            import_path('progress/', require_safe(self.import_progress), 'import_progress'),
            import_path('cancel/', require_POST(self.cancel_import), 'cancel_import'),
            import_path('discard/', require_POST(self.discard_import), 'discard_import'),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        jobs = import_jobs.list_imports() if self.has_add_permission(request) else []
        imports = [{'job': job, 'progress': import_jobs.get_progress(job)} for job in jobs]
        return super().changelist_view(request, {'imports': imports, **(extra_context or {})})

    def add_view(
        self, request: HttpRequest, form_url: str = '', extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = SourceForm(request.POST or None, request.FILES or None)
        if request.method == 'POST' and form.is_valid():
            try:
                file = form.cleaned_data['file']
                return _redirect_to(import_jobs.start_import(file, form.to_metadata(), get_user(request)))
            except GraftError as error:
                form.show_error(error.field, error.message)
        return self.render_form(request, form, 'import', {'title': 'Add a source model'})

    def show_import(self, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
        """The progress of an import; the source, once there is one; else the form again, with what was sent
        and the error.
        """
        job = self.get_import(request, job_id)
        if job.state == State.SUCCEEDED:
            return self.redirect_to_source(request, job)
        if job.state in ENDED:
            return (
                self.retry(request, job) if request.method == 'POST' else self.show_retry_form(request, job)
            )
        if request.method == 'POST':
            self.message_user(
                request, 'The file is being checked again already; this form was not used.', messages.ERROR
            )
            return _redirect_to(job)
        context = self.get_import_context(request, job) | {'progress': import_jobs.get_progress(job)}
        return TemplateResponse(request, 'admin/recognition/sourcemodel/import_progress.html', context)

    def get_import(self, request: HttpRequest, job_id: uuid.UUID) -> Job:
        if not self.has_add_permission(request):
            raise PermissionDenied
        try:
            return import_jobs.find_import(job_id)
        except NotFoundError as error:
            raise Http404(error.message) from error

    def redirect_to_source(self, request: HttpRequest, job: Job) -> HttpResponse:
        row = import_jobs.find_imported_source(job)
        if row is None:
            self.message_user(
                request,
                f'Source model “{import_jobs.read_spec(job).name}” was removed since.',
                messages.WARNING,
            )
            return redirect('admin:recognition_sourcemodel_changelist')
        self.message_user(request, f'Source model “{row.name}” was added to the zoo.', messages.SUCCESS)
        return redirect('admin:recognition_sourcemodel_change', row.pk)

    def show_retry_form(self, request: HttpRequest, job: Job) -> HttpResponse:
        form = RetrySourceForm.from_job(job)
        if job.state == State.FAILED:
            form.show_error(import_jobs.read_result(job).field or '', job.error_message)
        return self.render_retry(request, job, form, 200)

    def retry(self, request: HttpRequest, job: Job) -> HttpResponse:
        form = RetrySourceForm(request.POST, request.FILES)
        form.make_file_optional(job)
        if form.is_valid():
            try:
                return _redirect_to(_start_again(job, form, request))
            except GraftError as error:
                form.show_error(error.field, error.message)
        return self.render_retry(request, job, form, 422)

    def render_retry(self, request: HttpRequest, job: Job, form: SourceForm, status: int) -> HttpResponse:
        context = self.get_import_context(request, job) | {
            'until': None if job.finished_at is None else job.finished_at + import_jobs.FILE_LIFETIME,
            'file_is_stored': import_jobs.get_weights_path(job).exists(),
            'is_post': request.method == 'POST',
        }
        return self.render_form(request, form, 'import_retry', context, status)

    def import_progress(self, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
        return JsonResponse(dataclasses.asdict(import_jobs.get_progress(self.get_import(request, job_id))))

    def cancel_import(self, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
        job = self.get_import(request, job_id)
        self.run_action(request, lambda: queue.cancel(job, get_user(request)))
        return _redirect_to(job)

    def discard_import(self, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
        job = self.get_import(request, job_id)
        discarded = self.run_action(
            request,
            lambda: import_jobs.discard_import(job, get_user(request)),
            f'File “{import_jobs.read_spec(job).file_name}” was discarded.',
        )
        return redirect('admin:recognition_sourcemodel_changelist') if discarded else _redirect_to(job)

    def get_import_context(self, request: HttpRequest, job: Job) -> dict[str, object]:
        spec = import_jobs.read_spec(job)
        return {
            **self.admin_site.each_context(request),
            'opts': self.opts,
            'title': f'Import of {spec.metadata.name}',
            'job': job,
            'file_name': spec.file_name,
            'size': formatting.format_size(spec.size),
        }

    def render_form(
        self,
        request: HttpRequest,
        form: SourceForm,
        template: str,
        context: dict[str, object],
        status: int = 0,
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            'opts': self.opts,
            'adminform': helpers.AdminForm(cast(Any, form), FIELDSETS, {}, model_admin=self),
            'form': form,
            **context,
        }
        status = status or (422 if form.errors else 200)
        return TemplateResponse(
            request, f'admin/recognition/sourcemodel/{template}.html', context, status=status
        )


def _start_again(job: Job, form: SourceForm, request: HttpRequest) -> Job:
    """The job to follow: a new one when another file was sent."""
    if form.cleaned_data['file']:
        file = form.cleaned_data['file']
        return import_jobs.replace_file(job, file, form.to_metadata(), get_user(request))
    import_jobs.retry_import(job, form.to_metadata(), get_user(request))
    return job


def _redirect_to(job: Job) -> HttpResponseRedirect:
    return redirect('admin:recognition_sourcemodel_import', job.pk)
