"""Boxes on an image, read and replaced as a whole; prelabels; import and export of annotations."""

from __future__ import annotations

import uuid
from collections import Counter

from django.http import StreamingHttpResponse
from django.utils.text import slugify
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api.endpoint import Endpoint
from recognition.api.images import OUTCOMES
from recognition.api.parsing import read_uploaded_files
from recognition.api.schemas.annotations import (
    BoxSetIn,
    BoxSetOut,
    ExportOptions,
    ImportIn,
    ImportOut,
    PrelabelsOut,
)
from recognition.datasets import annotation_export, annotation_import, box_annotations, labels, projects
from recognition.datasets.annotation_import import AnnotationImport
from recognition.datasets.formats.records import Box
from recognition.serving import prelabels

NO_DETECTOR = {
    409: OpenApiResponse(description='The project has no detector yet.'),
    503: OpenApiResponse(
        description='The detector cannot be loaded, or too many images are waiting for it. Try again.'
    ),
}
ZIP = {(200, 'application/zip'): OpenApiTypes.BINARY}


class BoxesView(Endpoint):
    @extend_schema(operation_id='get_boxes', responses=BoxSetOut)
    def get(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> Response:
        project = projects.get_visible(self.user, project_id)
        return Response(BoxSetOut(box_annotations.get_boxes(project, image_id)).data)

    @extend_schema(operation_id='set_boxes', request=BoxSetIn, responses=BoxSetOut)
    def put(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> Response:
        """Replace all boxes of an image.

        409 if `version` is not the current one; sending the same request twice is no error.

        To undo a change, save the previous boxes again.
        """
        project = projects.get_editable(self.user, project_id)
        labels.get_image(project, image_id)
        body = self.parse_body(BoxSetIn)
        boxes = [Box(**box) for box in body['boxes']]
        saved = box_annotations.set_boxes(
            project, image_id, boxes, version=body['version'], empty=body['empty'], user=self.user
        )
        return Response(BoxSetOut(saved).data)


class PrelabelsView(Endpoint):
    @extend_schema(operation_id='prelabel_image', responses={200: PrelabelsOut, **NO_DETECTOR})
    def get(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> Response:
        """Boxes that the newest detector of the project finds.

        They are not saved. The first request takes about a second.
        """
        project = projects.get_visible(self.user, project_id)
        labels.get_image(project, image_id)
        self.parse_query()
        return Response(PrelabelsOut(prelabels.compute_prelabels(project, image_id)).data)


class AnnotationExportView(Endpoint):
    @extend_schema(operation_id='export_annotations', parameters=[ExportOptions], responses=ZIP)
    def get(self, request: Request, project_id: uuid.UUID) -> StreamingHttpResponse:
        """A zip archive of the annotations, by default with the images.

        Its manifest.json counts images and boxes.
        """
        project = projects.get_visible(self.user, project_id)
        options = self.parse_query(ExportOptions)
        pieces = annotation_export.stream_zip(project, options['format'], photos=options['images'])
        name = f'{slugify(project.name) or "project"}-{options["format"]}.zip'
        headers = {'Content-Disposition': f'attachment; filename="{name}"'}
        return StreamingHttpResponse(pieces, content_type='application/zip', headers=headers)


class AnnotationImportView(Endpoint):
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id='import_annotations',
        request={'multipart/form-data': ImportIn},
        responses={200: ImportOut, 201: ImportOut},
    )
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Import images with annotations, or annotations of images that are in the project.

        What cannot be used is listed in the response.

        201: at least one image was added. 200: none was. 422: nothing could be used.
        """
        project = projects.get_editable(self.user, project_id)
        files = read_uploaded_files(request)
        form = request.POST
        result = annotation_import.import_files(
            project,
            self.user,
            files,
            paths=form.getlist('relative_paths'),
            format=form.get('format', ''),
            overwrite=form.get('overwrite', '').lower() in ('1', 'true', 'on'),
        )
        return _respond_to_import(result)


def _respond_to_import(result: AnnotationImport) -> Response:
    counts = Counter(file.outcome for file in result.results)
    record = ImportOut(
        {**{name: counts[name] for name in OUTCOMES}, 'files': result.results, 'annotations': result}
    ).data
    if counts['created'] or counts['restored']:
        return Response(record, status=201)
    rejections = [
        *((file.name, file.reason) for file in result.results if file.outcome == 'rejected'),
        *((rejection.where, rejection.reason) for rejection in result.rejected),
    ]
    if counts['duplicate'] or result.images or result.not_overwritten or not rejections:
        return Response(record)
    name, reason = rejections[0]
    error = {'code': 'invalid_image', 'message': f'“{name}”: {reason}', 'field': 'files'}
    return Response({**error, **record}, status=422)
