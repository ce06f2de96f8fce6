"""The manner of the code, held by a walk over the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
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
DOORS = [path for path in WEB if {'api', 'pages', 'compat'} & set(path.parts)]


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
    speakers = {'starter.py', 'sign.py'}
    printing = [
        place(path, node)
        for path in PRODUCT
        if 'commands' not in path.parts and path.name not in speakers
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'print'
    ]
    assert printing == []


def test_views_write_no_rows():
    pattern = re.compile(r'\.(save|create|bulk_create|bulk_update|get_or_create|update_or_create)\(')
    wrong = [
        f'{path.relative_to(ROOT)}:{number}'
        for path in DOORS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line) and 'serializer' not in line
    ]
    assert wrong == []


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


def test_every_test_asserts_something():
    silent = []
    for path in TESTS:
        for node in functions(path):
            if node.name.startswith('test_'):
                told = any(
                    isinstance(inner, ast.Assert | ast.With)
                    or (isinstance(inner, ast.Call) and 'assert' in ast.unparse(inner.func).lower())
                    or (isinstance(inner, ast.Call) and 'expect' in ast.unparse(inner.func).lower())
                    for inner in ast.walk(node)
                )
                if not told:
                    silent.append(f'{place(path, node)} {node.name}')
    assert silent == []


def test_tests_fake_only_the_outside():
    pattern = re.compile(r"""(patch|setattr)\(\s*['"](recognition|p2l)\.""")
    assert [str(path.relative_to(ROOT)) for path in TESTS if pattern.search(path.read_text())] == []
