"""The administrator's view: the zoo, trainings, models, projects, keys and the record of deeds.

Pages show; what changes anything is an action, and an action asks the same use case as everyone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Count, Model, Q, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from recognition import keys, training, zoo
from recognition.errors import GraftError
from recognition.models import (
    ApiKey,
    AuditEvent,
    Job,
    JobEvent,
    Membership,
    Project,
    Publication,
    SourceModel,
    TrainedModel,
)


def keeper(request: HttpRequest) -> AbstractBaseUser:
    return cast(AbstractBaseUser, request.user)  # the admin site lets nobody in who is not logged in


class Looking(admin.ModelAdmin):
    """Rows are looked at; they are made and changed elsewhere. Actions need the right to change the model."""

    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_keep_permission(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request)

    def each(self, request: HttpRequest, rows: Iterable[Any], deed: Callable[[Any], object], done: str) -> None:
        """Ask a use case for every row; what is refused is said by name, the others go on."""
        count = 0
        for row in rows:
            try:
                deed(row)
                count += 1
            except GraftError as error:
                self.message_user(request, f'{row}: {error.message}', messages.ERROR)
        if count:
            self.message_user(request, f'{count} {done}.', messages.SUCCESS)


class Lines(admin.TabularInline):
    """Rows of another table, shown below."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(SourceModel)
class SourceModelAdmin(Looking):
    list_display = ('name', 'architecture', 'dataset', 'images', 'classes', 'bytes', 'signed', 'origin', 'licence', 'usable')
    list_filter = ('origin', ('retired_at', admin.EmptyFieldListFilter), 'architecture')
    search_fields = ('name', 'title', 'architecture', 'dataset', 'digest')
    actions = ('retire', 'restore', 'remove')
    exclude = ('signatures', 'class_names')
    readonly_fields = ('signed', 'names_of_classes')

    @admin.display(description='size', ordering='size')
    def bytes(self, row: SourceModel) -> str:
        return filesizeformat(row.size)

    @admin.display(boolean=True)
    def signed(self, row: SourceModel) -> bool:
        return bool(row.signatures)

    @admin.display(boolean=True, ordering='retired_at')
    def usable(self, row: SourceModel) -> bool:
        return row.retired_at is None

    @admin.display(description='class names')
    def names_of_classes(self, row: SourceModel) -> str:
        return ', '.join(row.class_names)

    @admin.action(description='Retire: no training starts from it any more', permissions=['keep'])
    def retire(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> None:
        self.each(request, rows, lambda row: zoo.retire(row.name, keeper(request)), 'retired')

    @admin.action(description='Restore', permissions=['keep'])
    def restore(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> None:
        self.each(request, rows, lambda row: zoo.restore(row.name, keeper(request)), 'restored')

    @admin.action(description='Remove with its file (retire, while models name it)', permissions=['keep'])
    def remove(self, request: HttpRequest, rows: QuerySet[SourceModel]) -> None:
        self.each(request, rows, lambda row: zoo.remove(row.name, keeper(request)), 'removed or retired')


class JobEventLines(Lines):
    model = JobEvent
    fields = ('at', 'old', 'new', 'reason')
    readonly_fields = fields


@admin.register(Job)
class JobAdmin(Looking):
    list_display = (
        'id',
        'project',
        'state',
        'queue',
        'worker',
        'attempt',
        'created_by',
        'created_at',
        'finished_at',
        'error_code',
    )
    list_filter = ('state', 'queue', 'kind', 'error_code')
    list_select_related = ('project', 'created_by')
    date_hierarchy = 'created_at'
    search_fields = ('=id', 'project__name', 'worker')
    actions = ('cancel',)
    exclude = ('spec', 'curve')
    inlines = (JobEventLines,)

    @admin.action(description='Cancel', permissions=['keep'])
    def cancel(self, request: HttpRequest, rows: QuerySet[Job]) -> None:
        self.each(request, rows, lambda job: training.cancel(job, keeper(request)), 'cancelled or asked to stop')


@admin.register(TrainedModel)
class TrainedModelAdmin(Looking):
    list_display = ('__str__', 'task', 'images', 'accuracy', 'source_name', 'provisional', 'created_at')
    list_filter = ('provisional', 'task', 'source_name')
    list_select_related = ('project',)
    search_fields = ('project__name', 'source_name', 'digest')
    exclude = ('report',)


@admin.register(Publication)
class PublicationAdmin(Looking):
    list_display = ('name', 'project', 'model', 'created_at')
    list_select_related = ('project', 'model__project')
    search_fields = ('name', 'project__name')


class MembershipLines(Lines):
    model = Membership
    readonly_fields = ('user', 'role')


@admin.register(Project)
class ProjectAdmin(Looking):
    list_display = ('name', 'people', 'photos', 'created_at', 'deleted_at')
    list_filter = (('deleted_at', admin.EmptyFieldListFilter),)
    search_fields = ('name', 'memberships__user__username')
    inlines = (MembershipLines,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        rows: QuerySet[Project] = super().get_queryset(request)
        present = Count('images', filter=Q(images__deleted_at=None), distinct=True)
        return rows.annotate(photo_count=present, people_count=Count('memberships', distinct=True))

    @admin.display(ordering='people_count')
    def people(self, row: Any) -> int:
        return int(row.people_count)

    @admin.display(ordering='photo_count')
    def photos(self, row: Any) -> int:
        return int(row.photo_count)


@admin.register(ApiKey)
class ApiKeyAdmin(Looking):
    list_display = ('prefix', 'name', 'user', 'scope', 'created_at', 'last_used_at', 'revoked_at')
    list_filter = ('scope', ('revoked_at', admin.EmptyFieldListFilter))
    list_select_related = ('user',)
    search_fields = ('prefix', 'name', 'user__username')
    actions = ('revoke',)
    exclude = ('hash',)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # A person cannot be deleted in the admin unless their keys may be.
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    @admin.action(description='Revoke', permissions=['keep'])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiKey]) -> None:
        self.each(request, rows.select_related('user'), keys.revoke, 'revoked')


@admin.register(AuditEvent)
class AuditEventAdmin(Looking):
    list_display = ('at', 'user', 'deed', 'subject')
    list_filter = ('deed',)
    list_select_related = ('user',)
    date_hierarchy = 'at'
    search_fields = ('subject', 'user__username')
