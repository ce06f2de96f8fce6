"""Promotion: a finished model is offered as a new source by an owner of its project, and approved by an administrator.

Nobody may start from it before it is approved. Then the members of its project may; everyone else only if an owner agreed to
that as well, and an owner may take that back at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from transfer.serving import artifacts
from transfer.serving.artifacts import Meta
from transfer.spec.errors import ArtifactError
from transfer.zoo.weights import LINEAR_HEAD


@dataclass(frozen=True)
class Offer:
    """What an owner says of a model. Everyone who may start from it reads this, its classes and its number of photos."""

    share: bool  # whether people outside the project may start from it too
    name: str = ''  # default: made from the project's name
    title: str = ''
    domain: str = ''
    licence: str = ''


def find_offered(model: TrainedModel) -> SourceModel | None:
    """The source that was made of a model, as long as it was not taken out of the zoo."""
    return SourceModel.objects.filter(model=model, removed_at=None).select_related('approved_by').first()


def offer(model: TrainedModel, said: Offer, user: AbstractBaseUser) -> SourceModel:
    """Offer a finished model as a source; offered again, only the consent to share is changed.

    Of a detector its body is offered, under a linear head (transfer.detection.backbone_export). Errors: ConflictError (not finished; the name
    is taken), InvalidInputError (a detector without such a part; a name's letters), ModelUnavailableError (its artifact is damaged).
    """
    _check_finished(model)
    row = SourceModel.objects.filter(model=model).first()
    if row is None:
        meta = _read_artifact_meta(model)
        weights = storage.artifact_folder(model.artifact) / (
            artifacts.SOURCE if _is_detector(model) else artifacts.WEIGHTS
        )
        row = registration.import_source(weights, _build_metadata(model, meta, said), user)
        audit.record(user, 'offer source', f'{row.name} from model {model.pk}')
    elif row.removed_at is not None:
        _offer_again(row, user)
    _set_sharing(row, said.share, user)
    row.refresh_from_db()
    return row


def withdraw(model: TrainedModel, user: AbstractBaseUser) -> None:
    """Take it out of the zoo; models made from it keep it. Errors: NotFoundError (it is not offered), ConflictError (the reference)."""
    row = find_offered(model)
    if row is None:
        raise NotFoundError('This model is not offered as a source.')
    _set_sharing(row, False, user)
    catalog.remove(row.name, user)


def is_possible(model: TrainedModel) -> bool:
    """Whether it is of the kind that can be offered, and finished."""
    return _is_finished(model) and not _explain_unsuitable(model)


def _is_finished(model: TrainedModel) -> bool:
    return not model.provisional and (model.job is None or model.job.state in ENDED)


def _check_finished(model: TrainedModel) -> None:
    if not _is_finished(model):
        raise ConflictError('It is not finished: wait for the end of its training.')
    if lacks := _explain_unsuitable(model):
        raise InvalidInputError(lacks)


def _is_detector(model: TrainedModel) -> bool:
    return model.task == Task.DETECTION


def _explain_unsuitable(model: TrainedModel) -> str:
    """Why it cannot be a source; '' when it can."""
    if not _is_detector(model):
        return ''
    why = model.report.get('detection', {}).get('backbone')
    if why is None:
        return 'This detector is of a time when detectors could not be sources: train it again.'
    return f'What this detector learned could not be made a source: {why}.' if why else ''


def _list_class_names(model: TrainedModel) -> tuple[str, ...]:
    """A detector's head, as a source, tells what was boxed from background."""
    return (*model.labels, BACKGROUND) if _is_detector(model) else tuple(model.labels)


def count_train_images(model: TrainedModel) -> int:
    """Of a detector: of the one that is served, which need not have learned from all of them."""
    return int(model.report['detection']['final_train_images']) if _is_detector(model) else model.images


def _resolve_architecture(meta: Meta) -> str:
    """Architecture.replace_head gives SqueezeNet a layer where its family has a convolution; the others keep their form."""
    changed = meta.architecture.startswith('squeezenet') and not meta.architecture.endswith(LINEAR_HEAD)
    return meta.architecture + LINEAR_HEAD if changed else meta.architecture


def _read_artifact_meta(model: TrainedModel) -> Meta:
    folder = storage.artifact_folder(model.artifact)
    try:
        meta = artifacts.read_meta(folder)
        artifacts.verify(folder, meta)
    except ArtifactError as error:
        raise ModelUnavailableError(f'The model cannot be offered: {error.message}.') from error
    return meta


def _build_metadata(model: TrainedModel, meta: Meta, said: Offer) -> registration.SourceMetadata:
    known = model.report.get('signature') or {}
    return registration.SourceMetadata(
        name=said.name or _choose_name(model),
        architecture=_resolve_architecture(meta),
        # The same for all models of a project: a shortlist takes three of one data set at most. It tells no name.
        dataset=f'photos of project {str(model.project_id)[:8]}',
        domain=said.domain,
        images=count_train_images(model),
        class_names=_list_class_names(model),
        licence=said.licence,
        title=said.title,
        side=meta.preprocessing.side,
        mean=meta.preprocessing.mean,
        std=meta.preprocessing.std,
        origin=Origin.PROMOTED,
        approved=False,
        signatures={known['reference']: known['mean']} if known else {},
        model=model,
    )


def _choose_name(model: TrainedModel) -> str:
    """Said by nobody, so it gives way: a taken name would tell of a source that this person may not see."""
    name = f'{slugify(model.project.name)[:80] or "project"}-v{model.version}'
    taken = SourceModel.objects.filter(name=name).exists() or name.startswith(registration.STARTER_PREFIX)
    return f'{name}-{model.digest[:6]}'.removeprefix(registration.STARTER_PREFIX) if taken else name


def _offer_again(row: SourceModel, user: AbstractBaseUser) -> None:
    """It waits for approval as if it were new."""
    gone = SourceModel.objects.filter(pk=row.pk).exclude(removed_at=None)
    cleared = {'removed_at': None, 'removed_by': None, 'retired_at': None, 'retired_by': None}
    if gone.update(**cleared, approved_at=None, approved_by=None, shared_at=None, shared_by=None):
        audit.record(user, 'offer source', row.name)


def _set_sharing(row: SourceModel, share: bool, user: AbstractBaseUser) -> None:
    """The owner's consent that others may use it, given or taken back."""
    rows = SourceModel.objects.filter(pk=row.pk)
    if share and rows.filter(shared_at=None).update(shared_at=timezone.now(), shared_by_id=user.pk):
        audit.record(user, 'share source', row.name)
    if not share and rows.exclude(shared_at=None).update(shared_at=None, shared_by=None):
        audit.record(user, 'unshare source', row.name)
