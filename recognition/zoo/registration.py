"""How a weights file becomes a source model: examined in a process of its own, then registered or refused."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.db import IntegrityError, transaction
from django.utils import timezone

from recognition import audit, naming
from recognition.errors import ConflictError, InvalidInputError, TooLargeError
from recognition.models import SourceModel, TrainedModel
from recognition.models.source_model import Origin
from recognition.zoo import catalog, subprocess_call
from transfer.zoo.weights import ARCHITECTURE_NAMES, LINEAR_HEAD, TIMM_PREFIX, file_digest

__all__ = [
    'ARCHITECTURE_NAMES',
    'SourceMetadata',
    'choose_weights_path',
    'ensure_zoo_folder',
    'import_source',
    'inspect_file',
    'parse_class_names',
    'read_class_names',
    'register',
    'store_upload',
    'validate_metadata',
]

SUFFIXES = ('.safetensors', '.pth', '.pt')
LARGEST = 4 * 2**30  # bytes; ViT-H, the largest network of the registry, has 2.5 GiB
LARGEST_NAMES = 2**20  # bytes of a list of class names; ImageNet-21k's has 400 kB
STARTER_PREFIX = 'graft-'  # names of our own sources, which nothing else may take
SECONDS_TO_EXAMINE = 180
SECONDS_TO_SIGN = 900  # a thousand images through a ResNet-18 take 20 to 60 s on two cores
MEMORY = 2 * 2**30  # bytes of an examining process besides COPIES of the file: torch itself takes 0.9 GB
COPIES = 6  # the file, its tensors widened, the network with its random weights, activations
NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_-]{0,119}')


@dataclass(frozen=True)
class SourceMetadata:
    """What an administrator says of a weights file. Empty fields are inferred where they can be."""

    name: str = ''  # default: the file's name
    architecture: str = ''  # default: the one whose name the file's begins with, or that its tensors fit
    dataset: str = ''
    domain: str = ''
    images: int = 0  # of that data set; default: as many as images_from holds
    class_names: tuple[str, ...] = ()  # default: FILE.classes.json beside the file
    licence: str = ''
    title: str = ''
    side: int = 0  # default: the architecture's usual one
    mean: tuple[float, ...] = ()  # of RGB in 0..1; default: the architecture's usual one
    std: tuple[float, ...] = ()
    images_from: Path | None = None  # a folder of the source's own images, to sign it with
    origin: Origin = Origin.IMPORTED
    approved: bool = True  # whether trainings may start from it at once
    signatures: dict[str, list[float]] = field(
        default_factory=dict
    )  # known already: digest of a reference -> mean feature
    own_signature: tuple[float, ...] = ()  # what its own data set looks like to it
    model: TrainedModel | None = None  # of this installation, promoted


def import_source(path: Path, said: SourceMetadata, user: AbstractBaseUser | None = None) -> SourceModel:
    """Copy a weights file of this machine into the zoo and register it, once it was found sound: a shell waits for it.

    Errors: InvalidInputError and TooLargeError (the file, or what was said of it), ConflictError (name or content known). Nothing is kept then.
    """
    if not path.is_file():
        raise InvalidInputError(f'There is no file {path}.', field='file')
    if not said.class_names:
        said = dataclasses.replace(said, class_names=_read_adjacent_class_names(path))
    said = validate_metadata(path.name, path.stat().st_size, said)
    file = choose_weights_path(said.name, path.suffix)
    try:
        shutil.copyfile(path, file)
        return register(inspect_file(file, path.name, said), user, approved=said.approved)
    except BaseException:
        if not SourceModel.objects.filter(weights=str(file)).exists():
            file.unlink(missing_ok=True)
        raise


def choose_weights_path(name: str, suffix: str) -> Path:
    """Where a file lies from its first byte on. It is never moved: what is examined is what will be used, and whose it is,
    nobody's yet or a source's, is for rows to say."""
    return ensure_zoo_folder() / f'{name}-{uuid.uuid4().hex[:12]}{suffix}'


def ensure_zoo_folder() -> Path:
    folder = Path(settings.ZOO_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def store_upload(upload: UploadedFile, file: Path) -> None:
    if isinstance(upload, TemporaryUploadedFile):
        shutil.move(
            upload.temporary_file_path(), file
        )  # a rename where both lie on one disk; docs/deploy.md says they should
    else:
        with file.open('wb') as target:
            target.writelines(upload.chunks())


def inspect_file(
    file: Path,
    shown: str,
    said: SourceMetadata,
    *,
    heard: Callable[[str], None] = lambda stage: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> SourceModel:
    """The row of a file that was found sound, not registered yet. `shown` is what its owner calls the file; `heard` and
    `meanwhile` are apart.ask's, the first with the stages of transfer.zoo.fetch.inspect_weights.

    Errors: InvalidInputError (the file is not sound, or not what was said), ConflictError (it is in the zoo already).
    """
    digest = file_digest(file)
    if twin := SourceModel.objects.filter(digest=digest).first():
        raise ConflictError(f'{shown} is in the zoo already, as {twin.name}.', field='file')
    found = _run_inspection(file, shown, said, heard, meanwhile)
    if said.class_names and len(said.class_names) != found['classes']:
        raise InvalidInputError(
            f'{len(said.class_names)} class names were given, but the network has {found["classes"]} classes.',
            field='classes',
        )
    images = said.images or found['signed_with']
    if images < 1:
        raise InvalidInputError('Say on how many images it was trained (images).', field='images')
    return SourceModel(
        name=said.name,
        title=said.title,
        architecture=found['architecture'],
        parameters=found['parameters'],
        weights=str(file),
        digest=digest,
        size=file.stat().st_size,
        side=found['side'],
        mean=list(said.mean) or found['mean'],
        std=list(said.std) or found['std'],
        dataset=said.dataset,
        domain=said.domain,
        images=images,
        class_names=list(said.class_names),
        classes=found['classes'],
        origin=said.origin,
        licence=said.licence,
        signatures=_collect_signatures(digest, said, found),
        model=said.model,
        project_id=None if said.model is None else said.model.project_id,
    )


def _collect_signatures(digest: str, said: SourceMetadata, found: dict[str, Any]) -> dict[str, list[float]]:
    """Under its own digest, under the reference whose data set it shares, and under the one that looked at its images now."""
    known = catalog.get_dataset_signatures(said.dataset) | said.signatures
    if said.own_signature:
        known[digest] = list(said.own_signature)
    return known | ({found['reference']: found['signature']} if found['signature'] else {})


def register(row: SourceModel, user: AbstractBaseUser | None, *, approved: bool) -> SourceModel:
    """Errors: ConflictError when the name was taken in the meantime."""
    row.added_by_id = None if user is None else user.pk
    if approved:
        row.approved_at, row.approved_by_id = timezone.now(), row.added_by_id
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            audit.record(user, 'add source', f'{row.name} ({row.digest[:12]})')
    except IntegrityError as error:
        raise ConflictError(f'There is a source called {row.name} already.', field='name') from error
    return row


def validate_metadata(file_name: str, size: int, said: SourceMetadata) -> SourceMetadata:
    """What was said of a file about to be read, with name and architecture filled in."""
    suffix = Path(file_name).suffix
    if suffix not in SUFFIXES:
        raise InvalidInputError(f'{file_name} is none of {", ".join(SUFFIXES)}.', field='file')
    if size > LARGEST:
        raise TooLargeError(f'{file_name} is larger than {LARGEST >> 30} GiB.', field='file')
    stem = file_name.removesuffix(suffix)
    return dataclasses.replace(
        said,
        name=validate_name(said.name or stem),
        architecture=_resolve_architecture(file_name, said.architecture),
        title=_clean_text(said.title, 'title', 200),
        dataset=_clean_text(said.dataset, 'dataset', 200),
        licence=_clean_text(said.licence, 'licence', 200),
        domain=_clean_text(said.domain, 'domain', 80),
    )


def _clean_text(value: str, field: str, longest: int) -> str:
    return naming.clean_name(value, field=field, longest=longest) if value.strip() else ''


def validate_name(wanted: str) -> str:
    """A name that a source may be given. Errors: InvalidInputError, ConflictError."""
    name = naming.clean_name(wanted, field='name')
    if not NAME.fullmatch(name):
        raise InvalidInputError(f'The name {name!r} may hold letters, digits, - and _ only.', field='name')
    if name.startswith(STARTER_PREFIX):
        raise InvalidInputError(
            f'Names that begin with {STARTER_PREFIX} are kept for sources that ship with Graft.', field='name'
        )
    if SourceModel.objects.filter(name=name).exists():
        raise ConflictError(f'There is a source called {name} already.', field='name')
    return name


def _resolve_architecture(file_name: str, said: str) -> str:
    if said.removesuffix(LINEAR_HEAD) in ARCHITECTURE_NAMES or said.startswith(TIMM_PREFIX):
        return said
    if said:
        raise InvalidInputError(
            f'There is no architecture {said!r}; `manage.py zoo list --architectures` names them.',
            field='architecture',
        )
    stem = file_name.rpartition('.')[0]
    fitting = [name for name in ARCHITECTURE_NAMES if re.match(re.escape(name) + r'([-_.]|$)', stem)]
    return max(fitting, key=len, default='')  # '': recognised by the names and shapes of its tensors


def _read_adjacent_class_names(path: Path) -> tuple[str, ...]:
    beside = path.with_name(f'{path.stem}.classes.json')
    return read_class_names(beside) if beside.is_file() else ()


def read_class_names(path: Path) -> tuple[str, ...]:
    """A list of names in output order: JSON, or one name a line. InvalidInputError naming the file, else."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f'{path.name} cannot be read: {error.strerror}.', field='classes') from error
    return parse_class_names(data, path.name)


