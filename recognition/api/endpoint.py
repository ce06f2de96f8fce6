"""What all addresses of the API have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from rest_framework.exceptions import NotAuthenticated, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from recognition.api.errors import InvalidQueryError, first_complaint
from recognition.errors import NotFoundError

PAGING = ('limit', 'cursor')


class AlwaysTheSame(BaseContentNegotiation):
    """There is one representation of everything, whatever the client would rather have."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        media_type = (request.content_type or '').partition(';')[0].strip().lower()
        kind = media_type.partition('/')[0]
        return next((parser for parser in parsers if parser.media_type in (media_type, f'{kind}/*')), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class Endpoint(APIView):
    content_negotiation_class = AlwaysTheSame
    open_to_predict: ClassVar[tuple[str, ...]] = ()  # methods that a key of scope predict may use

    def body(self, schema: type[Serializer[Any]]) -> dict[str, Any]:
        """The fields of the request's body, checked; unknown ones are refused (422)."""
        if not isinstance(self.request.data, dict):
            raise ValidationError('The body must be a JSON object.')
        return _checked(schema, self.request.data)

    def query(self, schema: type[Serializer[Any]] | None = None) -> dict[str, Any]:
        """The parameters of the address, checked; unknown ones are refused (400), so that a slip is not taken for a filter."""
        given = {name: value for name, value in self.request.query_params.items() if name not in PAGING}
        if schema is None:
            if given:
                raise InvalidQueryError(f'{next(iter(given))}: is not known here', field=next(iter(given)))
            return {}
        try:
            return _checked(schema, given)
        except ValidationError as error:
            field, message = first_complaint(error.detail)
            raise InvalidQueryError(message, field=field) from error

    def person(self) -> AbstractBaseUser:
        """Who asks (HasScope lets nobody else through)."""
        if not isinstance(self.request.user, AbstractBaseUser):
            raise NotAuthenticated
        return self.request.user


class Nowhere(Endpoint):
    """Addresses that do not exist, answered in the API's own shape."""

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFoundError('There is no such address.')


def _checked(schema: type[Serializer[Any]], values: Any) -> dict[str, Any]:
    fields = schema(data=values)
    if unknown := sorted(str(name) for name in set(values) - set(fields.fields)):
        raise ValidationError({unknown[0]: ['is not known here']})
    fields.is_valid(raise_exception=True)
    return dict(fields.validated_data)
