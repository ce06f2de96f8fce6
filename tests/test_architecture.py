"""Who may import whom, as the tables of docs/architecture.md say. The document is read, not repeated here."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ('recognition', 'transfer', 'p2l')
DOORS = tuple(f'recognition.{door}' for door in ('api', 'pages', 'admin', 'management', 'compat'))
DETECTORS = tuple(
    f'transfer.detection.{path.parent.name}'
    for path in sorted((ROOT / 'transfer' / 'detection').glob('*/__init__.py'))
)
USE_CASES = tuple(f'recognition.{room}' for room in ('datasets', 'jobs', 'zoo', 'training', 'serving'))
MODULES_OF_A_ROOM = 14
MODULES_OF_TRANSFER = 8
SHORT_MODULE = 30  # lines
FREE = frozenset(sys.stdlib_module_names)


@dataclass(frozen=True)
class Import:
    module: str
    target: str
    line: int = 0
    in_function: bool = False

    def __str__(self) -> str:
        return f'{self.module}:{self.line} imports {self.target}'


# --- Reading the sources ------------------------------------------------------------------------------------


@cache
def sources() -> dict[str, Path]:
    """Every module of the product by its dotted name; a package is its __init__.py. Migrations are left
    out."""
    return {
        '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__'): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob('*.py'))
        if 'migrations' not in path.parts
    }


def find_imports(module: str, tree: ast.Module, modules: Iterable[str]) -> list[Import]:
    """The imports of a module. `from a import b` is of a.b where that is a module, else of a."""
    modules = set(modules)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inner = {id(node) for function in functions for node in ast.walk(function)}
    result = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{module}:{node.lineno} imports relatively'
            parent = node.module or ''
            names = [f'{parent}.{alias.name}' for alias in node.names]
            targets = {name if name in modules else parent for name in names}
        else:
            continue
        result += [Import(module, target, node.lineno, id(node) in inner) for target in sorted(targets)]
    return [found for found in result if found.target.split('.')[0] not in FREE]


@cache
def all_imports() -> tuple[Import, ...]:
    modules = sources()
    return tuple(
        found
        for module, path in modules.items()
        for found in find_imports(module, ast.parse(path.read_text()), modules)
    )


def is_within(name: str, room: str) -> bool:
    return name == room or name.startswith(f'{room}.')


def is_any(name: str, rooms: Iterable[str]) -> bool:
    return any(is_within(name, room) for room in rooms)


def is_of_the_product(name: str) -> bool:
    return is_any(name, PACKAGES)


# --- Reading the document -----------------------------------------------------------------------------------


def read_rows(text: str, heading: str, number: int = 0) -> list[list[str]]:
    """The cells of the `number`-th table below a heading of a document, without its two head lines."""
    section = re.split(r'^#+ ', text.split(f'\n{heading}\n', 1)[1], maxsplit=1, flags=re.M)[0]
    tables = re.findall(r'(?:^\|.*\n)+', section, flags=re.M)
    rows = tables[number].splitlines()[2:]
    return [[cell.strip() for cell in row.strip('|').split('|')] for row in rows]


def code_words(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r'`([^`]+)`', cell))


def read_document() -> str:
    return (ROOT / 'docs' / 'architecture.md').read_text()


@cache
def allowed_arrows() -> dict[str, tuple[str, ...]]:
    rows = read_rows(read_document(), '### Room to room')
    return {code_words(room)[0]: (*code_words(own), *code_words(others)) for room, own, others in rows}


def pairs(heading: str) -> dict[tuple[str, str], str]:
    """Pairs (module, what it imports) of a table with their reasons."""
    rows = read_rows(read_document(), heading)
    return {(code_words(module)[0], code_words(target)[0]): reason for module, target, reason in rows}


def torch_free_modules() -> list[str]:
    return [code_words(row[0])[0] for row in read_rows(read_document(), '### Torch-free modules')]


# --- The rules ----------------------------------------------------------------------------------------------


def room_of(module: str, arrows: Mapping[str, tuple[str, ...]]) -> str | None:
    rooms = [room for room in arrows if is_within(module, room)]
    return max(rooms, key=len, default=None)


def forbidden_arrows(
    imports: Iterable[Import], arrows: Mapping[str, tuple[str, ...]], single: Iterable[tuple[str, str]]
) -> list[str]:
    single = set(single)
    wrong = []
    for found in imports:
        room = room_of(found.module, arrows)
        if room is None:
            wrong.append(f'{found.module} is of no room in docs/architecture.md')
        elif not (
            is_any(found.target, (room, *arrows[room]))
            or any(is_within(found.module, m) and is_within(found.target, t) for m, t in single)
        ):
            wrong.append(str(found))
    return sorted(set(wrong))


def find_circles(imports: Iterable[Import]) -> list[list[str]]:
    """Groups of modules that reach each other (strongly connected components, by Tarjan's algorithm)."""
    graph = defaultdict(set)
    for found in imports:
        if found.target != found.module:
            graph[found.module].add(found.target)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in sorted(graph[module]):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                circles.append(sorted(group))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return circles


def crowded_rooms(modules: Mapping[str, Path], exceptions: Mapping[str, int]) -> list[str]:
    sizes = Counter(
        module.rpartition('.')[0] for module, path in modules.items() if path.name != '__init__.py'
    )
    limits = {'transfer': MODULES_OF_TRANSFER, **exceptions}
    return [
        f'{room}: {size} modules'
        for room, size in sizes.items()
        if size > limits.get(room, MODULES_OF_A_ROOM)
    ]


def class_names(tree: ast.Module) -> list[str]:
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name != 'Command']