def parse_class_names(data: bytes, name: str) -> tuple[str, ...]:
    """The class names in a file's content, or in what was typed: a JSON list, or one name a line.

    InvalidInputError saying what is wrong with `name`.
    """
    if len(data) > LARGEST_NAMES:
        raise InvalidInputError(f'{name} is larger than {LARGEST_NAMES >> 20} MiB.', field='classes')
    try:
        text = data.decode('utf-8-sig').strip()
        names = (
            json.loads(text)
            if text[:1] in ('[', '{')
            else [line for line in map(str.strip, text.splitlines()) if line]
        )
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            f'{name} can be read neither as JSON nor as lines of text.', field='classes'
        ) from error
    if not isinstance(names, list) or not all(isinstance(entry, str) for entry in names):
        raise InvalidInputError(f'{name} must hold a list of class names.', field='classes')
    return tuple(naming.make_printable(entry) for entry in names)


def _run_inspection(
    path: Path, shown: str, said: SourceMetadata, heard: Callable[[str], None], meanwhile: Callable[[], None]
) -> dict[str, Any]:
    """What a process of its own finds in the file; with `reference`, the digest of the model that signed it."""
    request: dict[str, Any] = {
        'path': str(path),
        'architecture': said.architecture,
        'side': said.side,
        'memory': MEMORY + COPIES * path.stat().st_size,
    }
    seconds, reference = SECONDS_TO_EXAMINE, ''
    if said.images_from is not None:
        if not said.images_from.is_dir():
            raise InvalidInputError(f'There is no folder {said.images_from}.', field='images_from')
        source = catalog.get_reference()
        request |= {'images_from': str(said.images_from), 'reference': dataclasses.asdict(source)}
        seconds, reference = SECONDS_TO_SIGN, source.digest
    with _name_file_in_errors(path.name, shown):
        found = subprocess_call.call(
            'transfer.zoo.fetch.inspect_weights',
            request,
            seconds=seconds,
            heard=lambda told: heard(told['stage']),
            meanwhile=meanwhile,
        )
    return found | {'reference': reference}


@contextmanager
def _name_file_in_errors(name: str, shown: str) -> Iterator[None]:
    """A refusal names the file as its owner does, not as it lies here, and is about it where it says nothing else."""
    try:
        yield
    except InvalidInputError as error:
        message = error.message.replace(name, shown)
        sentence = message if message.startswith(shown) else message[:1].upper() + message[1:]
        raise InvalidInputError(f'{sentence.rstrip(".")}.', field=error.field or 'file') from error
