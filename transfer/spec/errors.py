"""Errors of trainings and of sealed models. Each has a stable code, a sentence for the user and whether to
retry."""

from __future__ import annotations


class TrainingError(Exception):
    """A training cannot go on; the message is a sentence for the user."""

    code = 'training_failed'
    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidSpecError(TrainingError):
    """`field` names the option, so that a form can point at it."""

    code = 'invalid_spec'

    def __init__(self, message: str, field: str = '') -> None:
        super().__init__(message)
        self.field = field


class InvalidRecordError(TrainingError):
    """Stored JSON is not the record that it should be; the message names the field."""

    code = 'invalid_record'


class UnreadableImageError(TrainingError):
    code = 'unreadable_image'


class UnusableSourceError(TrainingError):
    """A source model's weights are missing, damaged or do not fit its architecture."""

    code = 'unusable_source'


class ArtifactError(TrainingError):
    """A sealed model cannot be used."""

    code = 'artifact_error'


class CorruptArtifactError(ArtifactError):
    code = 'corrupt_artifact'


class IncompatibleArtifactError(ArtifactError):
    code = 'incompatible_artifact'


class OverloadedError(TrainingError):
    """More images wait for a model than may; the same request may be sent again."""

    code = 'overloaded'
    retryable = True


class JobCancelledError(Exception):
    """Raised by `report` when the job was cancelled or taken from this worker; only
    transfer.worker.execute catches it."""
