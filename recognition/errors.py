"""The errors a person or a program may meet: each has a stable code, a sentence for the user and whether to retry."""

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


class InvalidInput(GraftError):
    code = 'invalid'
    status = 422


class InvalidImage(GraftError):
    """One file is not an image that can be used; the message names the reason, not the file."""

    code = 'invalid_image'
    status = 422


class TooLarge(GraftError):
    code = 'too_large'
    status = 413


class NotFound(GraftError):
    code = 'not_found'
    status = 404


class NotAllowed(GraftError):
    code = 'not_allowed'
    status = 403


class NotReady(GraftError):
    """The project cannot be trained yet; the message says what is missing."""

    code = 'not_ready'
    status = 409


class Conflict(GraftError):
    code = 'conflict'
    status = 409


class Overloaded(GraftError):
    """More requests wait than the server takes on; the same request may be sent again."""

    code = 'overloaded'
    status = 503
    retryable = True


class QueueFull(GraftError):
    """This person has as many trainings waiting as one may have."""

    code = 'queue_full'
    status = 429
    retryable = True


class ModelUnavailable(GraftError):
    """The model's artifact is missing or corrupt: nothing the caller did."""

    code = 'model_unavailable'
    status = 503
    retryable = True
