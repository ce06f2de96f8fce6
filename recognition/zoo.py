"""The zoo: source models that a training may start from, and how they come and go."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from recognition import apart, audit, naming
from recognition.errors import Conflict, InvalidInput, NotFound, NotReady
from recognition.models import Job, SourceModel, TrainedModel
from recognition.models.source_model import Origin
from transfer.spec import SourceCard, UnusableSource
from transfer.zoo.weights import ARCHITECTURE_NAMES, StarterCard, file_digest, starter_cards

SUFFIXES = ('.safetensors', '.pth', '.pt')
LARGEST = 4 * 2**30  # bytes; ViT-H, the largest network of the registry, has 2.5 GiB
STARTER_PREFIX = 'graft-'  # names of our own sources, which no import may take
SECONDS_TO_EXAMINE = 180
SECONDS_TO_SIGN = 900  # a thousand images through a ResNet-18 take 20 to 60 s on two cores
SECONDS_TO_FETCH = 3600
SECONDS_TO_REACH = 5
MEMORY = 2 * 2**30  # bytes of an examining process besides COPIES of the file: torch itself takes 0.9 GB
COPIES = 6  # the file, its tensors widened, the network with its random weights, activations
NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_-]{0,119}')


@dataclass(frozen=True)
class Origins:
    """What an administrator says of a weights file. Empty fields are inferred where they can be."""

    name: str = ''  # default: the file's name
    architecture: str = ''  # default: the one whose name the file's begins with
    dataset: str = ''
    images: int = 0  # of that data set; default: as many as images_from holds
    class_names: tuple[str, ...] = ()  # default: FILE.classes.json beside the file
    licence: str = ''
    title: str = ''
    side: int = 0  # default: the architecture's usual one
    images_from: Path | None = None  # a folder of the source's own images, to sign it with
    origin: Origin = Origin.IMPORTED


def cards(user: AbstractBaseUser | AnonymousUser | None) -> tuple[SourceCard, ...]:
    """The sources that this person's trainings may start from, with their signatures under the present reference."""
    digest = SourceModel.objects.filter(name=settings.P2L_REFERENCE).values_list('digest', flat=True).first() or ''
    rows = SourceModel.objects.usable()
    return tuple(_card(row, tuple(row.signatures.get(digest, ()))) for row in rows if Path(row.weights).is_file())


def reference() -> SourceCard:
    """The network whose features P2L compares. NotReady when the zoo lacks it."""
    row = SourceModel.objects.filter(name=settings.P2L_REFERENCE).first()
    if row is None or not Path(row.weights).is_file():
        raise NotReady(
            f'The zoo lacks the reference model {settings.P2L_REFERENCE!r}: `manage.py zoo sync` registers the starter zoo, '
            'or P2L_REFERENCE names another source.'
        )
    return _card(row, tuple(row.signatures.get(row.digest, ())))


def _card(row: SourceModel, signature: tuple[float, ...]) -> SourceCard:
    return SourceCard(
        name=row.name,
        architecture=row.architecture,
        weights=row.weights,
        digest=row.digest,
        classes=row.classes,
        images=row.images,
        side=row.side,
        mean=tuple(row.mean),
        std=tuple(row.std),
        dataset=row.dataset,
        signature=signature,
        title=row.title,
    )


def sync_starter() -> tuple[str, ...]:
    """Register the sources that ship with the repository, or bring their rows up to date; their names.

    InvalidInput naming a card that cannot be used.
    """
    try:
        found = starter_cards(Path(settings.STARTER_ZOO))
    except UnusableSource as error:
        raise InvalidInput(error.message) from error
    for card in found:
        _register_starter(card)
    return tuple(card.name for card in found)


def _register_starter(card: StarterCard) -> None:
    known = SourceModel.objects.filter(name=card.name).first()
    signatures = {digest: list(numbers) for digest, numbers in card.signatures.items()}
    SourceModel.objects.update_or_create(
        name=card.name,
        defaults={
            'title': card.title,
            'architecture': card.architecture,
            'weights': str(card.weights),
            'digest': file_digest(card.weights),
            'size': card.weights.stat().st_size,
            'side': card.side,
            'mean': list(card.mean),
            'std': list(card.std),
            'dataset': card.dataset,
            'images': card.images,
            'class_names': list(card.class_names),
            'classes': len(card.class_names),
            'origin': Origin.STARTER,
            'licence': card.licence,
            'signatures': (known.signatures if known else {}) | signatures,
        },
    )


