"""Read an artifact: one folder with the weights, the graph, the labels, the preprocessing and the report of a
trained model.

    meta.json            format, SHA-256 of every other file, labels, preprocessing, temperature, source and
    why, training
                         spec, data digest, seed, library versions, engine, report
    weights.safetensors  the network's state, as the registry's architecture of that name takes it graph.xml
    graph.bin  OpenVINO IR: uint8 (n, side, side, 3) RGB in, logits (n, classes) out; normalisation is inside
    model.onnx           the same graph for other programs (absent for a provisional model)

Of a detector the graphs are others (see transfer.detection.export), and `source.safetensors` holds what it
would be as a source model (transfer.detection.backbone_export).

Nothing here imports torch, so that a serving process can read an artifact without it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from transfer.spec.errors import CorruptArtifactError, IncompatibleArtifactError, InvalidRecordError
from transfer.spec.records import OPTIONAL, PART, from_json, renamed_from, to_json
from transfer.spec.report import EngineInfo
from transfer.spec.train_spec import SourceModelSpec, TrainSpec

FORMAT = 1
META = 'meta.json'
WEIGHTS = 'weights.safetensors'
GRAPH = 'graph.xml'
ONNX = 'model.onnx'
SOURCE = 'source.safetensors'  # of a detector


@dataclass(frozen=True)
class Preprocessing:
    """What is done to an image before the network sees it, in training and in serving alike."""

    side: int  # pixels of the square input
    mean: tuple[float, ...]  # of RGB in 0..1; subtracted inside the sealed graph
    std: tuple[float, ...]
    resize: str = 'squash'  # the whole image squashed to the square; 'centre': the largest centred square

    @staticmethod
    def of(source: SourceModelSpec) -> Preprocessing:
        return Preprocessing(source.side, tuple(source.mean), tuple(source.std))


@dataclass(frozen=True)
class DetectorMeta:
    """What rebuilds a detector and feeds it: `detection` in meta.json."""

    kind: str  # a key of transfer.spec.detectors.DETECTORS
    spec: dict[str, object]  # its options, as DetectorInfo.read_options takes them
    least_side: int  # pixels: what the shorter side of a photo is decoded to at least
    proposals: str  # the method that proposes regions
    limit: int  # regions of a photo
    # The score from which on detections are shown.
    score_threshold: float = field(metadata=renamed_from('at_score'))
    stride: int | None = field(default=None, metadata=OPTIONAL)  # of the feature map, in pixels
    channels: int | None = field(default=None, metadata=OPTIONAL)  # of the feature map
    # From the bytes of a photo to its boxes, on a CPU; None where it was not measured.
    serving_seconds: float | None = field(default=None, metadata=OPTIONAL | renamed_from('answer_seconds'))


@dataclass(frozen=True)
class EnsembleMember:
    """One of several networks that answer together (transfer.serving.ensemble)."""

    source: str  # name of its source model
    architecture: str
    mean: tuple[float, ...]  # how it was trained; the graph converts from the shared preprocessing
    std: tuple[float, ...]
    temperature: float
    # How many pooled outputs of several stages its head sees (transfer.zoo.networks.multi_stage); 0: its head
    # sees the last stage alone.
    stage_features: int = 0


@dataclass(frozen=True)
class ArtifactMeta:
    """meta.json. `digest` is the SHA-256 of its bytes; as it names every file's digest, it stands for the
    whole folder."""

    labels: tuple[str, ...]
    architecture: str  # of an ensemble: of its first member
    preprocessing: Preprocessing
    temperature: float
    engine: EngineInfo
    source: dict[str, object] = field(default_factory=dict)
    stage_features: int = 0  # as of EnsembleMember; of an ensemble 0
    members: tuple[EnsembleMember, ...] = ()  # of an ensemble; empty: one network
    why: str = ''
    provisional: bool = False
    spec: dict[str, object] = field(default_factory=dict)
    data_digest: str = ''
    seed: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    report: dict[str, object] = field(default_factory=dict)
    detection: DetectorMeta | None = field(default=None, metadata=PART)  # None of a classifier
    files: dict[str, str] = field(default_factory=dict)  # name -> SHA-256
    digest: str = ''

    @property
    def detector(self) -> DetectorMeta:
        """IncompatibleArtifactError where this is a classifier."""
        if self.detection is None:
            raise IncompatibleArtifactError('the model is a classifier and not a detector')
        return self.detection


def write_meta(folder: Path, meta: ArtifactMeta) -> str:
    """Write meta.json over the files that lie in the folder; returns the artifact's digest."""
    files = {path.name: file_digest(path) for path in sorted(folder.iterdir()) if path.name != META}
    values = {'format': FORMAT, **to_json(dataclasses.replace(meta, files=files))}
    del values['digest']
    data = json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False).encode()
    (folder / META).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def read_meta(folder: Path) -> ArtifactMeta:
    """Read meta.json. CorruptArtifactError: missing or damaged. IncompatibleArtifactError: of another
    format."""
    try:
        data = (folder / META).read_bytes()
    except OSError as error:
        raise CorruptArtifactError(f'the model in {folder.name} has no {META}') from error
    try:
        values = json.loads(data)
    except ValueError as error:
        raise CorruptArtifactError(f'{META} of {folder.name} is damaged') from error
    if not isinstance(values, dict) or 'format' not in values:
        raise CorruptArtifactError(f'{META} of {folder.name} is damaged')
    if values.pop('format') != FORMAT:
        raise IncompatibleArtifactError(
            f'the model in {folder.name} is of another format than this version reads ({FORMAT})'
        )
    return _read_record(values, hashlib.sha256(data).hexdigest(), folder)


def verify(folder: Path, meta: ArtifactMeta) -> None:
    """Compare every file with the digest in meta.json; CorruptArtifactError names the first that differs."""
    for name, expected in meta.files.items():
        path = folder / name
        if not path.is_file():
            raise CorruptArtifactError(f'{name} of the model in {folder.name} is missing')
        if file_digest(path) != expected:
            raise CorruptArtifactError(f'{name} of the model in {folder.name} is damaged')


def file_digest(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def _read_record(values: dict[str, object], digest: str, folder: Path) -> ArtifactMeta:
    try:
        meta = from_json(ArtifactMeta, {**values, 'digest': digest})
    except InvalidRecordError as error:
        raise CorruptArtifactError(
            f'{META} of {folder.name} lacks what a model needs: {error.message}'
        ) from error
    if any(Path(name).name != name for name in meta.files) or WEIGHTS not in meta.files:
        raise CorruptArtifactError(f'{META} of {folder.name} names files that a model does not have')
    return meta


def omit_signatures(spec: TrainSpec) -> dict[str, object]:
    """The spec without the candidates' signatures: their digests name them, and 512 numbers each would be
    most of the file."""
    values = spec.to_json()
    values['sources'] = [omit_signature(source) for source in spec.sources]
    values['reference'] = omit_signature(spec.reference) if spec.reference else None
    return values


def omit_signature(source: SourceModelSpec) -> dict[str, object]:
    return {name: value for name, value in dataclasses.asdict(source).items() if name != 'signature'}
