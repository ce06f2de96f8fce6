"""One word for one thing: docs/glossary.md lists the refused words, and this walk over names, schema and
prose holds them."""

from __future__ import annotations

import ast
import html
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KINDS = ('functions', 'identifiers', 'keys', 'text')
SOURCES = [
    path
    for package in ('recognition', 'transfer', 'p2l')
    for path in sorted((ROOT / package).rglob('*.py'))
    if 'migrations' not in path.parts
]
SUPPORT = sorted((ROOT / 'tests' / 'support').rglob('*.py'))
TEMPLATES = sorted((ROOT / 'templates').rglob('*.html'))
SCRIPTS = sorted((ROOT / 'static').rglob('*.js'))
# The glossary shows what it refuses, and the changelog what was renamed.
DOCUMENTS = [*sorted((ROOT / 'docs').glob('*.md')), *sorted(ROOT.glob('*.md'))]
EXEMPT = {'glossary.md', 'CHANGELOG.md'}
IRREGULAR = frozenset(
    """said told seen kept settled found drawn taught heard spoken begun taken known given gone left made
    sent written shown chosen grown thrown held brought bought sold meant met built won lost struck laid led
    paid""".split()  # noqa: SIM905
)
VERBS_IN_ED = frozenset({'embed', 'feed', 'need', 'seed', 'speed', 'exceed', 'shed', 'proceed', 'succeed'})
# Django calls these by adjectives: `Image.objects.labelled()`, a column of the admin.
ADJECTIVES = re.compile(r'(QuerySet|Manager|Admin|Inline|ReadOnly\w*)$')


# --- The list -----------------------------------------------------------------------------------------------


@cache
def refused_words() -> dict[str, dict[str, str]]:
    """By kind: each refused word with what to say instead."""
    section = (
        (ROOT / 'docs' / 'glossary.md').read_text().split('\n## Refused words\n', 1)[1].split('\n### ')[0]
    )
    words: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for word, kinds, instead in re.findall(r'^\| (\S[^|]*?) \| ([a-z, ]+?) \| ([^|]*?) \|$', section, re.M):
        if word == 'word':
            continue
        for kind in kinds.split(', '):
            words[kind][word] = instead
    return words


def allowed_in_rooms() -> set[tuple[str, str]]:
    """(room, word) where a refused word has another, plain meaning, as the glossary says."""
    section = (ROOT / 'docs' / 'glossary.md').read_text().split('\n### Allowed in one room\n', 1)[1]
    return set(re.findall(r'^\| `([^`]+)` \| (\w+) \| [^|]+ \|$', section, re.M))


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return '/'.join(parts[:2] if len(parts) > 2 else parts[:1])


# --- Names --------------------------------------------------------------------------------------------------


