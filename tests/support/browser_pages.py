"""What several tests of the browser read from pages and write for them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from recognition.models import Project
from tests.support import sealed_classifier


def write_red_photo(folder: Path) -> str:
    """Write a red photo, which the classifier of the tests knows; return its path."""
    path = folder / 'red.jpg'
    path.write_bytes(sealed_classifier.photo('red', seed=99))
    return str(path)


def read_first_bar(page) -> str:
    """Return the class with the highest score that a project's page shows."""
    page.locator('#bars li').first.wait_for()
    return page.locator('#bars li').first.inner_text().split('\n')[0]


def count_labels(project: Project) -> Counter:
    """Count the images of each class; None counts those without one."""
    return Counter(project.images.values_list('label__name', flat=True))