def import_source(path: Path, said: Origins, user: AbstractBaseUser | None = None) -> SourceModel:
    """Copy a weights file into the zoo and register it, once a process of its own has found it sound.

    Errors: InvalidInput (the file, or what was said of it), Conflict (name or content known). Nothing is kept then.
    """
    name, architecture, class_names = _checked(path, said)
    with _copied(path) as aside:
        digest = file_digest(aside)
        if twin := SourceModel.objects.filter(digest=digest).first():
            raise Conflict(f'{path.name} is in the zoo already, as {twin.name}.', field='file')
        answer = _examine(aside, architecture, said)
        if class_names and len(class_names) != answer['classes']:
            raise InvalidInput(
                f'{len(class_names)} class names were given, but the network has {answer["classes"]} classes.', field='classes'
            )
        images = said.images or answer['signed_with']
        if images < 1:
            raise InvalidInput('Say on how many images it was trained (images).', field='images')
        row = SourceModel(
            name=name,
            title=said.title,
            architecture=architecture,
            digest=digest,
            size=aside.stat().st_size,
            side=answer['side'],
            mean=answer['mean'],
            std=answer['std'],
            dataset=said.dataset,
            images=images,
            class_names=list(class_names),
            classes=answer['classes'],
            origin=said.origin,
            licence=said.licence,
            signatures={answer['reference']: answer['signature']} if answer['signature'] else {},
        )
        return _register(row, aside, user)


def _register(row: SourceModel, aside: Path, user: AbstractBaseUser | None) -> SourceModel:
    """Row and file appear together: the row is written first, and vanishes with its transaction if the rename fails."""
    target = Path(settings.ZOO_DIR) / f'{row.name}-{row.digest[:12]}{aside.suffix}'
    row.weights = str(target)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            audit.record(user, 'add source', f'{row.name} ({row.digest[:12]})')
            aside.replace(target)
    except IntegrityError as error:
        raise Conflict(f'There is a source called {row.name} already.', field='name') from error
    return row


def pull(architecture: str, user: AbstractBaseUser | None = None) -> SourceModel:
    """Download the weights that torchvision publishes for an architecture, and register them.

    Errors: InvalidInput in one line when they cannot be had or are not what was published; Conflict. Nothing is kept then.
    """
    if SourceModel.objects.filter(name=f'{architecture}_imagenet').exists():
        raise Conflict(f'There is a source called {architecture}_imagenet already.', field='name')
    _reach(settings.TORCHVISION_URL)
    folder = Path(tempfile.mkdtemp(prefix='.pull-', dir=_zoo_folder()))
    try:
        request = {'name': architecture, 'folder': str(folder), 'url': settings.TORCHVISION_URL}
        found = apart.ask('transfer.zoo.published', request, seconds=SECONDS_TO_FETCH, networked=True)
        said = Origins(
            architecture=architecture,
            dataset=found['dataset'],
            images=found['images'],
            class_names=tuple(found['class_names']),
            licence=found['licence'],
            title=found['title'],
            origin=Origin.TORCHVISION,
        )
        return import_source(Path(found['path']), said, user)
    finally:
        shutil.rmtree(folder)


