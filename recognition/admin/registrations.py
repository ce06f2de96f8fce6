"""Lists of jobs, trained models, published names, projects, API keys and the audit record."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Model, Q, QuerySet
from django.http import HttpRequest

from recognition.admin.read_only import ReadOnlyAdmin, ReadOnlyInline, get_user
from recognition.jobs import queue
from recognition.models import (
    ApiKey,
    AuditEvent,
    Job,
    JobEvent,
    Membership,
    Project,
    Publication,
    TrainedModel,
)
from recognition.serving import api_keys


class JobEventInline(ReadOnlyInline):
    model = JobEvent
    fields = ('at', 'old', 'new', 'reason')
    readonly_fields = fields


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = (
        'subject',
        'kind',
        'state',
        'created_by',
        'created_at',
        'finished_at',
        'attempt',
        'queue',
        'error_code',
    )
    list_filter = ('state', 'queue', 'kind', 'error_code')
    list_select_related = ('project', 'created_by')
    date_hierarchy = 'created_at'
    search_fields = ('=id', 'project__name', 'worker')
    actions = ('cancel',)
    exclude = ('spec', 'curve')
    inlines = (JobEventInline,)

    @admin.display(description='project or source', ordering='project')
    def subject(self, row: Job) -> str:
        """The project of a training or detection job, or the source model that is imported or whose signature
        is computed.
        """
        return str(row.project) if row.project is not None else str(row.spec.get('name', ''))

    @admin.action(description='Cancel the selected jobs', permissions=['manage'])
    def cancel(self, request: HttpRequest, rows: QuerySet[Job]) -> None:
        self.run_for_each(
            request,
            rows,
            lambda job: queue.cancel(job, get_user(request)),
            'cancelled; a running one stops within seconds',
        )


@admin.register(TrainedModel)
class TrainedModelAdmin(ReadOnlyAdmin):
    list_display = ('__str__', 'task', 'images', 'accuracy', 'source_name', 'provisional', 'created_at')
    list_filter = ('provisional', 'task', 'source_name')
    list_select_related = ('project',)
    search_fields = ('project__name', 'source_name', 'digest')
    exclude = ('report',)


@admin.register(Publication)
class PublicationAdmin(ReadOnlyAdmin):
    list_display = ('name', 'project', 'model', 'created_at')
    list_select_related = ('project', 'model__project')
    search_fields = ('name', 'project__name')


class MembershipInline(ReadOnlyInline):
    model = Membership
    readonly_fields = ('user', 'role')


@admin.register(Project)
class ProjectAdmin(ReadOnlyAdmin):
    list_display = ('name', 'members', 'photos', 'created_at', 'deleted_at')
    list_filter = (('deleted_at', admin.EmptyFieldListFilter),)
    search_fields = ('name', 'memberships__user__username')
    inlines = (MembershipInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        rows: QuerySet[Project] = super().get_queryset(request)
        present = Count('images', filter=Q(images__deleted_at=None), distinct=True)
        return rows.annotate(photo_count=present, member_count=Count('memberships', distinct=True))

    @admin.display(ordering='member_count')
    def members(self, row: Any) -> int:
        return int(row.member_count)

    @admin.display(ordering='photo_count')
    def photos(self, row: Any) -> int:
        return int(row.photo_count)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ('prefix', 'name', 'user', 'scope', 'created_at', 'last_used_at', 'revoked_at')
    list_filter = ('scope', ('revoked_at', admin.EmptyFieldListFilter))
    list_select_related = ('user',)
    search_fields = ('prefix', 'name', 'user__username')
    actions = ('revoke',)
    exclude = ('hash',)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # The admin refuses to delete a user unless the user's keys may be deleted too.
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    @admin.action(description='Revoke the selected API keys', permissions=['manage'])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiKey]) -> None:
        self.run_for_each(request, rows.select_related('user'), api_keys.revoke, 'revoked')


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ('at', 'user', 'action', 'subject')
    list_filter = ('action',)
    list_select_related = ('user',)
    date_hierarchy = 'at'
    search_fields = ('subject', 'user__username')
