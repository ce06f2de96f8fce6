"""The arrows between rooms, as docs/architecture.md draws them: who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ('recognition', 'transfer', 'p2l')
TORCH_FREE = (
    'transfer.spec.train_spec',
    'transfer.spec.options',
    'transfer.runtime.atomic_write',
    'transfer.data.manifests',
    'transfer.data.decode',
    'transfer.zoo.weights',
    'transfer.serving.artifacts',
    'transfer.serving.classifier',
    'transfer.regions.postprocess',
    'transfer.serving.detector',
)
DOORS = ('api', 'compat', 'pages', 'management', 'admin')
# The only imports inside functions that reach the learning side (docs/architecture.md).
LAZY_DOORS = {
    'recognition.serving.prediction': 'transfer.serving.classifier',
    'transfer.worker': 'transfer.pipeline',
}


@dataclass(frozen=True)
class Import:
    module: str
    target: str
    line: int
    inside_function: bool

    def __str__(self) -> str:
        return f'{self.module}:{self.line} imports {self.target}'


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob('*.py')):
            if 'migrations' not in path.parts:
                name = '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
                yield name, ast.parse(path.read_text())


def imports() -> list[Import]:
    found = []
    for module, tree in modules():
        functions = [
            node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        inner = {id(node) for function in functions for node in ast.walk(function)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                targets = [f'{node.module}.{alias.name}' for alias in node.names]
            else:
                continue
            found += [Import(module, target, node.lineno, id(node) in inner) for target in targets]
    return found


IMPORTS = imports()


def is_within(name: str, room: str) -> bool:
    return name == room or name.startswith(f'{room}.')


def is_any(name: str, rooms: tuple[str, ...]) -> bool:
    return any(is_within(name, room) for room in rooms)


def test_the_walk_sees_the_imports_that_matter():
    seen = {(found.module, found.target) for found in IMPORTS}
    assert ('recognition.models.image', 'recognition.models.project.Project') in seen
    assert len(IMPORTS) > 100


def test_p2l_knows_only_numbers():
    allowed = ('numpy', 'scipy', 'sklearn', 'p2l', '__future__', *sys.stdlib_module_names)
    assert [
        str(found)
        for found in IMPORTS
        if is_within(found.module, 'p2l') and not is_any(found.target, allowed)
    ] == []


def test_only_the_worker_room_of_transfer_knows_django_and_celery():
    outside = ('django', 'celery', 'kombu', 'recognition', 'rest_framework')
    wrong = [
        found
        for found in IMPORTS
        if is_within(found.module, 'transfer')
        and not is_within(found.module, 'transfer.worker')
        and is_any(found.target, outside)
    ]
    assert [str(found) for found in wrong] == []


@pytest.mark.parametrize('module', TORCH_FREE)
def test_the_web_side_may_read_these_modules_because_they_import_no_torch(module):
    code = f'import sys, {module}; sys.exit("torch" in sys.modules or "django" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], cwd=ROOT).returncode == 0


def test_the_web_side_reaches_the_learning_side_through_named_doors_only():
    allowed = (*TORCH_FREE, 'transfer.worker')
    wrong = [
        found
        for found in IMPORTS
        if is_within(found.module, 'recognition')
        and is_within(found.target, 'transfer')
        and not is_any(found.target, allowed)
    ]
    assert [str(found) for found in wrong] == []


def test_doors_ask_use_cases_and_never_each_other_or_the_learning_side():
    wrong = []
    for found in IMPORTS:
        for door in DOORS:
            if is_within(found.module, f'recognition.{door}'):
                others = tuple(f'recognition.{other}' for other in DOORS if other != door)
                if is_any(found.target, (*others, 'transfer', 'p2l', 'torch')):
                    wrong.append(str(found))
    assert wrong == []


def test_models_know_only_django():
    allowed = ('django', 'recognition.models', '__future__', *sys.stdlib_module_names)
    wrong = [
        found
        for found in IMPORTS
        if is_within(found.module, 'recognition.models') and not is_any(found.target, allowed)
    ]
    assert [str(found) for found in wrong] == []


def test_the_two_detectors_do_not_know_each_other():
    pairs = (
        ('transfer.detection.rcnn', 'transfer.detection.fast_rcnn'),
        ('transfer.detection.fast_rcnn', 'transfer.detection.rcnn'),
    )
    wrong = [
        found
        for found in IMPORTS
        for room, other in pairs
        if is_within(found.module, room) and is_within(found.target, other)
    ]
    assert [str(found) for found in wrong] == []


def test_only_settings_read_the_environment():
    readers = {
        'recognition.settings',
        'recognition.env',
        'recognition.wsgi',
        'recognition.asgi',
        'recognition.celery',
    }
    wrong = []
    for module, tree in modules():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ('environ', 'getenv')
                and getattr(node.value, 'id', '') == 'os'
            ):
                wrong.append(f'{module}:{node.lineno}')
    assert [
        place
        for place in wrong
        if place.split(':')[0] not in readers | {'recognition.management.commands.serve'}
    ] == []


def test_importing_every_route_of_the_web_side_does_not_import_torch():
    code = (
        'import os, sys; os.environ["DJANGO_SETTINGS_MODULE"] = "recognition.settings"; import django; django.setup();'
        'from django.urls import get_resolver; get_resolver().url_patterns; import recognition.serving.prediction;'
        'sys.exit("torch" in sys.modules)'
    )
    finished = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-2000:]
