"""What is told of jobs, models and published names: plain dictionaries with fixed keys, the same for pages and REST."""

from __future__ import annotations

from typing import Any

from recognition import discretion, publishing, training
from recognition.models import Job, Publication, TrainedModel
from recognition.models.job import ENDED, State
from recognition.models.project import Task

# What a model's report takes over from transfer.spec.TrainReport, and what stands there when it was not measured.
MEASURED: dict[str, Any] = {
    'ranking': [],
    'probes': [],
    'outlook': {},
    'plan': {},
    'per_class': [],
    'confusion': [],
    'wrong': [],
    'calibration': {},
    'curve': [],
    'seconds': {},
    'sealing': {},
    'notes': [],
    'detection': {},
}


def job_status(job: Job) -> dict[str, Any]:
    """Where a training is. `place`: how many are taken before it; null unless it waits. `model`: what it made so far."""
    model = job.models.order_by('-version').first()
    return {
        'id': str(job.pk),
        'project': str(job.project_id),
        'kind': job.kind,
        **_course(job),
        'attempt': job.attempt,
        'curve': job.curve,
        'model': str(model.pk) if model else None,
        'provisional': model.provisional if model else None,
        'events': [
            {'at': event.at.isoformat(), 'old': event.old, 'new': event.new, 'reason': event.reason} for event in job.events.all()
        ],
    }


def answer_status(job: Job) -> dict[str, Any]:
    """Where photos to look at are. `result`: once it is there, what a detection answers that nobody had to come back for."""
    return {
        'id': str(job.pk),
        'model': job.spec['model'],
        **_course(job),
        'result': job.result or None,
    }


def _course(job: Job) -> dict[str, Any]:
    """What every job tells of its way from the queue to its end."""
    return {
        'state': job.state,
        'finished': job.state in ENDED,
        'place': training.place_in_queue(job) if job.state == State.QUEUED else None,
        'cancel_requested': job.cancel_requested,
        'progress': job.progress or None,
        'error': {'code': job.error_code, 'message': job.error_message} if job.error_code else None,
        'created_at': job.created_at.isoformat(),
        'started_at': job.started_at and job.started_at.isoformat(),
        'finished_at': job.finished_at and job.finished_at.isoformat(),
    }


def model_summary(model: TrainedModel) -> dict[str, Any]:
    """One line of a list of models. accuracy: out-of-fold, 0 to 1, with its 95 % interval; null where not measured."""
    return {
        'id': str(model.pk),
        'project': str(model.project_id),
        'version': model.version,
        'provisional': model.provisional,
        'task': model.task,
        'labels': model.labels,
        'source': discretion.source_of(model),
        'images': model.images,
        'accuracy': model.accuracy,
        'interval': None if model.accuracy_low is None else [model.accuracy_low, model.accuracy_high],
        'job': str(model.job_id) if model.job_id else None,
        'published': [publication.name for publication in model.publications.all()],
        'created_at': model.created_at.isoformat(),
    }


def model_report(model: TrainedModel) -> dict[str, Any]:
    """Everything that is known of a model, and may be told to all who read it. A part that was not measured is empty."""
    report = discretion.discreet(model, model.report)
    return {
        **model_summary(model),
        'digest': model.digest,
        'data_digest': report.get('data_digest', ''),
        'seed': report.get('seed'),
        'winner': report.get('winner', ''),
        'why': report.get('why', ''),
        **{name: report.get(name, empty) for name, empty in MEASURED.items()},
        'plan': _in_order(report.get('plan', {})),
    }


def _in_order(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan with its rates from the input of the network to its head. PostgreSQL's jsonb forgets the order of keys."""
    groups, rates = plan.get('groups', []), plan.get('rates', {})
    return {**plan, 'rates': {group: rates[group] for group in sorted(rates, key=groups.index)}} if groups else plan


def publication_report(publication: Publication) -> dict[str, Any]:
    """A published name, the model that answers under it, and what it pointed at before (newest first)."""
    earlier = publishing.previous(publication)
    return {
        'name': publication.name,
        'project': str(publication.project_id),
        'model': model_summary(publication.model),
        'previous': str(earlier.pk) if earlier else None,
        'history': [
            {'deed': event.deed, 'model': str(event.model_id), 'version': event.model.version, 'at': event.at.isoformat()}
            for event in publication.events.select_related('model')
        ],
        'created_at': publication.created_at.isoformat(),
    }


def program_lines(base_url: str, name: str, task: str = Task.CLASSIFICATION) -> dict[str, str]:
    """The lines that ask a published name (or a model's id) from a shell and from Python. base_url: https://host[:port]."""
    deed, (wish, value) = ('detect', ('threshold', 0.5)) if task == Task.DETECTION else ('classify', ('top', 3))
    address = f'{base_url.rstrip("/")}/api/v1/models/{name}/{deed}'
    return {
        'curl': f"curl -H 'Authorization: Bearer YOUR_KEY' -F images=@photo.jpg '{address}?{wish}={value}'",
        'python': (
            'import requests\n'
            '\n'
            "with open('photo.jpg', 'rb') as photo:\n"
            '    answer = requests.post(\n'
            f"        '{address}',\n"
            "        headers={'Authorization': 'Bearer YOUR_KEY'},\n"
            f"        params={{'{wish}': {value}}},\n"
            "        files={'images': photo},\n"
            '    )\n'
            'answer.raise_for_status()\n'
            'print(answer.json())\n'
        ),
    }