def find_names(tree: ast.AST) -> Iterator[str]:
    """Names that a module gives: of functions, classes, arguments, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def split_name(name: str) -> list[str]:
    return [part.lower() for part in re.findall(r'[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+', name)]


def refused_in_name(name: str, kind: str = 'identifiers') -> list[str]:
    """Refused words that are a part of a name; `put_back` is two parts in a row."""
    joined = f'_{"_".join(split_name(name))}_'
    return [word for word in refused_words()[kind] if f'_{word}_' in joined]


def find_functions(tree: ast.Module) -> Iterator[str]:
    """Names of functions and methods, but for properties, and filters and columns that Django calls by
    adjectives."""
    for node in ast.walk(tree):
        body = getattr(node, 'body', None)
        if not isinstance(node, ast.Module | ast.ClassDef) or not isinstance(body, list):
            continue
        if isinstance(node, ast.ClassDef) and any(
            ADJECTIVES.search(ast.unparse(base).split('[')[0]) for base in node.bases
        ):
            continue
        for function in body:
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and not any(
                re.search(r'property|setter|admin\.display', ast.unparse(decorator))
                for decorator in function.decorator_list
            ):
                yield function.name


def is_participle(name: str) -> bool:
    word = name.strip('_')
    return word in IRREGULAR or (word.endswith('ed') and '_' not in word and word not in VERBS_IN_ED)


def refused_functions(tree: ast.Module) -> list[str]:
    return [
        name
        for name in find_functions(tree)
        if is_participle(name) or name.strip('_') in refused_words()['functions']
    ]


def find_script_names(text: str) -> set[str]:
    """Identifiers of JavaScript: what is left without comments and strings."""
    text = re.sub(r'/\*.*?\*/|(?<![:\'"])//[^\n]*', ' ', text, flags=re.S)
    text = re.sub(r'`(?:\\.|[^`\\])*`|\'(?:\\.|[^\'\\\n])*\'|"(?:\\.|[^"\\\n])*"', ' ', text)
    return set(re.findall(r'[A-Za-z_$][\w$]*', text))


# --- Prose --------------------------------------------------------------------------------------------------


def refused_in_text(text: str) -> list[str]:
    flat = ' '.join(text.split())
    return [
        word
        for word in refused_words()['text']
        if re.search(rf'(?<![\w/.-]){re.escape(word)}(?![\w-])', flat, flags=re.I)
    ]


def find_prose(source: str) -> str:
    """Comments, docstrings and messages (strings of more than one word) of a Python file."""
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    strings = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ' ' in node.value.strip()
    ]
    return '\n'.join([*comments, *strings])


def visible_text(template: str) -> str:
    """What a reader sees of a template: no tags of Django or HTML, but the attributes that are read out."""
    template = re.sub(r'{#.*?#}|{%\s*comment\s*%}.*?{%\s*endcomment\s*%}', ' ', template, flags=re.S)
    read_out = re.findall(r'\b(?:title|placeholder|aria-label|alt|data-confirm)="([^"]*)"', template)
    strings = re.findall(r'(?:default|trans|blocktrans|pluralize)[^%}]*?"([^"]+)"', template)
    plain = re.sub(r'{%.*?%}|{{.*?}}|<[^>]*>', ' ', template, flags=re.S)
    return html.unescape('\n'.join([plain, *read_out, *strings]))


def document_prose(text: str) -> str:
    """A document without its code."""
    return re.sub(r'^```.*?^```|`[^`\n]*`|\]\([^)]*\)', ' ', text, flags=re.S | re.M)


# --- The tests ----------------------------------------------------------------------------------------------


def report(path: Path, findings: Iterable[tuple[str, str]]) -> list[str]:
    """The findings (refused word, where it stands) of a file but those that its room may have."""
    allowed = allowed_in_rooms()
    return [
        f'{path.relative_to(ROOT)}: {word} in {where}'
        for word, where in sorted(set(findings))
        if (room_of(path), word) not in allowed
    ]


def test_the_glossary_lists_refused_words():
    words = refused_words()
    assert {'shop', 'chance', 'optimiser'} <= set(words['identifiers'])
    assert 'said' in words['functions'] and 'deed' in words['keys'] and 'went astray' in words['text']
    assert all(words[kind] for kind in KINDS)


def test_names_follow_the_glossary():
    wrong = []
    for path in [*SOURCES, *SUPPORT]:
        names = {path.stem, *find_names(ast.parse(path.read_text()))}
        wrong += report(path, [(word, name) for name in names for word in refused_in_name(name)])
    assert wrong == []


def test_functions_are_verbs():
    wrong = []
    for path in SOURCES:
        wrong += report(
            path, [(name, 'a function') for name in refused_functions(ast.parse(path.read_text()))]
        )
    assert wrong == []


def test_exceptions_end_in_error():
    wrong = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base).rsplit('.', 1)[-1] for base in node.bases]
                is_exception = any(re.search(r'(Error|Exception)$', base) for base in bases)
                if is_exception and not node.name.endswith('Error'):
                    wrong += report(path, [(node.name, 'an exception')])
    assert wrong == []


def test_scripts_follow_the_glossary():
    wrong = []
    for path in SCRIPTS:
        names = find_script_names(path.read_text())
        wrong += report(path, [(word, name) for name in names for word in refused_in_name(name)])
    assert wrong == []


def test_the_schema_follows_the_glossary():
    from drf_spectacular.generators import SchemaGenerator

    schema = SchemaGenerator().get_schema(public=True)
    wrong = []
    for path, operations in schema['paths'].items():
        for part in path.split('/'):
            wrong += [f'{path}: {word}' for word in refused_in_name(part.replace('-', '_'), 'keys')]
        for operation in operations.values():
            wrong += [f'{path}: {word}' for word in refused_in_text(operation.get('description', ''))]
            for parameter in operation.get('parameters', ()):
                wrong += [f'{path}: {word}' for word in refused_in_name(parameter['name'], 'keys')]
    for name, component in schema['components']['schemas'].items():
        wrong += [f'{name}: {word}' for word in refused_in_text(component.get('description', ''))]
        for field, facts in component.get('properties', {}).items():
            wrong += [f'{name}.{field}: {word}' for word in refused_in_name(field, 'keys')]
            wrong += [f'{name}.{field}: {word}' for word in refused_in_text(facts.get('description', ''))]
    allowed = allowed_in_rooms()
    assert [place for place in wrong if ('schema', place.rsplit(': ', 1)[1]) not in allowed] == []


@pytest.mark.parametrize(
    ('paths', 'prose_of'),
    [
        (SOURCES, find_prose),
        (TEMPLATES, visible_text),
        ([path for path in DOCUMENTS if path.name not in EXEMPT], document_prose),
    ],
    ids=['sources', 'templates', 'documents'],
)
def test_prose_follows_the_glossary(paths, prose_of):
    wrong = []
    for path in paths:
        wrong += report(path, [(word, 'prose') for word in refused_in_text(prose_of(path.read_text()))])
    assert wrong == []


def test_a_refused_name_is_caught():
    names = list(
        find_names(ast.parse('class OpenShop:\n    def f(self, chance):\n        self.deed = told_twice = 1'))
    )
    assert sorted(word for name in names for word in refused_in_name(name)) == [
        'chance',
        'deed',
        'shop',
        'told',
    ]
    assert refused_in_name('workshops') == refused_in_name('bishop') == []
    assert refused_in_name('putBack') == ['put_back'] and refused_in_name('verdict', 'keys') == ['verdict']
    assert find_script_names('const shop = "chance"; // deed\nlet it = 1') == {'const', 'shop', 'let', 'it'}


def test_a_bare_participle_is_caught():
    code = """
def warped(): ...
def _seen(): ...
def embed(): ...
def extract_used(): ...
class A:
    def pooled(self): ...
    @property
    def labelled(self): ...
class B(models.QuerySet):
    def labelled(self): ...
"""
    assert refused_functions(ast.parse(code)) == ['warped', '_seen', 'pooled']


def test_refused_prose_is_caught():
    assert refused_in_text('The training\n went astray.') == ['astray', 'went astray']
    assert refused_in_text('An invented word: deedless.') == []
    assert refused_in_text(find_prose('# a deed\nx = "the verdict is"\ny = "verdict"')) == ['deed', 'verdict']
    assert refused_in_text(
        visible_text('<p class="deed">Fine {{ deed }}</p><a title="Your deeds">x</a>')
    ) == ['deeds']
    assert refused_in_text(document_prose('Use `deed`.\n```\nverdict\n```\n')) == []
