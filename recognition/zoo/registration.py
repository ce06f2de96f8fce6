"""Register a weights file as a source model: it is inspected in a subprocess, then registered or refused."""

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

SUFFIXES = ('.safetensors', '.pth', '.pt')
MAX_BYTES = 4 * 2**30  # ViT-H, the largest network of the registry, has 2.5 GiB
MAX_CLASS_NAMES_BYTES = 2**20  # ImageNet-21k's list has 400 kB
STARTER_PREFIX = 'graft-'  # of the names of sources that ship with Graft; nothing else may use it
INSPECTION_SECONDS = 180
SIGNATURE_SECONDS = 900  # a thousand images through a ResNet-18 take 20 to 60 s on two cores
# Bytes of an inspecting process besides the copies of the file: torch itself takes 0.9 GB.
BASE_MEMORY = 2 * 2**30
FILE_COPIES = 6  # the file, its tensors widened, the network with its random weights, activations
NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_-]{0,119}')


@dataclass(frozen=True)
class SourceMetadata:
    """What is said of a weights file that is imported. Empty fields are inferred where they can be."""

    name: str = ''  # default: the file's name
    architecture: str = ''  # default: the one whose name the file's begins with, or that its tensors fit
    dataset: str = ''
    domain: str = ''
    images: int = 0  # of that data set; default: as many as images_from holds
    class_names: tuple[str, ...] = ()  # default: FILE.classes.json beside the file
    licence: str = ''
    title: str = ''
    side: int = 0  # input side in pixels; default: the architecture's usual one
    mean: tuple[float, ...] = ()  # of RGB in 0..1; default: the architecture's usual one
    std: tuple[float, ...] = ()
    images_from: Path | None = None  # a folder of the source's training images, to compute its signature
    origin: Origin = Origin.IMPORTED
    approved: bool = True  # whether trainings may start from it at once
    # Known signatures: digest of a reference model -> mean feature.
    signatures: dict[str, list[float]] = field(default_factory=dict)
    own_signature: tuple[float, ...] = ()  # under the model itself: the mean feature of its own data set
    model: TrainedModel | None = None  # of this installation, when it is promoted


@dataclass(frozen=True)
class Inspection:
    """What the subprocess found in a weights file (transfer.zoo.fetch.inspect_weights)."""

    architecture: str
    parameters: int
    classes: int
    side: int
    mean: list[float]
    std: list[float]
    signature: list[float]  # empty: no images were given
    signature_images: int
    reference: str  # digest of the reference model that computed the signature


def list_architectures() -> tuple[str, ...]:
    """List the names of the networks whose weights can be imported."""
    return ARCHITECTURE_NAMES


def import_source(path: Path, metadata: SourceMetadata, user: AbstractBaseUser | None = None) -> SourceModel:
    """Copy a weights file of this machine into the zoo, inspect and register it while the caller waits.

    Errors: InvalidInputError and TooLargeError (the file, or its metadata), ConflictError (name or content
    known). Nothing is kept then.
    """
    if not path.is_file():
        raise InvalidInputError(f'There is no file {path}.', field='file')
    if not metadata.class_names:
        metadata = dataclasses.replace(metadata, class_names=_read_adjacent_class_names(path))
    metadata = validate_metadata(path.name, path.stat().st_size, metadata)
    file = choose_weights_path(metadata.name, path.suffix)
    try:
        shutil.copyfile(path, file)
        return register(inspect_file(file, path.name, metadata), user, approved=metadata.approved)
    except BaseException:
        if not SourceModel.objects.filter(weights=str(file)).exists():
            file.unlink(missing_ok=True)
        raise


def choose_weights_path(name: str, suffix: str) -> Path:
    """Choose where a weights file lies from its first byte on.

    It is never moved: the file that is inspected is the file that is used. Rows say whose it is: an import
    job's or a source's.
    """
    return ensure_zoo_folder() / f'{name}-{uuid.uuid4().hex[:12]}{suffix}'