def _reach(url: str) -> None:
    """Ask the other side for anything: without a network the answer should not wait until torch is loaded."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method='HEAD'), timeout=SECONDS_TO_REACH).close()  # noqa: S310 a setting
    except urllib.error.HTTPError:
        return  # it answered, if only that it shows no listing
    except (OSError, ValueError) as error:
        host = urllib.parse.urlsplit(url).netloc or url
        raise InvalidInput(f'{host} cannot be reached ({getattr(error, "reason", error)}); nothing was changed.') from error


def retire(name: str, user: AbstractBaseUser | None = None) -> None:
    """No training may start from it any more; models made from it keep it. Errors: NotFound, Conflict (the reference)."""
    row = _find(name)
    if row.name == settings.P2L_REFERENCE:
        raise Conflict(f'{name} is the reference model of P2L: name another (P2L_REFERENCE) before it goes.')
    if SourceModel.objects.filter(pk=row.pk, retired_at=None).update(retired_at=timezone.now()):
        audit.record(user, 'retire source', row.name)


def restore(name: str, user: AbstractBaseUser | None = None) -> None:
    """A retired source may be used again. Errors: NotFound."""
    row = _find(name)
    if SourceModel.objects.filter(pk=row.pk).exclude(retired_at=None).update(retired_at=None):
        audit.record(user, 'restore source', row.name)


def remove(name: str, user: AbstractBaseUser | None = None) -> bool:
    """Delete an imported source and its file; True when it is gone.

    It is only retired (False) as long as a model's record names it, a training is under way that may choose it, or when it
    ships with Graft. Errors: NotFound, Conflict (the reference).
    """
    retire(name, user)
    row = _find(name)
    named = TrainedModel.objects.filter(source_name=row.name).exists() or Job.objects.unfinished().exists()
    if named or row.origin == Origin.STARTER:
        return False
    row.delete()
    Path(row.weights).unlink(missing_ok=True)
    audit.record(user, 'remove source', row.name)
    return True


def _find(name: str) -> SourceModel:
    row = SourceModel.objects.filter(name=name).first()
    if row is None:
        raise NotFound(f'There is no source model {name!r}.')
    return row


def _checked(path: Path, said: Origins) -> tuple[str, str, tuple[str, ...]]:
    """Name, architecture and class names of a file about to be imported."""
    if not path.is_file():
        raise InvalidInput(f'There is no file {path}.', field='file')
    if path.suffix not in SUFFIXES:
        raise InvalidInput(f'{path.name} is none of {", ".join(SUFFIXES)}.', field='file')
    if path.stat().st_size > LARGEST:
        raise InvalidInput(f'{path.name} is larger than {LARGEST >> 30} GiB.', field='file')
    name = naming.clean(said.name or path.stem, field='name')
    if not NAME.fullmatch(name):
        raise InvalidInput(f'The name {name!r} may hold letters, digits, - and _ only.', field='name')
    if name.startswith(STARTER_PREFIX):
        raise InvalidInput(f'Names that begin with {STARTER_PREFIX} are kept for sources that ship with Graft.', field='name')
    if SourceModel.objects.filter(name=name).exists():
        raise Conflict(f'There is a source called {name} already.', field='name')
    return name, _architecture(path, said.architecture), said.class_names or _names_beside(path)


def _architecture(path: Path, said: str) -> str:
    if said in ARCHITECTURE_NAMES:
        return said
    if said:
        raise InvalidInput(
            f'There is no architecture {said!r}; `manage.py zoo list --architectures` names them.', field='architecture'
        )
    fitting = [name for name in ARCHITECTURE_NAMES if re.match(re.escape(name) + r'([-_.]|$)', path.stem)]
    if not fitting:
        raise InvalidInput(
            f'The name {path.name} does not begin with an architecture: say which it is (architecture).', field='architecture'
        )
    return max(fitting, key=len)


def _names_beside(path: Path) -> tuple[str, ...]:
    beside = path.with_name(f'{path.stem}.classes.json')
    return read_class_names(beside) if beside.is_file() else ()


def read_class_names(path: Path) -> tuple[str, ...]:
    """A JSON list of names in output order. InvalidInput naming the file, else."""
    try:
        names = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidInput(f'{path.name} cannot be read as JSON.', field='classes') from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidInput(f'{path.name} must hold a list of class names.', field='classes')
    return tuple(names)


def _zoo_folder() -> Path:
    folder = Path(settings.ZOO_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    """A copy in the zoo's folder, gone at the end unless it was renamed. What is examined is what will be used."""
    aside = _zoo_folder() / f'.{uuid.uuid4().hex}{path.suffix}'
    try:
        shutil.copyfile(path, aside)
        yield aside
    finally:
        aside.unlink(missing_ok=True)


def _examine(path: Path, architecture: str, said: Origins) -> dict[str, Any]:
    """What a process of its own finds in the file; with `reference`, the digest of the model that signed it."""
    request: dict[str, Any] = {
        'path': str(path),
        'architecture': architecture,
        'side': said.side,
        'memory': MEMORY + COPIES * path.stat().st_size,
    }
    if said.images_from is None:
        return apart.ask('transfer.zoo.examine', request, seconds=SECONDS_TO_EXAMINE) | {'reference': ''}
    if not said.images_from.is_dir():
        raise InvalidInput(f'There is no folder {said.images_from}.', field='images_from')
    card = reference()
    request |= {'images_from': str(said.images_from), 'reference': dataclasses.asdict(card)}
    return apart.ask('transfer.zoo.examine', request, seconds=SECONDS_TO_SIGN) | {'reference': card.digest}
