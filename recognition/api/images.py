"""Images: upload, list, label, delete and restore them, and read their bytes."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import get_args

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from recognition import storage
from recognition.api.endpoint import Endpoint, paginate
from recognition.api.openapi import PAGE_PARAMETERS, make_page_schema
from recognition.api.parsing import read_uploaded_files
from recognition.api.schemas.images import (
    ImageCount,
    ImageFilter,
    ImageIds,
    ImageIn,
    ImageLabelling,
    ImageOut,
    PreviousLabels,
    UploadIn,
    UploadOut,
)
from recognition.datasets import archives, labels, projects, uploads
from recognition.datasets.upload_results import Outcome, UploadResult

OUTCOMES = get_args(Outcome)
IMAGE_BYTES = {(200, 'image/jpeg'): OpenApiTypes.BINARY, (200, 'image/png'): OpenApiTypes.BINARY}


class ImageListView(Endpoint):
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id='list_images',
        parameters=[ImageFilter, *PAGE_PARAMETERS],
        responses=make_page_schema(ImageOut),
    )
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        project = projects.get_visible(self.user, project_id)
        return paginate(
            labels.filter_images(project, **self.parse_query(ImageFilter)), request, self, ImageOut
        )

    @extend_schema(
        operation_id='upload_images',
        request={'multipart/form-data': UploadIn},
        responses={201: UploadOut, 200: UploadOut},
    )
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Upload images. The response has a result for every file.

        201: at least one image was added. 200: all of them were there already. 422: no file could be used.
        """
        project = projects.get_editable(self.user, project_id)
        files = read_uploaded_files(request)
        form = request.POST
        incoming = archives.read_files(
            files,
            paths=form.getlist('relative_paths'),
            wrapper=form.get('root_folder'),
            label=form.get('label'),
        )
        return _respond_to_upload(uploads.add_images(project, self.user, incoming))


class ImageView(Endpoint):
    @extend_schema(operation_id='get_image', responses=ImageOut)
    def get(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> Response:
        return Response(
            ImageOut(labels.get_image(projects.get_visible(self.user, project_id), image_id)).data
        )

    @extend_schema(operation_id='label_image', request=ImageIn, responses=ImageOut)
    def patch(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> Response:
        project = projects.get_editable(self.user, project_id)
        labels.get_image(project, image_id)
        labels.label_images(project, [image_id], self.parse_body(ImageIn)['label'])
        return Response(ImageOut(labels.get_image(project, image_id)).data)

    @extend_schema(operation_id='delete_image', responses={204: None})
    def delete(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> Response:
        """Move to the trash."""
        project = projects.get_editable(self.user, project_id)
        labels.delete_images(project, [labels.get_image(project, image_id).pk])
        return Response(status=204)


class ImagesLabelView(Endpoint):
    @extend_schema(operation_id='label_images', request=ImageLabelling, responses=PreviousLabels)
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Set the label of many images, or remove it."""
        project = projects.get_editable(self.user, project_id)
        body = self.parse_body(ImageLabelling)
        previous = labels.label_images(project, body['ids'], body['label'])
        return Response({'previous_labels': previous})


class LabelsRestoreView(Endpoint):
    @extend_schema(operation_id='restore_labels', request=PreviousLabels, responses={204: None})
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Undo a change of labels with the `previous_labels` of its response."""
        project = projects.get_editable(self.user, project_id)
        labels.restore_labels(project, self.parse_body(PreviousLabels)['previous_labels'])
        return Response(status=204)


class ImagesDeleteView(Endpoint):
    @extend_schema(operation_id='delete_images', request=ImageIds, responses=ImageCount)
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Move to the trash."""
        project = projects.get_editable(self.user, project_id)
        return Response({'images': labels.delete_images(project, self.parse_body(ImageIds)['ids'])})


class ImagesRestoreView(Endpoint):
    @extend_schema(operation_id='restore_images', request=ImageIds, responses=ImageCount)
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Restore images from the trash, with the labels that they had."""
        project = projects.get_editable(self.user, project_id)
        return Response({'images': labels.restore_images(project, self.parse_body(ImageIds)['ids'])})


class ImageContentView(Endpoint):
    @extend_schema(operation_id='get_image_content', responses=IMAGE_BYTES)
    def get(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> HttpResponse:
        image = labels.get_image(projects.get_visible(self.user, project_id), image_id)
        return _respond_with_bytes(image.key)


class ImageThumbnailView(Endpoint):
    @extend_schema(operation_id='get_image_thumbnail', responses=IMAGE_BYTES)
    def get(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> HttpResponse:
        image = labels.get_image(projects.get_visible(self.user, project_id), image_id)
        return _respond_with_bytes(image.thumbnail_key)


def _respond_to_upload(results: list[UploadResult]) -> Response:
    counts = Counter(result.outcome for result in results)
    record = UploadOut({**{name: counts[name] for name in OUTCOMES}, 'files': results}).data
    if counts['created'] or counts['restored']:
        return Response(record, status=201)
    rejected = next((result for result in results if result.outcome == 'rejected'), None)
    if rejected is None or counts['duplicate']:
        return Response(record)
    error = {'code': 'invalid_image', 'message': f'“{rejected.name}” {rejected.reason}', 'field': 'files'}
    return Response({**error, **record}, status=422)


def _respond_with_bytes(key: str) -> HttpResponse:
    """Bytes that Graft wrote itself, with a fixed type and name.

    A browser that opens them runs no script in them.
    """
    suffix = key.rpartition('.')[2]
    response = HttpResponse(storage.read(key), content_type='image/png' if suffix == 'png' else 'image/jpeg')
    response['Content-Disposition'] = f'inline; filename="image.{suffix}"'
    response['X-Content-Type-Options'] = 'nosniff'
    response['Content-Security-Policy'] = "default-src 'none'; sandbox"
    response['Cache-Control'] = 'private, max-age=86400'
    return response
