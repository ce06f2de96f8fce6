"""The manner of the code, held by a walk over the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = [
    path
    for package in ('recognition', 'transfer', 'p2l')
    for path in sorted((ROOT / package).rglob('*.py'))
    if 'migrations' not in path.parts
]
TESTS = sorted((ROOT / 'tests').rglob('*.py'))
WEB = [path for path in PRODUCT if 'recognition' in path.parts]
DOORS = [path for path in WEB if {'api', 'pages', 'admin', 'compat'} & set(path.parts)]
WRITES = {
    'save', 'create', 'bulk_create', 'bulk_update', 'get_or_create', 'update_or_create', 'update', 'delete',
}  # fmt: skip
# Calls of those names in doors that write no row, by file and source text, with the reason.
HARMLESS_CALLS = {
    ('recognition/api/models.py', 'trained_models.delete'): 'the use case of that name',
}
# What tests may replace in the product, with the reason. Constants (upper case) may be replaced too: a limit
# is lowered and a wait shortened, so that a test meets them. Everything else is used as it is.
REPLACED = {
    'transfer.detection.fast_rcnn.infer.pool_regions': 'counts the regions that are pooled',
    'transfer.detection.fast_rcnn.infer.postprocess_predictions': (
        'records what the network says of each region'
    ),
    'transfer.detection.rcnn.svm._fit': 'records which negatives each SVM is fitted to',
    'recognition.celery.app.send_task': 'there is no broker to send to',
    'recognition.management.bootstrap.call_command': (
        'a first start migrates; the database of the tests is migrated'
    ),
    'recognition.management.purge._purge_project': (
        'a user restores the project in the instant before it is purged'
    ),
    'recognition.serving.prediction._cache': 'a process that has loaded no model yet',
    'recognition.zoo.downloads.install_packaged': 'only who asks for the packaged source model is tested',
    'recognition.zoo.registration.store_upload': 'a user stops the import while its file is being stored',
    'recognition.zoo.subprocess_call.call': (
        'a child process would load torch for seconds; a test acts during its call'
    ),
    'transfer.detection.fast_rcnn.svd.truncate_svd': (
        "AlexNet's decomposition takes a minute, and the shapes alone count"
    ),
    'transfer.serving.export._choose': 'a processor without bfloat16 has nothing to choose',
    'transfer.zoo.signatures.compute.decode': 'the process dies in the middle of the images',
}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines without the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def place(path: Path, node: ast.AST) -> str:
    return f'{path.relative_to(ROOT)}:{getattr(node, "lineno", 0)}'


def test_functions_are_short():
    assert [
        f'{place(path, node)} {node.name}'
        for path in WEB
        for node in functions(path)
        if code_lines(node) > 45
    ] == []
    assert [
        f'{place(path, node)} {node.name}'
        for path in PRODUCT
        for node in functions(path)
        if code_lines(node) > 60
    ] == []


def test_most_functions_of_the_web_side_are_very_short():
    assert median(code_lines(node) for path in WEB for node in functions(path)) <= 10


def test_no_file_is_long():
    assert [str(path.relative_to(ROOT)) for path in PRODUCT if len(path.read_text().splitlines()) > 400] == []


def test_modules_are_named_for_a_subject():
    vague = {'utils', 'util', 'helpers', 'helper', 'common', 'misc', 'tools', 'core', 'base'}
    assert [str(path) for path in PRODUCT if path.stem in vague or path.parent.name in vague] == []


def test_no_class_is_called_for_doing_everything():
    vague = re.compile(r'(Manager|Handler|Helper|Processor|Service|Utils?)$')
    named = [
        f'{place(path, node)} {node.name}'
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and vague.search(node.name)
    ]
    assert named == []


def test_every_function_is_annotated():
    bare = []
    for path in PRODUCT:
        for node in functions(path):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            missing = [a.arg for a in arguments if a.annotation is None and a.arg not in ('self', 'cls')]
            if missing or node.returns is None:
                bare.append(f'{place(path, node)} {node.name}')
    assert bare == []


@pytest.mark.parametrize(
    'forbidden',
    [
        r'weights_only\s*=\s*False',
        r'\bimport pickle\b',
        r'\bpickle\.load',
        r'shell\s*=\s*True',
        r'except Exception:\s*\n\s*pass',
        r'except:\s*\n',
        r'@receiver\(',
        r'\bmark_safe\(',
        r'yaml\.load\(',
        r'/work/',
    ],
)
def test_a_forbidden_pattern_appears_nowhere(forbidden):
    pattern = re.compile(forbidden)
    sources = [*PRODUCT, *(path for path in TESTS if path.name != 'test_house_rules.py')]
    assert [str(path.relative_to(ROOT)) for path in sources if pattern.search(path.read_text())] == []


def test_library_code_does_not_print():
    """Commands and the zoo's build scripts speak to a person; nothing else does."""
    speakers = {'train_starter.py', 'sign_starter.py', 'build_class_means.py'}
    printing = [
        place(path, node)
        for path in PRODUCT
        if 'commands' not in path.parts and path.name not in speakers
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'print'
    ]
    assert printing == []


