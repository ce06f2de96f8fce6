"""Promotion: a finished model is offered as a new source by an owner of its project, and approved by an
administrator.

Nobody may start from it before it is approved. Then the members of its project may; everyone else only if an
owner also agreed to share it. An owner may undo that at any time.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone
from django.utils.text import slugify

from recognition import audit, storage
from recognition.errors import ConflictError, InvalidInputError, ModelUnavailableError, NotFoundError
from recognition.models import SourceModel, TrainedModel
from recognition.models.job import ENDED
from recognition.models.project import Task
from recognition.models.source_model import Origin
from recognition.zoo import catalog, registration
from transfer.data.manifests import BACKGROUND
from transfer.serving import artifacts, source_weights
from transfer.serving.artifacts import ArtifactMeta
from transfer.spec.errors import ArtifactError
from transfer.zoo.weights import LINEAR_HEAD


@dataclass(frozen=True)
class PromotionTerms:
    """What an owner states about a model. Everyone who may start from it can read this, its classes and its
    number of photos.
    """

    share: bool  # whether users outside the project may start from it too
    name: str = ''  # default: made from the project's name
    title: str = ''
    domain: str = ''
    licence: str = ''


def find_promoted(model: TrainedModel) -> SourceModel | None:
    """Find the source that a model was promoted to, unless it was removed from the zoo."""
    return SourceModel.objects.filter(model=model, removed_at=None).select_related('approved_by').first()


def submit(model: TrainedModel, terms: PromotionTerms, user: AbstractBaseUser) -> SourceModel:
    """Submit a finished model as a source model; if it is offered already, only the consent to share is
    changed.

    Of a detector the backbone is offered, with a linear head (transfer.detection.backbone_export); of several
    networks that answer together, that of the chosen source. Errors:
    ConflictError (not finished; the name is taken), InvalidInputError (a detector without a backbone to
    offer; the characters of the name), ModelUnavailableError (its artifact is damaged).
    """
    _check_finished(model)
    row = SourceModel.objects.filter(model=model).first()
    if row is None:
        meta = _read_artifact_meta(model)
        with _open_weights(model, meta) as weights:
            row = registration.import_source(weights, _build_metadata(model, meta, terms), user)
        audit.record(user, 'submit source', f'{row.name} from model {model.pk}')
    elif row.removed_at is not None:
        _submit_again(row, user)
    _set_sharing(row, terms.share, user)
    row.refresh_from_db()
    return row


def withdraw(model: TrainedModel, user: AbstractBaseUser) -> None:
    """Remove an offered source from the zoo; models that are based on it keep it.

    Errors: NotFoundError (it is not offered), ConflictError (the reference).
    """
    row = find_promoted(model)
    if row is None:
        raise NotFoundError('This model is not offered as a source.')
    _set_sharing(row, False, user)
    catalog.remove(row.name, user)


def is_possible(model: TrainedModel) -> bool:
    """Whether a model can be offered: it is finished, and a detector has a backbone to offer."""
    return _is_finished(model) and not _explain_unsuitable(model)


def _is_finished(model: TrainedModel) -> bool:
    return not model.provisional and (model.job is None or model.job.state in ENDED)


def _check_finished(model: TrainedModel) -> None:
    if not _is_finished(model):
        raise ConflictError('The model is not finished: wait until its training has ended.')
    if lacks := _explain_unsuitable(model):
        raise InvalidInputError(lacks)


def _is_detector(model: TrainedModel) -> bool:
    return model.task == Task.DETECTION


def _explain_unsuitable(model: TrainedModel) -> str:
    """Why a model cannot be a source model; '' when it can."""
    if not _is_detector(model):
        return ''
    why = model.report.get('detection', {}).get('backbone')
    if why is None:
        return 'This detector was trained by a version without this feature: train it again.'
    return f'The backbone of this detector cannot be a source model: {why}.' if why else ''


def _list_class_names(model: TrainedModel) -> tuple[str, ...]:
    """The classes of the source: of a detector, those of its boxes and background."""
    return (*model.labels, BACKGROUND) if _is_detector(model) else tuple(model.labels)


def count_train_images(model: TrainedModel) -> int:
    """Images that the served model was trained on; a detector need not have used all of them."""
    return int(model.report['detection']['final_train_images']) if _is_detector(model) else model.images


@contextlib.contextmanager
def _open_weights(model: TrainedModel, meta: ArtifactMeta) -> Iterator[Path]:
    """The file that holds the model as a source model.

    Where it must be cut out of the artifact, it is deleted afterwards.
    """
    folder = storage.artifact_folder(model.artifact)
    if _is_detector(model):
        yield folder / artifacts.SOURCE
    elif source_weights.has_own_names(meta):
        yield folder / artifacts.WEIGHTS
    else:
        with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as scratch:
            path = Path(scratch) / artifacts.WEIGHTS
            source_weights.write_source_weights(folder, meta, path)
            yield path


def _resolve_architecture(meta: ArtifactMeta) -> str:
    """Architecture.replace_head gives SqueezeNet a layer where its family has a convolution; the others keep
    their form.
    """
    changed = meta.architecture.startswith('squeezenet') and not meta.architecture.endswith(LINEAR_HEAD)
    return meta.architecture + LINEAR_HEAD if changed else meta.architecture


def _read_artifact_meta(model: TrainedModel) -> ArtifactMeta:
    folder = storage.artifact_folder(model.artifact)
    try:
        meta = artifacts.read_meta(folder)
        artifacts.verify(folder, meta)
    except ArtifactError as error:
        raise ModelUnavailableError(f'The model cannot be offered: {error.message}.') from error
    return meta


def _build_metadata(
    model: TrainedModel, meta: ArtifactMeta, terms: PromotionTerms
) -> registration.SourceMetadata:
    known = model.report.get('signature') or {}
    return registration.SourceMetadata(
        name=terms.name or _choose_name(model),
        architecture=_resolve_architecture(meta),
        # The same for all models of a project: a shortlist takes three of one data set at most. It tells no
        # name.
        dataset=f'photos of project {str(model.project_id)[:8]}',
        domain=terms.domain,
        images=count_train_images(model),
        class_names=_list_class_names(model),
        licence=terms.licence,
        title=terms.title,
        side=meta.preprocessing.side,
        mean=meta.preprocessing.mean,
        std=meta.preprocessing.std,
        origin=Origin.PROMOTED,
        approved=False,
        signatures={known['reference']: known['mean']} if known else {},
        model=model,
    )


def _choose_name(model: TrainedModel) -> str:
    """Choose a free name: an error about a taken one would reveal a source that the user may not see."""
    name = f'{slugify(model.project.name)[:80] or "project"}-v{model.version}'
    taken = SourceModel.objects.filter(name=name).exists() or name.startswith(registration.STARTER_PREFIX)
    return f'{name}-{model.digest[:6]}'.removeprefix(registration.STARTER_PREFIX) if taken else name


def _submit_again(row: SourceModel, user: AbstractBaseUser) -> None:
    """Submit a withdrawn source again: it waits for approval like a new one."""
    gone = SourceModel.objects.filter(pk=row.pk).exclude(removed_at=None)
    cleared = {'removed_at': None, 'removed_by': None, 'retired_at': None, 'retired_by': None}
    if gone.update(**cleared, approved_at=None, approved_by=None, shared_at=None, shared_by=None):
        audit.record(user, 'submit source', row.name)


def _set_sharing(row: SourceModel, share: bool, user: AbstractBaseUser) -> None:
    """Give or withdraw the owner's consent that others may use it."""
    rows = SourceModel.objects.filter(pk=row.pk)
    if share and rows.filter(shared_at=None).update(shared_at=timezone.now(), shared_by_id=user.pk):
        audit.record(user, 'share source', row.name)
    if not share and rows.exclude(shared_at=None).update(shared_at=None, shared_by=None):
        audit.record(user, 'unshare source', row.name)
