"""A labelled project with a source model and a trained model whose report has every part."""

from __future__ import annotations

import json
from pathlib import Path

from django.utils import timezone

from recognition.datasets.upload_results import IncomingFile
from recognition.datasets.uploads import add_images
from recognition.models import Image, Job, Project, SourceModel, TrainedModel
from tests.support.photos import draw_photo
from transfer.spec.report import EngineInfo, TrainReport

MALICIOUS_NAME = '<img src=x onerror=alert(1)>'
LONG_NAME = 'Averyveryverylongnamewithoutanyspaces' * 3


def add_photos(project, user, labels: list[str | None], start: int = 0) -> None:
    files = [
        IncomingFile(f'{start + n}.jpg', lambda n=n: draw_photo(start + n, side=32), 1000, label)
        for n, label in enumerate(labels)
    ]
    add_images(project, user, files)


FORECAST = {
    'expected': {'middle': 0.88, 'low': 0.8, 'high': 0.94, 'level': 0.9, 'targets': 6},
    'points': [
        {'images': 20, 'accuracy': 0.7, 'judged': 40, 'interval': [0.55, 0.82]},
        {'images': 40, 'accuracy': 0.85, 'judged': 40, 'interval': [0.7, 0.93]},
    ],
    'gain': {'images': 40, 'middle': 0.03, 'low': 0.0, 'high': 0.07},
    'sentence': (
        'Expected accuracy 0.80 to 0.94; collecting 40 more photos would add about 0.03 (0.00 to 0.07).'
    ),
}


def make_full_report(wrong: list[dict]) -> dict:
    report = TrainReport(
        accuracy=0.9,
        interval=(0.8, 0.95),
        images=40,
        labels=('daisy', MALICIOUS_NAME),
        winner='finetuned',
        why='It got four more photos right.',
        source='graft-leaf',
        ranking=[
            {'name': 'graft-leaf', 'divergence': 0.123, 'images': 2400, 'score': 1.5, 'stability': 0.87},
            {'name': 'graft-blood', 'divergence': 3.21, 'images': 900, 'score': -1.5, 'stability': 0.13},
        ],
        forecast=FORECAST,
        probes=[{'name': 'graft-leaf', 'accuracy': 0.85, 'interval': [0.7, 0.93], 'seconds': 1.0}],
        plan={
            'why': 'Few photos, near source.',
            'groups': ['stage1', 'head'],
            'rates': {'head': 0.01, 'stage1': 0.0},
            'device': 'cpu',
            'precision': 'float32',
        },
        per_class=[
            {
                'label': name,
                'n': 20,
                'recall': 0.95,
                'recall_interval': [0.76, 0.99],
                'predicted': 22,
                'precision': 0.86,
                'precision_interval': [0.67, 0.95],
            }
            for name in ('daisy', MALICIOUS_NAME)
        ],
        confusion=[[19, 1], [3, 17]],
        misclassified=wrong,
        calibration={
            'temperature': 1.4,
            'ece_before': 0.08,
            'ece_after': 0.03,
            'bins': [{'low': 0.8, 'high': 0.9, 'n': 12, 'confidence': 0.84, 'accuracy': 0.75}],
        },
        curve=[{'epoch': 1, 'loss': 0.9, 'accuracy': 0.6}, {'epoch': 2, 'loss': 0.5, 'accuracy': 0.9}],
        seconds={'decode': 1.0, 'finetune': 3.0},
        engine=EngineInfo('openvino', agreement=1.0, largest_difference=2e-6),
        notes=('The batch was halved to 16.',),
        data_digest='d' * 64,
    )
    return json.loads(json.dumps(report.to_json()))


def create_source(tmp_path: Path) -> SourceModel:
    (tmp_path / 'leaf.safetensors').write_bytes(b'')
    return SourceModel.objects.create(
        name='graft-leaf',
        title='Leaves',
        architecture='mobilenet_v3_small',
        weights=str(tmp_path / 'leaf.safetensors'),
        digest='e' * 64,
        size=3_000_000,
        side=128,
        mean=[0.5, 0.5, 0.5],
        std=[0.2, 0.2, 0.2],
        dataset='Photos of leaves',
        images=2400,
        classes=2,
        class_names=['oak', 'elm'],
        origin='starter',
        approved_at=timezone.now(),
        licence='CC0',
    )


def create_reported_model(labelled: Project, job: Job, image: Image) -> TrainedModel:
    """A model whose report has every part; one of its misclassified images is gone."""
    wrong = [
        {
            'id': str(image.pk),
            'name': image.name,
            'label': 'daisy',
            'prediction': MALICIOUS_NAME,
            'score': 0.71,
        },
        {
            'id': '0' * 8 + '-0000-4000-8000-' + '0' * 12,
            'name': 'gone.jpg',
            'label': 'daisy',
            'prediction': 'rose',
            'score': 0.9,
        },
    ]
    return TrainedModel.objects.create(
        project=labelled,
        job=job,
        version=1,
        artifact='one',
        digest='c' * 64,
        labels=['daisy', MALICIOUS_NAME],
        source_name='graft-leaf',
        images=40,
        accuracy=0.9,
        accuracy_low=0.8,
        accuracy_high=0.95,
        report=make_full_report(wrong),
    )
