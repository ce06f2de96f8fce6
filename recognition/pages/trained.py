"""Trained models: the report, trying one, and the names under which programs call them."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from recognition.datasets import projects
from recognition.errors import NotFoundError
from recognition.models import Project, Publication, TrainedModel
from recognition.models.project import Role, Task
from recognition.pages import charts, detector_plots, listings, report_tables
from recognition.pages.decorators import action, page, person
from recognition.serving import publishing, trained_models
from recognition.training import reports
from recognition.zoo import promotion


@page
def show(request: HttpRequest, model_id: uuid.UUID) -> HttpResponse:
    model = trained_models.get_visible(person(request), model_id)
    report = reports.model_report(model)
    if model.task == Task.DETECTION:
        return _show_detector(request, model, report)
    role = listings.role_of(person(request), model.project)
    context = {
        'model': model,
        'project': model.project,
        'report': report,
        'matrix': charts.matrix(report['labels'], report['confusion']),
        'reliability': charts.reliability(report['calibration']),
        'forecast': charts.forecast(report['forecast']),
        'phases': charts.phases(report['seconds']),
        'ranking': report_tables.candidates(report),
        'engine': report_tables.engine_checks(report['engine']),
        'misclassified': listings.wrong_images(model),
        'may_edit': role != Role.VIEWER,
        **_offer_context(request, model),
    }
    return render(request, 'report.html', context)


def _show_detector(request: HttpRequest, model: TrainedModel, report: dict[str, Any]) -> HttpResponse:
    context = {
        'model': model,
        'project': model.project,
        'report': report,
        'phases': charts.phases(report['seconds']),
        'ranking': report_tables.candidates(report),
        'engine': report_tables.engine_checks(report['engine']),
        **_offer_context(request, model),
        **detector_plots.report_context(model, report),
    }
    return render(request, 'detector_report.html', context)


def _offer_context(request: HttpRequest, model: TrainedModel) -> dict[str, Any]:
    owns = listings.role_of(person(request), model.project) == Role.OWNER
    may = owns and promotion.is_possible(model)
    return {
        'offered': promotion.find_offered(model),
        'may_offer': may,
        'photos_learned': promotion.count_train_images(model) if may else 0,
    }


@action
def publish(request: HttpRequest, model_id: uuid.UUID) -> HttpResponse:
    model = trained_models.get_editable(person(request), model_id)
    publication = publishing.publish(model, request.POST.get('name', ''), person(request))
    messages.success(request, f'“{publication.name}” now answers with version {model.version}.')
    return redirect('project', model.project_id)


@action
def offer(request: HttpRequest, model_id: uuid.UUID) -> HttpResponse:
    model = trained_models.get_owned(person(request), model_id)
    said = {name: request.POST.get(name, '') for name in ('name', 'title', 'domain', 'licence')}
    again = promotion.find_offered(model) is not None
    row = promotion.offer(model, promotion.Offer(share='share' in request.POST, **said), person(request))
    told = (
        'Others may start from it too.'
        if row.shared_at
        else 'Only the members of this project may start from it.'
    )
    messages.success(request, told if again else f'“{row.name}” is offered; an administrator looks at it.')
    return redirect('model', model.pk)


@action
def withdraw_offer(request: HttpRequest, model_id: uuid.UUID) -> HttpResponse:
    model = trained_models.get_owned(person(request), model_id)
    promotion.withdraw(model, person(request))
    messages.success(request, 'It is withdrawn: no training starts from it any more.')
    return redirect('model', model.pk)


@action
def rollback(request: HttpRequest, publication_id: int) -> HttpResponse:
    publication = _publication(request, publication_id)
    publication = publishing.rollback(publication, person(request))
    messages.success(request, f'“{publication.name}” is back at version {publication.model.version}.')
    return redirect('project', publication.project_id)


@action
def unpublish(request: HttpRequest, publication_id: int) -> HttpResponse:
    publication = _publication(request, publication_id)
    publishing.unpublish(publication, person(request))
    messages.success(request, f'“{publication.name}” answers no more.')
    return redirect('project', publication.project_id)


def _publication(request: HttpRequest, publication_id: int) -> Publication:
    visible = Publication.objects.filter(project__in=Project.objects.visible_to(request.user))
    publication = visible.select_related('project', 'model').filter(pk=publication_id).first()
    if publication is None:
        raise NotFoundError('There is no such published model.')
    projects.get_editable(request.user, publication.project_id)
    return publication