# --- The tests ----------------------------------------------------------------------------------------------


def test_the_walk_finds_the_imports_that_matter():
    pairs_found = {(found.module, found.target) for found in all_imports()}
    assert ('recognition.models.image', 'recognition.models.project') in pairs_found
    assert len(pairs_found) > 500


def test_every_import_is_an_arrow_of_the_table():
    assert forbidden_arrows(all_imports(), allowed_arrows(), pairs('### Single arrows')) == []


def test_a_forbidden_arrow_is_caught():
    arrows = {'recognition.models': ('django',), 'recognition': (), 'transfer.spec': ()}
    samples = [
        Import('recognition.models.job', 'transfer.pipeline'),
        Import('recognition.models.job', 'torch'),
        Import('transfer.spec.report', 'numpy'),
        Import('transfer.unknown', 'numpy'),
    ]
    assert len(forbidden_arrows(samples, arrows, [])) == 4
    assert forbidden_arrows([Import('recognition.models.job', 'django.db')], arrows, []) == []
    assert forbidden_arrows(samples[:1], arrows, [('recognition.models.job', 'transfer.pipeline')]) == []


def test_every_row_of_the_table_is_a_room_and_names_rooms():
    modules = sources()
    named = {room for room, targets in allowed_arrows().items() for room in (room, *targets)}
    missing = {name for name in named if is_of_the_product(name) and name not in modules}
    assert missing == set()


def test_the_table_opens_no_door_to_another_and_none_to_the_learning():
    """Doors ask use cases: what the table allows may not change that."""
    arrows = allowed_arrows()
    for door in DOORS:
        others = [other for other in DOORS if other != door]
        assert [
            target for target in arrows.get(door, ()) if is_any(target, (*others, 'transfer', 'p2l'))
        ] == []


def test_the_table_has_no_arrow_up():
    """Of the use cases, the later may import the earlier; models know only Django; the detectors are
    strangers."""
    arrows = allowed_arrows()
    for place, room in enumerate(USE_CASES):
        above = (*USE_CASES[place + 1 :], *DOORS, 'transfer.worker')
        assert [target for target in arrows[room] if is_any(target, above)] == []
    assert arrows['recognition.models'] == ('django',)
    for detector in DETECTORS:
        assert [
            target for target in arrows.get(detector, ()) if is_any(target, set(DETECTORS) - {detector})
        ] == []
    assert [target for target in arrows['p2l'] if is_of_the_product(target)] == []
    for room in (
        'transfer.features',
        'transfer.regions',
        'transfer.serving',
        'transfer.zoo',
        'transfer.data',
    ):
        above = (
            'transfer.selection',
            'transfer.finetune',
            'transfer.classification',
            'transfer.detection',
            'transfer.worker',
            'recognition',
            'django',
        )
        assert [target for target in arrows[room] if is_any(target, above)] == []


def test_the_detectors_do_not_know_each_other():
    wrong = [
        str(found)
        for found in all_imports()
        for detector in DETECTORS
        if is_within(found.module, detector) and is_any(found.target, set(DETECTORS) - {detector})
    ]
    assert wrong == []


def test_no_circle_runs_between_files():
    assert find_circles(all_imports()) == []


