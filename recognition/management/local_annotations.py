"""Boxes in and out from a shell, as whoever owns the installation."""

from __future__ import annotations

from pathlib import Path

from recognition.datasets import annotation_export, annotation_import, projects
from recognition.datasets.annotation_import import AnnotationImport
from recognition.errors import InvalidInputError, NotFoundError
from recognition.management import local_training
from recognition.models import Project
from recognition.models.project import Task


def import_path(
    path: Path, project_id: str, name: str, *, format: str = '', overwrite: bool = False
) -> tuple[Project, AnnotationImport]:
    """A folder, a zip or an annotation file into a project; without an id into a new one, which is gone again on an error.

    Errors: NotFoundError, and those of box_import.import_files.
    """
    if not path.exists():
        raise NotFoundError(f'There is no folder or file {path}.')
    if project_id:
        project = projects.get_present(project_id)
        return project, _import(project, path, format, overwrite)
    with local_training.whole_or_nothing(
        local_training.person(), name or path.stem or 'Boxes', Task.DETECTION
    ) as project:
        imported = _import(project, path, format, overwrite)
        if not project.images.exists():
            raise InvalidInputError(f'{path} holds no image that can be used.')
        return project, imported


def _import(project: Project, path: Path, format: str, overwrite: bool) -> AnnotationImport:
    if path.is_dir():
        return annotation_import.import_folder(
            project, local_training.person(), path, format=format, overwrite=overwrite
        )
    with path.open('rb') as file:
        return annotation_import.import_files(
            project, local_training.person(), [(path.name, file)], format=format, overwrite=overwrite
        )


def export_to(
    project_id: str, file: Path, format: str, *, photos: bool = True
) -> annotation_export.ExportManifest:
    """Write a project's annotations as a zip, atomically. Errors: NotFoundError, OSError."""
    project = projects.get_present(project_id)
    return annotation_export.write_zip_file(project, format, file, photos=photos)
