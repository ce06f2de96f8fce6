"""Source models: a list that shows how each performed, and the actions that approve, retire, restore and
remove them.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
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
    'approve': (catalog.approve, 'was approved: trainings may start from it.'),
    'retire': (catalog.retire, 'was retired: trainings no longer start from it.'),
    'restore': (catalog.restore, 'was restored.'),
    'remove': (
        catalog.remove,
        'was removed. Its files are kept for as long as a trained model refers to it.',
    ),
}
# The actions that a source with this status permits.
ACTIONS_BY_STATUS = {
    SourceStatus.OFFERED: ('approve', 'remove'),
    SourceStatus.USABLE: ('retire', 'remove'),
    SourceStatus.RETIRED: ('restore', 'remove'),
    SourceStatus.REMOVED: ('restore',),
}


class StatusFilter(admin.SimpleListFilter):
    title = 'state'
    parameter_name = 'state'

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [(value, str(label)) for value, label in SourceStatus.choices]

    def queryset(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> QuerySet[SourceModel]:
        """Removed ones are shown only when this filter selects them."""
        if self.value() in SourceStatus.values:
            return cast(SourceModelQuerySet, rows).with_status(str(self.value()))
        return rows.filter(removed_at=None)


@admin.register(SourceModel)
class SourceModelAdmin(BenchmarkPages, SignaturePages, ImportPages):
    list_display = (
        'source',
        'state',
        'network',
        'trained_on',
        'provenance',
        'has_signature',
        'usage',
        'comparison',
    )
    list_filter = (StatusFilter, 'origin', 'domain', 'architecture', 'licence')
    list_select_related = ('approved_by', 'project')
    search_fields = ('name', 'title', 'architecture', 'dataset', 'domain', 'licence', 'digest', 'class_names')
    actions = ('approve', 'compute_signatures', 'retire', 'restore', 'remove')
    fieldsets = (
        (
            'Network',
            {
                'fields': (
                    'name',
                    'title',
                    'architecture',
                    'parameters',
                    'file_size',
                    'side',
                    'digest',
                    'weights',
                )
            },
        ),
        (
            'Training data',
            {'fields': ('dataset', 'domain', 'images', 'classes_and_names', 'project', 'model')},
        ),
        ('Origin', {'fields': ('origin', 'licence', 'added', 'shared')}),
        ('History', {'fields': ('approved', 'retired', 'removed')}),
        ('Results here', {'fields': ('usage', 'comparison')}),
    )
    change_form_template = 'admin/recognition/sourcemodel/change_form.html'

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [str(name) for _, entry in self.fieldsets for name in entry['fields']]

    # --- Cells ----------------------------------------------------------------------------------------------

    def load_page_data(self) -> None:
        """Load once a page what every row needs. It is the same for every user who may see the list."""
        self.reference = catalog.get_reference_digest()
        self.records = track_records.compute_track_records()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        self.load_page_data()
        return super().changelist_view(request, extra_context)

    def get_track_record(self, row: SourceModel) -> TrackRecord:
        return self.records.get(row.name, EMPTY_RECORD)

    @admin.display(ordering='name')
    def source(self, row: SourceModel) -> SafeString:
        return formatting.format_source(row)

    @admin.display(description='state', ordering='approved_at')
    def state(self, row: SourceModel) -> SafeString:
        return formatting.format_status(row)

    @admin.display(description='network', ordering='parameters')
    def network(self, row: SourceModel) -> SafeString:
        return formatting.format_two_lines(
            row.architecture,
            f'{formatting.format_millions(row.parameters)} parameters, {formatting.format_size(row.size)}',
        )

    @admin.display(description='trained on', ordering='images')
    def trained_on(self, row: SourceModel) -> SafeString:
        return formatting.format_two_lines(
            row.domain or row.dataset or '–', f'{row.images:,} images, {row.classes:,} classes'
        )

    @admin.display(description='origin, licence', ordering='origin')
    def provenance(self, row: SourceModel) -> SafeString:
        return formatting.format_two_lines(row.get_origin_display(), row.licence)

    @admin.display(description='signature', boolean=True)
    def has_signature(self, row: SourceModel) -> bool:
        """Under the present reference model; signatures under others are not used now."""
        return self.reference in row.signatures

    @admin.display(description='trainings')
    def usage(self, row: SourceModel) -> SafeString:
        record = self.get_track_record(row)
        return formatting.format_two_lines(
            f'used in {record.chosen}', f'ranked first in {record.recommended}'
        )

    @admin.display(description='compared with others')
    def comparison(self, row: SourceModel) -> SafeString:
        return formatting.format_margin(self.get_track_record(row).margin)

    @admin.display(description='file size')
    def file_size(self, row: SourceModel) -> str:
        return f'{formatting.format_size(row.size)} ({row.size:,} bytes)'

    @admin.display(description='classes')
    def classes_and_names(self, row: SourceModel) -> SafeString:
        return formatting.format_class_names(row)

    @admin.display
    def added(self, row: SourceModel) -> str:
        return formatting.format_event(row.created_at, row.added_by)

    @admin.display(description='shared')
    def shared(self, row: SourceModel) -> str:
        if row.origin != Origin.PROMOTED:
            return 'with everyone: it was not trained on photos of a project'
        return formatting.format_event(
            row.shared_at,
            row.shared_by,
            none='only with the members of its project: no owner has agreed to share it',
        )

    @admin.display
    def approved(self, row: SourceModel) -> str:
        return formatting.format_event(row.approved_at, row.approved_by, none='not yet')

    @admin.display
    def retired(self, row: SourceModel) -> str:
        return formatting.format_event(row.retired_at, row.retired_by, none='no')

    @admin.display
    def removed(self, row: SourceModel) -> str:
        return formatting.format_event(row.removed_at, row.removed_by, none='no')

    # --- Actions --------------------------------------------------------------------------------------------

    @admin.action(description='Approve: trainings may start from them', permissions=['manage'])
    def approve(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> None:
        self.run_for_each(request, rows, lambda row: catalog.approve(row.name, get_user(request)), 'approved')

    @admin.action(description='Retire: trainings no longer start from them', permissions=['manage'])
    def retire(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> None:
        self.run_for_each(request, rows, lambda row: catalog.retire(row.name, get_user(request)), 'retired')

    @admin.action(description='Restore', permissions=['manage'])
    def restore(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> None:
        self.run_for_each(request, rows, lambda row: catalog.restore(row.name, get_user(request)), 'restored')

    @admin.action(
        description='Remove (files are kept while a trained model refers to them)', permissions=['manage']
    )
    def remove(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> HttpResponse | None:
        if request.POST.get('confirmed') != 'yes':
            context = {
                **self.admin_site.each_context(request),
                'title': 'Remove source models',
                'opts': self.opts,
                'rows': rows,
            }
            return TemplateResponse(request, 'admin/recognition/sourcemodel/confirm_removal.html', context)
        self.run_for_each(request, rows, lambda row: catalog.remove(row.name, get_user(request)), 'removed')
        return None

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.do_action))
        name = 'recognition_sourcemodel_do'
        return [path('<int:pk>/<str:action>/do/', view, name=name), *super().get_urls()]

    def do_action(self, request: HttpRequest, pk: int, action: str) -> HttpResponse:
        """Run one action of ACTIONS from the source's own page."""
        row = self.get_managed_row(request, pk)
        if action not in ACTIONS:
            raise Http404
        function, done = ACTIONS[action]
        self.run_action(
            request, lambda: function(row.name, get_user(request)), f'Source model “{row.name}” {done}'
        )
        if SourceModel.objects.filter(pk=pk).exists():
            return redirect('admin:recognition_sourcemodel_change', pk)
        return redirect('admin:recognition_sourcemodel_changelist')

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = '',
        extra_context: dict[str, object] | None = None,
    ) -> HttpResponse:
        self.load_page_data()
        row = self.get_object(request, object_id)
        context: dict[str, object] = {}
        if isinstance(row, SourceModel):
            actions = ACTIONS_BY_STATUS[row.status] if self.has_manage_permission(request) else ()
            context = {
                'actions': actions,
                'model_count': catalog.count_models_from(row),
                'signature': self.get_signature_panel(row, self.reference),
            }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})
