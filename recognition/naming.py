"""Validate names that users enter: text that every database can store and every page can show."""

from __future__ import annotations

import unicodedata

from recognition.errors import InvalidInputError

# Control, format-breaking and unassigned characters: PostgreSQL refuses NUL, no encoder takes a lone
# surrogate, and a bidirectional override makes a name read as another one.
HIDDEN_CATEGORIES = {'Cc', 'Cs', 'Co', 'Cn'}
BIDIRECTIONAL_CHARACTERS = set('\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069')


def clean_name(value: object, *, field: str, longest: int = 120) -> str:
    """Normalize and check a name: NFC, without control characters, 1 to `longest` characters. Error:
    InvalidInputError.
    """
    if not isinstance(value, str):
        raise InvalidInputError(f'{field} must be text', field=field)
    name = unicodedata.normalize('NFC', value).strip()
    if any(
        unicodedata.category(letter) in HIDDEN_CATEGORIES or letter in BIDIRECTIONAL_CHARACTERS
        for letter in name
    ):
        raise InvalidInputError(f'{field} has characters that cannot be shown', field=field)
    if not name:
        raise InvalidInputError(f'{field} must not be empty', field=field)
    if len(name) > longest:
        raise InvalidInputError(f'{field} is longer than {longest} characters', field=field)
    return name


def make_printable(value: str, longest: int = 255) -> str:
    """Make a file's name safe to store and show, with its suffix. Never fails; the result is never used as a
    path.
    """
    text = ''.join(
        '\ufffd'
        if unicodedata.category(letter) in HIDDEN_CATEGORIES or letter in BIDIRECTIONAL_CHARACTERS
        else letter
        for letter in unicodedata.normalize('NFC', value)
    ).strip()
    if len(text) > longest:
        half = (longest - 1) // 2
        text = f'{text[:half]}…{text[-half:]}'
    return text or 'unnamed'
