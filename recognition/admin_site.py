"""The admin site: its titles, and its lists in the order in which an administrator looks for them."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.template.response import TemplateResponse

RECENT_EVENTS = 12
# Section -> models by their object names; what is in none of them (a package's own lists) comes last, under
# its own name.
SECTIONS = {
    'Model zoo': ('SourceModel',),
    'Projects and models': ('Job', 'Project', 'TrainedModel', 'Publication'),
    'Users': ('User', 'Group', 'ApiKey'),
    'Logs': ('AuditEvent', 'AccessAttempt', 'AccessFailureLog', 'AccessLog'),
}


class GraftAdmin(AdminSite):
    site_header = 'Graft administration'
    site_title = 'Graft administration'
    index_title = 'Overview'

    def index(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> TemplateResponse:
        """Add to the lists the source models that wait for approval, and recent activity, as far as the user
        may see them.
        """
        from recognition.models import AuditEvent, SourceModel  # this module is loaded before the models are

        shown: dict[str, object] = {}
        if request.user.has_perm('recognition.view_sourcemodel'):
            shown['offered'] = SourceModel.objects.with_status('offered').order_by('created_at')
        if request.user.has_perm('recognition.view_auditevent'):
            shown['events'] = AuditEvent.objects.select_related('user')[:RECENT_EVENTS]
        page: TemplateResponse = super().index(request, {**shown, **(extra_context or {})})
        return page

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, object]]:
        apps: list[dict[str, Any]] = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        models = {model['object_name']: model for app in apps for model in app['models']}
        sections = [
            _make_section(title, [models[name] for name in names if name in models])
            for title, names in SECTIONS.items()
        ]
        known = {name for names in SECTIONS.values() for name in names}
        others = [
            {**app, 'models': [model for model in app['models'] if model['object_name'] not in known]}
            for app in apps
        ]
        return [section for section in sections + others if section['models']]


def _make_section(title: str, models: list[dict[str, object]]) -> dict[str, object]:
    """In the shape of an app of Django's index; `app_url` is where its heading leads."""
    return {
        'name': title,
        'app_label': title.lower().replace(' ', '-'),
        'app_url': next((model['admin_url'] for model in models), ''),
        'has_module_perms': True,
        'models': models,
    }


class AdministrationConfig(AdminConfig):
    """Django's admin, with our site in the place of its own."""

    default = False
    default_site = 'recognition.admin_site.GraftAdmin'
