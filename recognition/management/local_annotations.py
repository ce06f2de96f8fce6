"""Import and export annotations from a shell, as the administrator."""

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
    """Import a folder, a zip or an annotation file into a project; without an id into a new one, which an
    error deletes again.

    Errors: NotFoundError, and those of annotation_import.import_files.
    """
    if not path.exists():
        raise NotFoundError(f'There is no folder or file {path}.')
    if project_id:
        project = projects.get_present(project_id)
        return project, _import(project, path, format, overwrite)
    with local_training.create_project_or_nothing(
        local_training.get_shell_user(), name or path.stem or 'Photos', Task.DETECTION
    ) as project:
        imported = _import(project, path, format, overwrite)
        if not project.images.exists():
            raise InvalidInputError(f'{path} contains no usable image.')
        return project, imported


def _import(project: Project, path: Path, format: str, overwrite: bool) -> AnnotationImport:
    if path.is_dir():
        return annotation_import.import_folder(
            project, local_training.get_shell_user(), path, format=format, overwrite=overwrite
        )
    with path.open('rb') as file:
        return annotation_import.import_files(
            project, local_training.get_shell_user(), [(path.name, file)], format=format, overwrite=overwrite
        )


def export_annotations(
    project_id: str, file: Path, format: str, *, photos: bool = True
) -> annotation_export.ExportManifest:
    """Write a project's annotations as a zip, atomically. Errors: NotFoundError, OSError."""
    project = projects.get_present(project_id)
    return annotation_export.write_zip_file(project, format, file, photos=photos)
