"""Describe trainings and models for pages and REST: plain dictionaries with fixed keys."""

from __future__ import annotations

from typing import Any

from recognition.jobs.status import describe_lifecycle
from recognition.models import Job, TrainedModel
from recognition.zoo import redaction

# What a model's report takes over from transfer.spec.report.TrainReport, and what stands there when it was
# not measured.
REPORT_DEFAULTS: dict[str, object] = {
    'members': [],
    'ranking': [],
    'probes': [],
    'forecast': {},
    'plan': {},
    'per_class': [],
    'confusion': [],
    'misclassified': [],
    'calibration': {},
    'curve': [],
    'seconds': {},
    'engine': {},
    'notes': [],
    'near_duplicates': {},
    'detection': {},
}


def job_status(job: Job) -> dict[str, object]:
    """Describe a training. `queue_position`: jobs before it; null unless it is queued. `model`: the model it
    has made so far.
    """
    model = job.models.order_by('-version').first()
    return {
        'id': str(job.pk),
        'project': str(job.project_id),
        'kind': job.kind,
        **describe_lifecycle(job),
        'attempt': job.attempt,
        'curve': job.curve,
        'model': str(model.pk) if model else None,
        'provisional': model.provisional if model else None,
        'events': [
            {'at': event.at.isoformat(), 'old': event.old, 'new': event.new, 'reason': event.reason}
            for event in job.events.all()
        ],
    }


def model_summary(model: TrainedModel) -> dict[str, object]:
    """One line of a list of models. accuracy: out-of-fold, 0 to 1, with its 95 % interval; null where not
    measured."""
    return {
        'id': str(model.pk),
        'project': str(model.project_id),
        'version': model.version,
        'provisional': model.provisional,
        'task': model.task,
        'labels': model.labels,
        'source': redaction.redact_source_name(model),
        'images': model.images,
        'accuracy': model.accuracy,
        'interval': None if model.accuracy_low is None else [model.accuracy_low, model.accuracy_high],
        'job': str(model.job_id) if model.job_id else None,
        'published': [publication.name for publication in model.publications.all()],
        'created_at': model.created_at.isoformat(),
    }


def model_report(model: TrainedModel) -> dict[str, Any]:
    """The whole report of a model, redacted for the members of its project. A part that was not measured is
    empty.
    """
    report = redaction.redact_report(model, model.report)
    return {
        **model_summary(model),
        'digest': model.digest,
        'data_digest': report.get('data_digest', ''),
        'seed': report.get('seed'),
        'winner': report.get('winner', ''),
        'why': report.get('why', ''),
        **{name: report.get(name, empty) for name, empty in REPORT_DEFAULTS.items()},
        'plan': _sort_rates(report.get('plan', {})),
    }


def _sort_rates(plan: dict[str, Any]) -> dict[str, object]:
    """The plan with its rates from the input of the network to its head. PostgreSQL's jsonb forgets the order
    of keys."""
    groups, rates = plan.get('groups', []), plan.get('rates', {})
    return (
        {**plan, 'rates': {group: rates[group] for group in sorted(rates, key=groups.index)}}
        if groups
        else plan
    )
