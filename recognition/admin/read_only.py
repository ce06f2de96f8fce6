"""What all lists of the admin have in common: rows are looked at, and what changes anything is an action."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from recognition.errors import GraftError


def get_user(request: HttpRequest) -> AbstractBaseUser:
    return cast(AbstractBaseUser, request.user)  # the admin site lets nobody in who is not logged in


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows are looked at; they are made and changed elsewhere. Actions need the right to change the model."""

    list_per_page = 50

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        plural = str(self.opts.verbose_name_plural)
        return super().changelist_view(
            request, {'title': plural[:1].upper() + plural[1:], **(extra_context or {})}
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_keep_permission(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request)

    def one(self, request: HttpRequest, action: Callable[[], object], done: str = '') -> bool:
        """Ask a use case once and say what came of it; whether it was done."""
        try:
            action()
        except GraftError as error:
            self.message_user(request, error.message, messages.ERROR)
            return False
        if done:
            self.message_user(request, done, messages.SUCCESS)
        return True

    def each(
        self, request: HttpRequest, rows: Iterable[Any], action: Callable[[Any], object], done: str
    ) -> None:
        """Ask a use case for every row; what is refused is said by name, the others go on."""
        count = 0
        for row in rows:
            try:
                action(row)
                count += 1
            except GraftError as error:
                self.message_user(request, f'“{row}”: {error.message}', messages.ERROR)
        if count:
            self.message_user(request, f'{count} {done}.', messages.SUCCESS)


class ReadOnlyInline(admin.TabularInline):
    """Rows of another table, shown below."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
