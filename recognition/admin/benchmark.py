"""The page of the newest benchmark of source selection, as tables and plots."""

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
    """One address beside the list of sources: benchmark/."""

    change_list_template = 'admin/recognition/sourcemodel/change_list.html'

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_safe(self.show_benchmark))
        return [path('benchmark/', view, name='recognition_sourcemodel_benchmark'), *super().get_urls()]

    def show_benchmark(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        result = read_latest_result()
        context = {
            **self.admin_site.each_context(request),
            'title': 'Benchmark of source selection',
            'opts': self.opts,
            'result': result,
            'params': read_selection_params(),
        }
        if result:
            context |= {
                'regrets': plots.plot_regrets(result.rules),
                'map': plots.plot_heat_map(result),
                'product_rule': next(
                    (rule for rule in result.rules if plots.PRODUCT_RULE in rule.name), None
                ),
            }
        return TemplateResponse(request, 'admin/recognition/sourcemodel/benchmark.html', context)
