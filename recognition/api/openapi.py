"""What the OpenAPI schema needs beyond the serializers: pages of lists, authentication, and the errors of
every operation."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.serializers import Serializer

PAGE_PARAMETERS = [
    OpenApiParameter('limit', OpenApiTypes.INT, description='Results per page, 1 to 200. Default: 50.'),
    OpenApiParameter('cursor', OpenApiTypes.STR, description='Taken from the URL in `next` or `previous`.'),
]
ERRORS = {
    '400': 'The request cannot be read, or a query parameter is unknown or invalid.',
    '401': 'No valid API key or session.',
    '403': 'The scope of the API key, or the role of the user in the project, does not allow this.',
    '404': 'It does not exist, or you have no access to it.',
    '429': 'Too many requests, or too many of your jobs are waiting; see the header Retry-After.',
}
BODY_ERRORS = {
    '409': 'It conflicts with the current state.',
    '413': 'The request, or a file in it, is too large.',
    '415': 'The content type of the body is not supported.',
    '422': 'A field or an image is invalid; `field` names it.',
}
ERROR_SCHEMA = {
    'type': 'object',
    'description': 'The body of every response with a status of 400 or above.',
    'properties': {
        'code': {'type': 'string', 'description': 'A stable identifier for programs.'},
        'message': {'type': 'string', 'description': 'A sentence for people.'},
        'field': {
            'type': 'string',
            'description': 'The field of the request that the error is about; may be empty.',
        },
    },
    'required': ['code', 'message', 'field'],
}


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = 'recognition.api.access.ApiKeyAuthentication'
    name = ['apiKey', 'apiKeyHeader']

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[str]]]:
        return [{name: []} for name in self.name]  # alternatives; one object with two names would mean both

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {
                'type': 'http',
                'scheme': 'bearer',
                'description': 'An API key: `Authorization: Bearer graft_...`.',
            },
            {
                'type': 'apiKey',
                'in': 'header',
                'name': 'X-Api-Key',
                'description': 'The same API key in the header `X-Api-Key`.',
            },
        ]


def make_page_schema(schema: type[Serializer[Any]]) -> Serializer[Any]:
    """The serializer of one page of a list."""
    fields = {
        'next': serializers.URLField(allow_null=True),
        'previous': serializers.URLField(allow_null=True),
        'results': schema(many=True),
    }
    return inline_serializer(f'{schema.__name__.removesuffix("Out")}Page', fields=fields)


def add_errors(result: dict[str, Any], **_: Any) -> dict[str, object]:
    """Postprocessing hook of drf-spectacular: add the possible errors to every operation."""
    result.setdefault('components', {}).setdefault('schemas', {})['Error'] = ERROR_SCHEMA
    for path, operations in result['paths'].items():
        for method, operation in operations.items():
            errors = {**ERRORS, **(BODY_ERRORS if method in ('post', 'put', 'patch', 'delete') else {})}
            if path.endswith(('/classify', '/detect')):
                errors['503'] = (
                    'The model cannot be loaded, or too many images are waiting for it. Try again.'
                )
            for status, description in errors.items():
                operation['responses'].setdefault(status, _describe_error(description))
    return result


def _describe_error(description: str) -> dict[str, object]:
    return {
        'description': description,
        'content': {'application/json': {'schema': {'$ref': '#/components/schemas/Error'}}},
    }