def writing_calls(tree: ast.AST) -> list[tuple[int, str]]:
    """Line and source of each call that may write rows; a serializer's own methods write none."""
    return [
        (node.lineno, ast.unparse(node.func))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in WRITES
        and 'serializer' not in ast.unparse(node.func)
    ]


def test_views_write_no_rows():
    calls = {
        (str(path.relative_to(ROOT)), source): line
        for path in DOORS
        for line, source in writing_calls(ast.parse(path.read_text()))
    }
    wrong = [
        f'{path}:{line} {source}'
        for (path, source), line in calls.items()
        if (path, source) not in HARMLESS_CALLS
    ]
    assert wrong == []
    assert set(HARMLESS_CALLS) - set(calls) == set()


@pytest.mark.parametrize(
    'code',
    ['Image.objects.filter(pk=1).update(x=2)', 'image.delete()', 'job.save()', 'Label.objects.create()'],
)
def test_a_view_that_writes_rows_is_caught(code):
    assert len(writing_calls(ast.parse(code))) == 1
    assert writing_calls(ast.parse('serializer.save(); labels.delete_label(image)')) == []


def test_tasks_are_doorways():
    path = ROOT / 'transfer' / 'worker' / 'tasks.py'
    assert [node.name for node in functions(path) if code_lines(node) > 20] == []


def test_commands_are_short():
    folder = ROOT / 'recognition' / 'management' / 'commands'
    long = [path.name for path in folder.glob('*.py') for node in functions(path) if code_lines(node) > 40]
    assert long == []


def test_pages_have_no_inline_scripts_or_styles():
    pattern = re.compile(
        r'<script(?![^>]*\bsrc=)(?![^>]*type="application/json")[^>]*>|\son\w+="|\sstyle="|<style'
    )
    wrong = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / 'templates').rglob('*.html'))
        if pattern.search(path.read_text())
    ]
    assert wrong == []


def last_name(function: ast.expr) -> str:
    return ast.unparse(function).split('(')[0].rsplit('.', 1)[-1]


