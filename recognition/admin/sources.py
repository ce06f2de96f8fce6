"""The zoo as its keeper sees it."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from recognition import zoo
from recognition.admin.looking import Looking, keeper
from recognition.models import SourceModel


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