def test_a_circle_is_caught():
    ring = [
        Import('a.one', 'a.two'),
        Import('a.two', 'a.three'),
        Import('a.three', 'a.one', in_function=True),
    ]
    assert find_circles([*ring, Import('a.four', 'a.one')]) == [['a.one', 'a.three', 'a.two']]
    assert find_circles(ring[:2]) == []


def test_imports_inside_functions_are_those_of_the_table():
    found = {(item.module, item.target) for item in all_imports() if item.in_function}
    assert found == set(pairs('### Imports inside functions'))


def test_an_import_inside_a_function_is_caught():
    tree = ast.parse('import numpy\nclass A:\n    def f(self):\n        from transfer.spec import errors\n')
    found = find_imports('transfer.data.x', tree, ['transfer.spec.errors'])
    assert [(item.target, item.in_function) for item in found] == [
        ('numpy', False),
        ('transfer.spec.errors', True),
    ]


@pytest.mark.parametrize('heading', ['### Single arrows', '### Imports inside functions'])
def test_every_exception_has_a_reason_and_is_still_needed(heading):
    found = {(item.module, item.target) for item in all_imports()}
    for (module, target), reason in pairs(heading).items():
        assert reason
        assert any(m == module and is_within(t, target) for m, t in found), (module, target)


def test_the_web_side_may_read_these_modules_because_they_import_no_torch():
    code = f'import sys, {", ".join(torch_free_modules())}; sys.exit("torch" in sys.modules)'
    code = f'import os; os.environ["DJANGO_SETTINGS_MODULE"] = "recognition.settings"; {code}'
    assert subprocess.run([sys.executable, '-c', code], cwd=ROOT).returncode == 0


def test_the_web_side_reaches_the_learning_through_torch_free_modules_only():
    """Single arrows aside, which say why; a module that is imported inside a function is torch-free too."""
    single = pairs('### Single arrows')
    wrong = [
        str(found)
        for found in all_imports()
        if is_within(found.module, 'recognition')
        and is_within(found.target, 'transfer')
        and not is_any(found.target, (*torch_free_modules(), 'transfer.spec'))
        and (found.module, found.target) not in single
    ]
    assert wrong == []


def test_no_room_is_crowded():
    rows = read_rows(read_document(), '### Modules of a room')
    exceptions = {code_words(room)[0]: int(size) for room, size, reason in rows if reason}
    assert crowded_rooms(sources(), exceptions) == []


def test_a_crowded_room_is_caught():
    modules = {f'recognition.zoo.m{number}': Path(f'm{number}.py') for number in range(MODULES_OF_A_ROOM + 1)}
    assert crowded_rooms(modules, {}) == ['recognition.zoo: 15 modules']
    assert crowded_rooms(modules, {'recognition.zoo': 15}) == []


def test_no_two_classes_of_the_product_share_a_name():
    places = defaultdict(list)
    for module, path in sources().items():
        for name in class_names(ast.parse(path.read_text())):
            places[name].append(module)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_a_small_module_is_merged_into_its_one_importer():
    boundaries = [
        code_words(row[0])[0] for row in read_rows(read_document(), '### Modules of a room', number=1)
    ]
    importers = defaultdict(set)
    for found in all_imports():
        importers[found.target].add(found.module)
    lonely = [
        f'{module} is imported by {", ".join(importers[module]) or "no module"}'
        for module, path in sources().items()
        if path.name != '__init__.py'
        and len(path.read_text().splitlines()) < SHORT_MODULE
        and len(importers[module]) <= 1
        and not is_any(module, boundaries)
    ]
    assert lonely == []


def test_only_settings_read_the_environment():
    readers = {
        'recognition.settings',
        'recognition.env',
        'recognition.wsgi',
        'recognition.celery',
        'recognition.management.commands.serve',
    }
    wrong = {
        module
        for module, path in sources().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ('environ', 'getenv')
        and getattr(node.value, 'id', '') == 'os'
    }
    assert wrong - readers == set()


def test_importing_every_route_of_the_web_side_does_not_import_torch():
    code = (
        'import os, sys; os.environ["DJANGO_SETTINGS_MODULE"] = "recognition.settings"; import django;'
        'django.setup(); from django.urls import get_resolver; get_resolver().url_patterns;'
        'import recognition.serving.prediction; sys.exit("torch" in sys.modules)'
    )
    finished = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-2000:]
