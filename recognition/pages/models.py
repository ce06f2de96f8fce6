"""Trained models: the report, promotion to a source model, and the names under which programs call them."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from recognition.datasets import projects
from recognition.errors import NotFoundError
from recognition.models import Project, Publication, TrainedModel
from recognition.models.project import Role, Task
from recognition.pages import listings
from recognition.pages.decorators import action, page, require_user
from recognition.pages.report import charts, detector_charts, tables
from recognition.serving import publishing, trained_models
from recognition.training import reports
from recognition.zoo import promotion


@page
def show_model(request: HttpRequest, model_id: uuid.UUID) -> HttpResponse:
    model = trained_models.get_visible(require_user(request), model_id)
    report = reports.model_report(model)
    context = {
        'model': model,
        'project': model.project,
        'report': report,
        'phases': charts.lay_out_phases(report['seconds']),
        'ranking': tables.list_candidates(report),
        'engine_facts': tables.list_engine_facts(report['engine']),
        'duplicates': listings.list_near_duplicates(model),
        'may_edit': listings.get_role(require_user(request), model.project) != Role.VIEWER,
        **_promotion_context(request, model),
    }
    if model.task == Task.DETECTION:
        context |= detector_charts.build_context(model, report)
        return render(request, 'detector_report.html', context)
    context |= {
        'matrix': charts.lay_out_confusion_matrix(report['labels'], report['confusion']),
        'reliability': charts.lay_out_reliability(report['calibration']),
        'forecast_chart': charts.lay_out_forecast(report['forecast']),
        'misclassified': listings.list_misclassified(model),
    }
    return render(request, 'report.html', context)


def _promotion_context(request: HttpRequest, model: TrainedModel) -> dict[str, object]:
    is_owner = listings.get_role(require_user(request), model.project) == Role.OWNER
    may_promote = is_owner and promotion.is_possible(model)
    return {
        'promoted': promotion.find_promoted(model),
        'may_promote': may_promote,
        'train_images': promotion.count_train_images(model) if may_promote else 0,
    }


@action
def publish_model(request: HttpRequest, model_id: uuid.UUID) -> HttpResponse:
    model = trained_models.get_editable(require_user(request), model_id)
    publication = publishing.publish(model, request.POST.get('name', ''), require_user(request))
    messages.success(request, f'“{publication.name}” now uses version {model.version}.')
    return redirect('project', model.project_id)


@action
def promote_model(request: HttpRequest, model_id: uuid.UUID) -> HttpResponse:
    model = trained_models.get_owned(require_user(request), model_id)
    fields = {name: request.POST.get(name, '') for name in ('name', 'title', 'domain', 'licence')}
    was_promoted = promotion.find_promoted(model) is not None
    shared = 'share' in request.POST
    row = promotion.submit(model, promotion.PromotionTerms(share=shared, **fields), require_user(request))
    if not was_promoted:
        messages.success(request, f'“{row.name}” was submitted. An administrator has to approve it.')
    elif row.shared_at:
        messages.success(request, 'Everyone on this server can now start a training from it.')
    else:
        messages.success(request, 'Only members of this project can now start a training from it.')
    return redirect('model', model.pk)


@action
def withdraw_promotion(request: HttpRequest, model_id: uuid.UUID) -> HttpResponse:
    model = trained_models.get_owned(require_user(request), model_id)
    promotion.withdraw(model, require_user(request))
    messages.success(request, 'The source model was withdrawn. No new training can start from it.')
    return redirect('model', model.pk)


@action
def roll_back_publication(request: HttpRequest, publication_id: int) -> HttpResponse:
    publication = _find_publication(request, publication_id)
    publication = publishing.rollback(publication, require_user(request))
    messages.success(request, f'“{publication.name}” was rolled back to version {publication.model.version}.')
    return redirect('project', publication.project_id)


@action
def unpublish(request: HttpRequest, publication_id: int) -> HttpResponse:
    publication = _find_publication(request, publication_id)
    publishing.unpublish(publication, require_user(request))
    messages.success(request, f'“{publication.name}” was unpublished.')
    return redirect('project', publication.project_id)


def _find_publication(request: HttpRequest, publication_id: int) -> Publication:
    visible = Publication.objects.filter(project__in=Project.objects.visible_to(request.user))
    publication = visible.select_related('project', 'model').filter(pk=publication_id).first()
    if publication is None:
        raise NotFoundError('There is no such published model.')
    projects.get_editable(request.user, publication.project_id)
    return publication
