"""Images: taken in, listed, labelled, put into the trash and taken out, and their bytes."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import get_args

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from recognition import storage
from recognition.api import parsing
from recognition.api.documentation import PAGE, paged
from recognition.api.endpoint import Endpoint
from recognition.api.pagination import page_of
from recognition.api.schemas import (
    Count,
    ImageFilter,
    ImageIds,
    ImageIn,
    ImageOut,
    LabelledIds,
    PreviousLabels,
    UploadIn,
    UploadOut,
)
from recognition.datasets import archives, labels, projects, uploads
from recognition.datasets.upload_results import Outcome, UploadResult
from recognition.errors import InvalidInputError, TooLargeError

OUTCOMES = get_args(Outcome)
FORM_BYTES = 64 * 2**20  # what a request may hold besides one archive of the largest size
BYTES = {(200, 'image/jpeg'): OpenApiTypes.BINARY, (200, 'image/png'): OpenApiTypes.BINARY}


class Images(Endpoint):
    parser_classes = [MultiPartParser]

    @extend_schema(operation_id='list_images', parameters=[ImageFilter, *PAGE], responses=paged(ImageOut))
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        project = projects.get_visible(self.person(), project_id)
        return page_of(labels.filter_images(project, **self.query(ImageFilter)), request, self, ImageOut)

    @extend_schema(
        operation_id='upload_images',
        request={'multipart/form-data': UploadIn},
        responses={201: UploadOut, 200: UploadOut},
    )
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Every file gets a verdict. 201 when something was added, 200 when all was there, 422 when nothing could be taken."""
        project = projects.get_editable(self.person(), project_id)
        if parsing.length(request) > settings.MAX_ARCHIVE_BYTES + FORM_BYTES:
            raise TooLargeError(f'The request is larger than {settings.MAX_ARCHIVE_BYTES // 2**20:,} MB.')
        files = [(file.name or 'unnamed', file) for file in request.FILES.getlist('files')]
        if not files:
            raise InvalidInputError('There is no file in the field “files”.', field='files')
        form = request.POST
        incoming = archives.read_files(
            files, paths=form.getlist('paths'), wrapper=form.get('wrapper'), label=form.get('label')
        )
        return _verdicts(uploads.add_images(project, self.person(), incoming))


class OneImage(Endpoint):
    @extend_schema(operation_id='get_image', responses=ImageOut)
    def get(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> Response:
        return Response(
            ImageOut(labels.get_image(projects.get_visible(self.person(), project_id), image_id)).data
        )

    @extend_schema(operation_id='label_image', request=ImageIn, responses=ImageOut)
    def patch(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> Response:
        project = projects.get_editable(self.person(), project_id)
        labels.get_image(project, image_id)
        labels.label_images(project, [image_id], self.body(ImageIn)['label'])
        return Response(ImageOut(labels.get_image(project, image_id)).data)

    @extend_schema(operation_id='delete_image', responses={204: None})
    def delete(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> Response:
        """Into the trash."""
        project = projects.get_editable(self.person(), project_id)
        labels.delete_images(project, [labels.get_image(project, image_id).pk])
        return Response(status=204)


class LabelImages(Endpoint):
    @extend_schema(operation_id='label_images', request=LabelledIds, responses=PreviousLabels)
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Move images to a label, or take their label away."""
        project = projects.get_editable(self.person(), project_id)
        body = self.body(LabelledIds)
        return Response({'previous': labels.label_images(project, body['ids'], body['label'])})


class RestoreLabels(Endpoint):
    @extend_schema(operation_id='put_back_labels', request=PreviousLabels, responses={204: None})
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Undo a labelling with the `previous` of its answer."""
        project = projects.get_editable(self.person(), project_id)
        labels.restore_labels(project, self.body(PreviousLabels)['previous'])
        return Response(status=204)


class DeleteImages(Endpoint):
    @extend_schema(operation_id='delete_images', request=ImageIds, responses=Count)
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Into the trash."""
        project = projects.get_editable(self.person(), project_id)
        return Response({'images': labels.delete_images(project, self.body(ImageIds)['ids'])})


class RestoreImages(Endpoint):
    @extend_schema(operation_id='restore_images', request=ImageIds, responses=Count)
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Out of the trash, with the labels that they had."""
        project = projects.get_editable(self.person(), project_id)
        return Response({'images': labels.restore_images(project, self.body(ImageIds)['ids'])})


class Content(Endpoint):
    @extend_schema(operation_id='get_image_content', responses=BYTES)
    def get(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> HttpResponse:
        image = labels.get_image(projects.get_visible(self.person(), project_id), image_id)
        return _bytes(image.key)


class Thumbnail(Endpoint):
    @extend_schema(operation_id='get_image_thumbnail', responses=BYTES)
    def get(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> HttpResponse:
        image = labels.get_image(projects.get_visible(self.person(), project_id), image_id)
        return _bytes(image.thumbnail_key)


def _verdicts(verdicts: list[UploadResult]) -> Response:
    counts = Counter(verdict.outcome for verdict in verdicts)
    record = UploadOut({**{name: counts[name] for name in OUTCOMES}, 'files': verdicts}).data
    if counts['created'] or counts['restored']:
        return Response(record, status=201)
    refused = next((verdict for verdict in verdicts if verdict.outcome == 'rejected'), None)
    if refused is None or counts['duplicate']:
        return Response(record)
    shape = {'code': 'invalid_image', 'message': f'“{refused.name}” {refused.reason}', 'field': 'files'}
    return Response({**shape, **record}, status=422)


def _bytes(key: str) -> HttpResponse:
    """Bytes that we wrote ourselves, under our own type and name; should a browser open them, it runs nothing."""
    suffix = key.rpartition('.')[2]
    response = HttpResponse(storage.read(key), content_type='image/png' if suffix == 'png' else 'image/jpeg')
    response['Content-Disposition'] = f'inline; filename="image.{suffix}"'
    response['X-Content-Type-Options'] = 'nosniff'
    response['Content-Security-Policy'] = "default-src 'none'; sandbox"
    response['Cache-Control'] = 'private, max-age=86400'
    return response