def asserts(function: ast.AST, helpers: Iterable[str] = ()) -> bool:
    """Whether the code asserts: an assert, pytest.raises/warns/fail, expect(...), assert_...() or a helper
    that asserts."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = last_name(node.func)
            if name in ('raises', 'warns', 'fail', 'expect') or 'assert' in name.lower() or name in helpers:
                return True
    return False


@cache
def asserting_helpers() -> frozenset[str]:
    return frozenset(
        node.name
        for path in TESTS
        for node in functions(path)
        if not node.name.startswith('test_') and asserts(node)
    )


def test_every_test_asserts_something():
    silent = [
        f'{place(path, node)} {node.name}'
        for path in TESTS
        for node in functions(path)
        if node.name.startswith('test_') and not asserts(node, asserting_helpers())
    ]
    assert silent == []


def test_a_test_that_asserts_nothing_is_caught():
    assert not asserts(ast.parse('def test_x():\n    with open("a") as file:\n        file.read()'))
    assert not asserts(ast.parse('def test_x():\n    run()'), {'walk'})
    for code in (
        'with pytest.raises(KeyError): f()',
        'assert 1',
        'expect(page).to_have_title("x")',
        'check(1)',
    ):
        assert asserts(ast.parse(code), {'check'})


def replaced_names(tree: ast.AST) -> list[str]:
    """What a test replaces in the product's modules: `monkeypatch.setattr(module, 'name', ...)`, its string
    form, `patch`."""
    own: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and re.match(r'(recognition|transfer|p2l)\b', node.module or ''):
            own |= {alias.asname or alias.name: f'{node.module}.{alias.name}' for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split('.')[0] in ('recognition', 'transfer', 'p2l'):
                    own[alias.asname or alias.name.split('.')[0]] = (
                        alias.name if alias.asname else alias.name.split('.')[0]
                    )
    found = []
    for node in ast.walk(tree):
        if not (
            isinstance(node, ast.Call) and last_name(node.func) in ('setattr', 'delattr', 'patch', 'object')
        ):
            continue
        target, *more = node.args or [ast.Constant(None)]
        if isinstance(target, ast.Constant) and re.match(r'(recognition|transfer|p2l)\.', str(target.value)):
            found.append(str(target.value))
        elif (base := ast.unparse(target).split('.')[0]) in own and more:
            name = more[0].value if isinstance(more[0], ast.Constant) else '?'
            found.append('.'.join([own[base], *ast.unparse(target).split('.')[1:], str(name)]))
    return found


def test_tests_fake_only_the_outside():
    found = {
        (name, str(path.relative_to(ROOT)))
        for path in TESTS
        for name in replaced_names(ast.parse(path.read_text()))
    }
    assert (
        sorted(
            f'{path}: {name}'
            for name, path in found
            if name not in REPLACED and not name.rsplit('.', 1)[-1].isupper()
        )
        == []
    )
    assert set(REPLACED) - {name for name, _ in found} == set()


@pytest.mark.parametrize(
    'code',
    [
        "monkeypatch.setattr('recognition.zoo.catalog.load', None)",
        "patch('transfer.pipeline.train')",
        "from recognition.zoo import catalog\nmonkeypatch.setattr(catalog, 'load', None)",
        "from recognition.zoo.catalog import Row\nmock.patch.object(Row, 'save')",
        "import transfer.pipeline as pipeline\nmonkeypatch.delattr(pipeline, 'train')",
    ],
)
def test_a_replaced_part_of_the_product_is_caught(code):
    assert len(replaced_names(ast.parse(code))) == 1
    assert replaced_names(ast.parse("import os\nmonkeypatch.setattr(os, 'fsync', None)")) == []


def imported_tests(tree: ast.AST) -> list[str]:
    """Modules of the tests, but those of tests.support, that a test imports."""
    return [
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and re.match(r'tests\b', node.module or '')
        and not re.match(r'tests\.(support|benchmarks|mutants)\b', f'{node.module}.{node.names[0].name}')
    ]


def test_tests_import_from_support_modules_only():
    wrong = {str(path.relative_to(ROOT)): imported_tests(ast.parse(path.read_text())) for path in TESTS}
    assert {path: modules for path, modules in wrong.items() if modules} == {}


def test_an_import_from_another_test_is_caught():
    assert imported_tests(ast.parse('from tests.p2l.test_scores import f')) == ['tests.p2l.test_scores']
    assert imported_tests(ast.parse('from tests.support import photos')) == []
