"""The errors a person or a program may meet: each has a stable code, a sentence for the user and whether to
retry."""

from __future__ import annotations


class GraftError(Exception):
    """An expected refusal. Views turn it into {code, message, field}; nothing else of it is shown."""

    code = 'error'
    status = 400
    retryable = False

    def __init__(self, message: str, *, field: str = '') -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidInputError(GraftError):
    code = 'invalid'
    status = 422


class InvalidImageError(GraftError):
    """One file is not an image that can be used; the message names the reason, not the file."""

    code = 'invalid_image'
    status = 422


class TooLargeError(GraftError):
    code = 'too_large'
    status = 413


class NotFoundError(GraftError):
    code = 'not_found'
    status = 404


class NotAllowedError(GraftError):
    code = 'not_allowed'
    status = 403


class NotReadyError(GraftError):
    """The project cannot be trained yet; the message says what is missing."""

    code = 'not_ready'
    status = 409


class ConflictError(GraftError):
    code = 'conflict'
    status = 409


class ModelOverloadedError(GraftError):
    """More requests wait than the server takes on; the same request may be sent again."""

    code = 'overloaded'
    status = 503
    retryable = True


class QueueFullError(GraftError):
    """This person has as many trainings waiting as one may have."""

    code = 'queue_full'
    status = 429
    retryable = True


class ModelUnavailableError(GraftError):
    """The model's artifact is missing or corrupt: nothing the caller did."""

    code = 'model_unavailable'
    status = 503
    retryable = True
