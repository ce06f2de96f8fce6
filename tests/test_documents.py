"""Documents name files and tests that are there, in lines of 120 columns."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def find_missing_paths(document: str) -> list[str]:
    """Files and tests of the repository that a document names in `code` and that are not there."""
    missing = []
    for name in re.findall(
        r'`((?:recognition|transfer|p2l|tests|templates|static|docs)/[\w./{},:-]*)`', document
    ):
        path, _, test = name.partition('::')
        before, _, rest = path.partition('{')
        choices, _, after = rest.partition('}')
        paths = [ROOT / f'{before}{choice}{after}' for choice in choices.split(',')]
        there = all(each.exists() for each in paths)
        if not there or (test and f'def {test}(' not in paths[0].read_text()):
            missing.append(name)
    return missing


def test_documents_name_files_and_tests_that_are_there():
    wrong = {
        document.name: missing
        for document in [*sorted((ROOT / 'docs').glob('*.md')), *sorted(ROOT.glob('*.md'))]
        if document.name != 'CHANGELOG.md' and (missing := find_missing_paths(document.read_text()))
    }
    assert wrong == {}


def test_a_file_that_is_gone_is_caught():
    assert find_missing_paths('`p2l/scores.py`, `transfer/{runtime,data}/`, `docs/zoo.md`') == []
    assert find_missing_paths('`p2l/gone.py` `transfer/{data,gone}/`') == [
        'p2l/gone.py',
        'transfer/{data,gone}/',
    ]
    assert find_missing_paths('`tests/test_house_rules.py::test_gone`') == [
        'tests/test_house_rules.py::test_gone'
    ]


def find_long_lines(document: str, width: int = 120) -> list[int]:
    """Numbers of the lines of Markdown that are too long; tables, code and lines of one word (a link) are
    exempt."""
    in_code, long = False, []
    for number, line in enumerate(document.splitlines(), 1):
        in_code ^= line.lstrip().startswith('```')
        if (
            len(line) > width
            and not in_code
            and not line.startswith(('|', '    '))
            and ' ' in line.strip(' *-')
        ):
            long.append(number)
    return long


def test_documents_are_120_columns_wide():
    documents = [*sorted((ROOT / 'docs').glob('*.md')), *sorted(ROOT.glob('*.md'))]
    wide = {path.name: long for path in documents if (long := find_long_lines(path.read_text()))}
    assert wide == {}


def test_a_long_line_of_a_document_is_caught():
    long = 'word ' * 30
    assert find_long_lines(f'short\n{long}\n| {long} |\n```\n{long}\n```\n') == [2]