def ensure_zoo_folder() -> Path:
    folder = Path(settings.ZOO_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def store_upload(upload: UploadedFile, file: Path) -> None:
    if isinstance(upload, TemporaryUploadedFile):
        # A rename where both lie on one disk; docs/deploy.md says that they should.
        shutil.move(upload.temporary_file_path(), file)
    else:
        with file.open('wb') as target:
            target.writelines(upload.chunks())


def inspect_file(
    file: Path,
    file_name: str,
    metadata: SourceMetadata,
    *,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_tick: Callable[[], None] = lambda: None,
) -> SourceModel:
    """Inspect a weights file and return its row, which is not saved yet.

    file_name: what its owner calls the file. `on_stage` gets the stages of
    transfer.zoo.fetch.inspect_weights; `on_tick` is called twice a second.

    Errors: InvalidInputError (the file is not sound, or does not agree with its metadata), ConflictError (it
    is in the zoo).
    """
    digest = file_digest(file)
    if twin := SourceModel.objects.filter(digest=digest).first():
        raise ConflictError(f'{file_name} is in the zoo already, as {twin.name}.', field='file')
    inspection = _run_inspection(file, file_name, metadata, on_stage, on_tick)
    if metadata.class_names and len(metadata.class_names) != inspection.classes:
        raise InvalidInputError(
            f'{len(metadata.class_names)} class names were given, '
            f'but the network has {inspection.classes} classes.',
            field='classes',
        )
    if not (metadata.images or inspection.signature_images):
        raise InvalidInputError('Say on how many images it was trained (images).', field='images')
    return _build_row(file, digest, metadata, inspection)


def _build_row(file: Path, digest: str, metadata: SourceMetadata, inspection: Inspection) -> SourceModel:
    return SourceModel(
        name=metadata.name,
        title=metadata.title,
        architecture=inspection.architecture,
        parameters=inspection.parameters,
        weights=str(file),
        digest=digest,
        size=file.stat().st_size,
        side=inspection.side,
        mean=list(metadata.mean) or inspection.mean,
        std=list(metadata.std) or inspection.std,
        dataset=metadata.dataset,
        domain=metadata.domain,
        images=metadata.images or inspection.signature_images,
        class_names=list(metadata.class_names),
        classes=inspection.classes,
        origin=metadata.origin,
        licence=metadata.licence,
        signatures=_collect_signatures(digest, metadata, inspection),
        model=metadata.model,
        project_id=None if metadata.model is None else metadata.model.project_id,
    )


def _collect_signatures(
    digest: str, metadata: SourceMetadata, inspection: Inspection
) -> dict[str, list[float]]:
    """Under itself, under the reference whose data set it shares, and under the one that saw its images just
    now.
    """
    known = catalog.get_dataset_signatures(metadata.dataset) | metadata.signatures
    if metadata.own_signature:
        known[digest] = list(metadata.own_signature)
    return known | ({inspection.reference: inspection.signature} if inspection.signature else {})


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


def validate_metadata(file_name: str, size: int, metadata: SourceMetadata) -> SourceMetadata:
    """Check the metadata of a file that is about to be read, and fill in name and architecture."""
    suffix = Path(file_name).suffix
    if suffix not in SUFFIXES:
        raise InvalidInputError(f'{file_name} must end in {", ".join(SUFFIXES)}.', field='file')
    if size > MAX_BYTES:
        raise TooLargeError(f'{file_name} is larger than {MAX_BYTES >> 30} GiB.', field='file')
    stem = file_name.removesuffix(suffix)
    return dataclasses.replace(
        metadata,
        name=validate_name(metadata.name or stem),
        architecture=_resolve_architecture(file_name, metadata.architecture),
        title=_clean_text(metadata.title, 'title', 200),
        dataset=_clean_text(metadata.dataset, 'dataset', 200),
        licence=_clean_text(metadata.licence, 'licence', 200),
        domain=_clean_text(metadata.domain, 'domain', 80),
    )


def _clean_text(value: str, field: str, longest: int) -> str:
    return naming.clean_name(value, field=field, longest=longest) if value.strip() else ''


def validate_name(wanted: str) -> str:
    """Clean the name of a new source. Errors: InvalidInputError (its characters), ConflictError (it is
    taken).
    """
    name = naming.clean_name(wanted, field='name')
    if not NAME.fullmatch(name):
        raise InvalidInputError(f'The name {name!r} may only contain letters, digits, - and _.', field='name')
    if name.startswith(STARTER_PREFIX):
        raise InvalidInputError(
            f'Names that begin with {STARTER_PREFIX} are reserved for sources that ship with Graft.',
            field='name',
        )
    if SourceModel.objects.filter(name=name).exists():
        raise ConflictError(f'There is a source called {name} already.', field='name')
    return name


def _resolve_architecture(file_name: str, architecture: str) -> str:
    """Check the architecture, or infer it from the file's name; '': the names and shapes of its tensors
    decide.
    """
    if architecture.removesuffix(LINEAR_HEAD) in ARCHITECTURE_NAMES or architecture.startswith(TIMM_PREFIX):
        return architecture
    if architecture:
        raise InvalidInputError(
            f'There is no architecture {architecture!r}; `manage.py zoo list --architectures` lists them.',
            field='architecture',
        )
    stem = file_name.rpartition('.')[0]
    fitting = [name for name in ARCHITECTURE_NAMES if re.match(re.escape(name) + r'([-_.]|$)', stem)]
    return max(fitting, key=len, default='')


def _read_adjacent_class_names(path: Path) -> tuple[str, ...]:
    file = path.with_name(f'{path.stem}.classes.json')
    return read_class_names(file) if file.is_file() else ()


def read_class_names(path: Path) -> tuple[str, ...]:
    """Read a list of names in output order: JSON, or one name a line. InvalidInputError naming the file,
    else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f'{path.name} cannot be read: {error.strerror}.', field='classes') from error
    return parse_class_names(data, path.name)


def parse_class_names(data: bytes, name: str) -> tuple[str, ...]:
    """Parse class names from a file's content or from typed text: a JSON list, or one name a line.

    name: of the file, or what the text is called in an error. Errors: InvalidInputError.
    """
    if len(data) > MAX_CLASS_NAMES_BYTES:
        raise InvalidInputError(f'{name} is larger than {MAX_CLASS_NAMES_BYTES >> 20} MiB.', field='classes')
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
    path: Path,
    file_name: str,
    metadata: SourceMetadata,
    on_stage: Callable[[str], None],
    on_tick: Callable[[], None],
) -> Inspection:
    request: dict[str, object] = {
        'path': str(path),
        'architecture': metadata.architecture,
        'side': metadata.side,
        'memory': BASE_MEMORY + FILE_COPIES * path.stat().st_size,
    }
    seconds, reference = INSPECTION_SECONDS, ''
    if metadata.images_from is not None:
        if not metadata.images_from.is_dir():
            raise InvalidInputError(f'There is no folder {metadata.images_from}.', field='images_from')
        network = catalog.get_reference()
        request |= {'images_from': str(metadata.images_from), 'reference': dataclasses.asdict(network)}
        seconds, reference = SIGNATURE_SECONDS, network.digest
    with _name_file_in_errors(path.name, file_name):
        answer = subprocess_call.call(
            'transfer.zoo.fetch.inspect_weights',
            request,
            seconds=seconds,
            on_progress=lambda progress: on_stage(progress['stage']),
            on_tick=on_tick,
        )
    return Inspection(**answer, reference=reference)


@contextmanager
def _name_file_in_errors(stored_name: str, file_name: str) -> Iterator[None]:
    """Let errors name the file as its owner does, not as it is stored; they are about the file unless they
    name a field.
    """
    try:
        yield
    except InvalidInputError as error:
        message = error.message.replace(stored_name, file_name)
        sentence = message if message.startswith(file_name) else message[:1].upper() + message[1:]
        raise InvalidInputError(f'{sentence.rstrip(".")}.', field=error.field or 'file') from error
