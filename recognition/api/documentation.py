"""What OpenAPI is told beyond the shapes: pages of lists, and the refusals that every address may answer with."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.serializers import Serializer

PAGE = [
    OpenApiParameter('limit', OpenApiTypes.INT, description='1 to 200; 50 unless told.'),
    OpenApiParameter('cursor', OpenApiTypes.STR, description='From `next` or `previous` of another page.'),
]
REFUSALS = {
    '400': 'The request cannot be read, or a parameter of the address is unknown.',
    '401': 'No valid API key or session.',
    '403': 'This key or person may not do this.',
    '404': 'There is no such thing, or it is not yours to see.',
    '429': 'Too often, or too much is waiting; see Retry-After.',
}
OF_A_BODY = {
    '409': 'It does not fit the present state.',
    '413': 'Too large.',
    '415': 'A body of this type is not taken.',
    '422': 'A field or an image is not valid; `field` names it.',
}
SHAPE = {
    'type': 'object',
    'description': 'Every answer of 400 and above.',
    'properties': {
        'code': {'type': 'string', 'description': 'Stable; programs may depend on it.'},
        'message': {'type': 'string', 'description': 'A sentence for a person.'},
        'field': {'type': 'string', 'description': 'What of the request it is about; may be empty.'},
    },
    'required': ['code', 'message', 'field'],
}


class KeyInSchema(OpenApiAuthenticationExtension):
    target_class = 'recognition.api.authentication.ApiKeyAuthentication'
    name = ['apiKey', 'apiKeyHeader']

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[str]]]:
        return [{name: []} for name in self.name]  # either; as one object they would mean both

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {'type': 'http', 'scheme': 'bearer', 'description': 'An API key: `graft_...`.'},
            {
                'type': 'apiKey',
                'in': 'header',
                'name': 'X-Api-Key',
                'description': 'The same key in a header of its own.',
            },
        ]


def paged(schema: type[Serializer[Any]]) -> Serializer[Any]:
    """The shape of one page of a list."""
    fields = {
        'next': serializers.URLField(allow_null=True),
        'previous': serializers.URLField(allow_null=True),
        'results': schema(many=True),
    }
    return inline_serializer(f'{schema.__name__.removesuffix("Out")}Page', fields=fields)


def with_refusals(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: writes the refusals into every operation."""
    result.setdefault('components', {}).setdefault('schemas', {})['Refusal'] = SHAPE
    for path, operations in result['paths'].items():
        for method, operation in operations.items():
            told = {**REFUSALS, **(OF_A_BODY if method in ('post', 'put', 'patch', 'delete') else {})}
            if path.endswith(('/classify', '/detect')):
                told['503'] = 'The model cannot be loaded, or too many images wait for it; try again.'
            for status, meaning in told.items():
                operation['responses'].setdefault(status, _refusal(meaning))
    return result


def _refusal(meaning: str) -> dict[str, Any]:
    return {
        'description': meaning,
        'content': {'application/json': {'schema': {'$ref': '#/components/schemas/Refusal'}}},
    }
