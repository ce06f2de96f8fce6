"""The zoo as its get_user sees it: a list that tells how each source did, a form to add one, and the actions of its life."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from recognition.admin import formatting
from recognition.admin.benchmark import BenchmarkPages
from recognition.admin.read_only import get_user
from recognition.admin.signatures import SignaturePages
from recognition.admin.source_import import ImportPages
from recognition.models import SourceModel
from recognition.models.source_model import Origin, SourceModelQuerySet, SourceStatus
from recognition.zoo import catalog, track_records
from recognition.zoo.track_records import EMPTY_RECORD, TrackRecord

ACTIONS = {
    'approve': (catalog.approve, 'is approved: trainings may start from it.'),
    'retire': (catalog.retire, 'is retired: no training starts from it any more.'),
    'restore': (catalog.restore, 'is back.'),
    'remove': (catalog.remove, 'is removed; while a model’s record names it, its files are kept.'),
}
# What may be done with a source, by its standing.
OPEN_DEEDS = {
    SourceStatus.OFFERED: ('approve', 'remove'),
    SourceStatus.USABLE: ('retire', 'remove'),
    SourceStatus.RETIRED: ('restore', 'remove'),
    SourceStatus.REMOVED: ('restore',),
}


class StandingFilter(admin.SimpleListFilter):
    title = 'state'
    parameter_name = 'state'

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [(value, str(label)) for value, label in SourceStatus.choices]

    def queryset(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> QuerySet[SourceModel]:
        """What was removed is shown only when it is asked for."""
        if self.value() in SourceStatus.values:
            return cast(SourceModelQuerySet, rows).with_status(str(self.value()))
        return rows.filter(removed_at=None)


@admin.register(SourceModel)
class SourceModelAdmin(BenchmarkPages, SignaturePages, ImportPages):
    list_display = ('source', 'state', 'network', 'learned_from', 'came_from', 'signed', 'used', 'fared')
    list_filter = (StandingFilter, 'origin', 'domain', 'architecture', 'licence')
    list_select_related = ('approved_by', 'project')
    search_fields = ('name', 'title', 'architecture', 'dataset', 'domain', 'licence', 'digest', 'class_names')
    actions = ('approve', 'sign_rows', 'retire', 'restore', 'remove')
    fieldsets = (
        (
            'What it is',
            {'fields': ('name', 'title', 'architecture', 'parameters', 'bytes', 'side', 'digest', 'weights')},
        ),
        (
            'What it learned from',
            {'fields': ('dataset', 'domain', 'images', 'names_of_classes', 'project', 'model')},
        ),
        ('Where it comes from', {'fields': ('origin', 'licence', 'added', 'shared')}),
        ('Its life', {'fields': ('approved', 'retired', 'removed')}),
        ('How it did', {'fields': ('used', 'fared')}),
    )
    change_form_template = 'admin/recognition/sourcemodel/change_form.html'

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [str(name) for _, entry in self.fieldsets for name in entry['fields']]

    # --- Cells -------------------------------------------------------------------------------------------------------

    def look_up(self) -> None:
        """Once a page: what every row then finds itself in. It is the same for everyone who may look."""
        self.reference = catalog.get_reference_digest()
        self.records = track_records.compute_track_records()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self.look_up()
        return super().changelist_view(request, extra_context)

    def record_of(self, row: SourceModel) -> TrackRecord:
        return self.records.get(row.name, EMPTY_RECORD)

    @admin.display(ordering='name')
    def source(self, row: SourceModel) -> SafeString:
        return formatting.source(row)

    @admin.display(description='state', ordering='approved_at')
    def state(self, row: SourceModel) -> SafeString:
        return formatting.standing(row)

    @admin.display(description='network', ordering='parameters')
    def network(self, row: SourceModel) -> SafeString:
        return formatting.two_lines(
            row.architecture, f'{formatting.millions(row.parameters)} parameters, {formatting.size(row.size)}'
        )

    @admin.display(description='learned from', ordering='images')
    def learned_from(self, row: SourceModel) -> SafeString:
        return formatting.two_lines(
            row.domain or row.dataset or '–', f'{row.images:,} images, {row.classes:,} classes'
        )

    @admin.display(description='origin, licence', ordering='origin')
    def came_from(self, row: SourceModel) -> SafeString:
        return formatting.two_lines(row.get_origin_display(), row.licence)

    @admin.display(boolean=True)
    def signed(self, row: SourceModel) -> bool:
        """Under the present reference: others do not count now."""
        return self.reference in row.signatures

    @admin.display(description='trainings')
    def used(self, row: SourceModel) -> SafeString:
        record = self.record_of(row)
        return formatting.two_lines(f'chosen {record.chosen} ×', f'recommended {record.recommended} ×')

    @admin.display(description='beside its rivals')
    def fared(self, row: SourceModel) -> SafeString:
        return formatting.margin(self.record_of(row).margin)

    @admin.display(description='size')
    def bytes(self, row: SourceModel) -> str:
        return f'{formatting.size(row.size)} ({row.size:,} bytes)'

    @admin.display(description='classes')
    def names_of_classes(self, row: SourceModel) -> SafeString:
        return formatting.class_names(row)

    @admin.display
    def added(self, row: SourceModel) -> str:
        return formatting.action(row.created_at, row.added_by)

    @admin.display(description='offered to others')
    def shared(self, row: SourceModel) -> str:
        if row.origin != Origin.PROMOTED:
            return 'to everyone: it was learned from nobody’s project here'
        return formatting.action(
            row.shared_at, row.shared_by, none='only to the members of its project: no owner agreed to more'
        )

    @admin.display
    def approved(self, row: SourceModel) -> str:
        return formatting.action(row.approved_at, row.approved_by, none='not yet')

    @admin.display
    def retired(self, row: SourceModel) -> str:
        return formatting.action(row.retired_at, row.retired_by, none='no')

    @admin.display
    def removed(self, row: SourceModel) -> str:
        return formatting.action(row.removed_at, row.removed_by, none='no')

    # --- Actions -------------------------------------------------------------------------------------------------------

    @admin.action(description='Approve: trainings may start from it', permissions=['keep'])
    def approve(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> None:
        self.each(request, rows, lambda row: catalog.approve(row.name, get_user(request)), 'approved')

    @admin.action(description='Retire: no training starts from it any more', permissions=['keep'])
    def retire(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> None:
        self.each(request, rows, lambda row: catalog.retire(row.name, get_user(request)), 'retired')

    @admin.action(description='Restore', permissions=['keep'])
    def restore(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> None:
        self.each(request, rows, lambda row: catalog.restore(row.name, get_user(request)), 'restored')

    @admin.action(description='Remove (files are kept while a model’s record names it)', permissions=['keep'])
    def remove(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> HttpResponse | None:
        if request.POST.get('confirmed') != 'yes':
            context = {
                **self.admin_site.each_context(request),
                'title': 'Remove source models',
                'opts': self.opts,
                'rows': rows,
            }
            return TemplateResponse(request, 'admin/recognition/sourcemodel/confirm_removal.html', context)
        self.each(request, rows, lambda row: catalog.remove(row.name, get_user(request)), 'removed')
        return None

    def get_urls(self) -> list[URLPattern]:
        do = self.admin_site.admin_view(require_POST(self.do))
        name = 'recognition_sourcemodel_do'
        return [path('<int:pk>/<str:action>/do/', do, name=name), *super().get_urls()]

    def do(self, request: HttpRequest, pk: int, action: str) -> HttpResponse:
        """One action, asked for on the source's own page."""
        row = self.kept(request, pk)
        if action not in ACTIONS:
            raise Http404
        function, done = ACTIONS[action]
        self.one(request, lambda: function(row.name, get_user(request)), f'“{row.name}” {done}')
        there = SourceModel.objects.filter(pk=pk).exists()
        return redirect('admin:recognition_sourcemodel_change', pk) if there else redirect(self.listing())

    def listing(self) -> str:
        return reverse('admin:recognition_sourcemodel_changelist')

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = '',
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        self.look_up()
        row = self.get_object(request, object_id)
        shown: dict[str, Any] = {}
        if isinstance(row, SourceModel):
            actions = OPEN_DEEDS[row.status] if self.has_keep_permission(request) else ()
            shown = {
                'actions': actions,
                'named': catalog.count_models_from(row),
                'signing': self.signing_panel(row, self.reference),
            }
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})
