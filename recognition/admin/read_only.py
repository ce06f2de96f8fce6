"""What all lists of the admin have in common: rows are read, and what changes anything is an action."""

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
    """Rows that are created and changed elsewhere. Actions need the permission to change the model
    ("manage").
    """

    list_per_page = 50

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
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

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Django asks it for actions with permissions=['manage']."""
        return super().has_change_permission(request)

    def run_action(self, request: HttpRequest, action: Callable[[], object], message: str = '') -> bool:
        """Ask a use case and show `message`, or its error; return whether it succeeded."""
        try:
            action()
        except GraftError as error:
            self.message_user(request, error.message, messages.ERROR)
            return False
        if message:
            self.message_user(request, message, messages.SUCCESS)
        return True

    def run_for_each(
        self, request: HttpRequest, rows: Iterable[Any], action: Callable[[Any], object], done: str
    ) -> None:
        """Ask a use case for every row. An error is shown with the row's name, and the others go on.

        done: the rest of the sentence about the rows that were changed, after "was" or "were".
        """
        changed = []
        for row in rows:
            name = f'“{getattr(row, "name", row)}”'
            try:
                action(row)
                changed.append(name)
            except GraftError as error:
                self.message_user(request, f'{name}: {error.message}', messages.ERROR)
        if changed:
            one, many = str(self.opts.verbose_name), str(self.opts.verbose_name_plural)
            if len(changed) == 1:
                sentence = f'{one[:1].upper()}{one[1:]} {changed[0]} was {done}.'
            else:
                sentence = f'{len(changed)} {many} were {done}.'
            self.message_user(request, sentence, messages.SUCCESS)


class ReadOnlyInline(admin.TabularInline):
    """Rows of another table, shown below."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
