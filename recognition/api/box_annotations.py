"""The boxes on an image, read and replaced as a whole; sets of annotations, in and out."""

from __future__ import annotations

import uuid
from collections import Counter

from django.conf import settings
from django.http import StreamingHttpResponse
from django.utils.text import slugify
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api import parsing
from recognition.api.box_schemas import BoxSetIn, BoxSetOut, ExportFilter, ImportIn, ImportOut, PrelabelsOut
from recognition.api.endpoint import Endpoint
from recognition.api.images import FORM_BYTES, OUTCOMES
from recognition.datasets import annotation_export, annotation_import, box_annotations, labels, projects
from recognition.datasets.annotation_import import AnnotationImport
from recognition.datasets.formats.records import Box
from recognition.errors import InvalidInputError, TooLargeError
from recognition.serving import prelabels

NO_DETECTOR = {
    409: OpenApiResponse(description='There is no detector yet.'),
    503: OpenApiResponse(description='Try again.'),
}
ZIP = {(200, 'application/zip'): OpenApiTypes.BINARY}


class Boxes(Endpoint):
    @extend_schema(operation_id='get_boxes', responses=BoxSetOut)
    def get(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> Response:
        project = projects.get_visible(self.person(), project_id)
        return Response(BoxSetOut(box_annotations.get_boxes(project, image_id)).data)

    @extend_schema(operation_id='set_boxes', request=BoxSetIn, responses=BoxSetOut)
    def put(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> Response:
        """Replace them all. 409 when `version` is not the present one; the same request sent twice is answered twice.

        Every state may be restored by sending its boxes again, so a client undoes by saving what was there before.
        """
        project = projects.get_editable(self.person(), project_id)
        labels.get_image(project, image_id)
        body = self.body(BoxSetIn)
        boxes = [Box(**box) for box in body['boxes']]
        saved = box_annotations.set_boxes(
            project, image_id, boxes, version=body['version'], empty=body['empty'], user=self.person()
        )
        return Response(BoxSetOut(saved).data)


class Proposals(Endpoint):
    @extend_schema(operation_id='propose_boxes', responses={200: PrelabelsOut, **NO_DETECTOR})
    def get(self, request: Request, project_id: uuid.UUID, image_id: uuid.UUID) -> Response:
        """What the project's newest detector sees on the image; nothing is saved. About a second the first time."""
        project = projects.get_visible(self.person(), project_id)
        labels.get_image(project, image_id)
        self.query()
        return Response(PrelabelsOut(prelabels.compute_prelabels(project, image_id)).data)


class Export(Endpoint):
    @extend_schema(operation_id='export_boxes', parameters=[ExportFilter], responses=ZIP)
    def get(self, request: Request, project_id: uuid.UUID) -> StreamingHttpResponse:
        """A zip of the annotations, by default with the photos. manifest.json in it counts what was written."""
        project = projects.get_visible(self.person(), project_id)
        wanted = self.query(ExportFilter)
        pieces = annotation_export.stream_zip(project, wanted['format'], photos=wanted['photos'])
        name = f'{slugify(project.name) or "project"}-{wanted["format"]}.zip'
        headers = {'Content-Disposition': f'attachment; filename="{name}"'}
        return StreamingHttpResponse(pieces, content_type='application/zip', headers=headers)


class Import(Endpoint):
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id='import_boxes',
        request={'multipart/form-data': ImportIn},
        responses={200: ImportOut, 201: ImportOut},
    )
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Photos with their annotations, or annotations of photos that are there. What is not taken is listed; the rest is in.

        201 when a photo was added, 200 when none, 422 when nothing could be taken.
        """
        project = projects.get_editable(self.person(), project_id)
        if parsing.length(request) > settings.MAX_ARCHIVE_BYTES + FORM_BYTES:
            raise TooLargeError(f'The request is larger than {settings.MAX_ARCHIVE_BYTES // 2**20:,} MB.')
        files = [(file.name or 'unnamed', file) for file in request.FILES.getlist('files')]
        if not files:
            raise InvalidInputError('There is no file in the field “files”.', field='files')
        form = request.POST
        imported = annotation_import.import_files(
            project,
            self.person(),
            files,
            paths=form.getlist('paths'),
            format=form.get('format', ''),
            overwrite=form.get('overwrite', '').lower() in ('1', 'true', 'on'),
        )
        return _told(imported)


def _told(imported: AnnotationImport) -> Response:
    counts = Counter(verdict.outcome for verdict in imported.verdicts)
    record = ImportOut(
        {**{name: counts[name] for name in OUTCOMES}, 'files': imported.verdicts, 'annotations': imported}
    ).data
    if counts['created'] or counts['restored']:
        return Response(record, status=201)
    if counts['duplicate'] or imported.images or imported.kept:
        return Response(record)
    for what, reason in [
        *((verdict.name, verdict.reason) for verdict in imported.verdicts if verdict.outcome == 'rejected'),
        *((refusal.where, refusal.reason) for refusal in imported.refused),
    ]:
        refusal = {'code': 'invalid_image', 'message': f'“{what}”: {reason}', 'field': 'files'}
        return Response({**refusal, **record}, status=422)
    return Response(record)
