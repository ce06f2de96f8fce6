"""The page that shows how well sources are chosen: the newest evaluation, as tables and plots."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from recognition.admin import plots
from recognition.admin.read_only import ReadOnlyAdmin
from recognition.zoo.selection_params import read_latest_result, read_selection_params


class BenchmarkPages(ReadOnlyAdmin):
    """One address beside the list of sources: evidence."""

    change_list_template = 'admin/recognition/sourcemodel/change_list.html'

    def get_urls(self) -> list[URLPattern]:
        shown = self.admin_site.admin_view(require_safe(self.evidence))
        return [path('evidence/', shown, name='recognition_sourcemodel_evidence'), *super().get_urls()]

    def evidence(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        result = read_latest_result()
        context = {
            **self.admin_site.each_context(request),
            'title': 'How well sources are chosen',
            'opts': self.opts,
            'result': result,
            'learned': read_selection_params(),
        }
        if result:
            context |= {
                'regrets': plots.regrets(result['rules']),
                'map': plots.heat_map(result),
                'ours': next((rule for rule in result['rules'] if plots.OURS in rule['name']), None),
            }
        return TemplateResponse(request, 'admin/recognition/sourcemodel/evidence.html', context)
