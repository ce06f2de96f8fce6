"""The addresses of REST v1."""

from __future__ import annotations

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from recognition.api import (
    box_annotations,
    classify,
    detect,
    images,
    labels,
    models,
    projects,
    promotions,
    trainings,
)
from recognition.api.endpoint import Nowhere

urlpatterns = [
    path('schema/', SpectacularAPIView.as_view(), name='api-schema'),
    path('docs/', SpectacularSwaggerSplitView.as_view(url_name='api-schema'), name='api-docs'),
    path('projects', projects.Projects.as_view(), name='api-projects'),
    path('projects/<uuid:project_id>', projects.OneProject.as_view(), name='api-project'),
    path('projects/<uuid:project_id>/restore', projects.Restore.as_view(), name='api-restore-project'),
    path('projects/<uuid:project_id>/health', projects.Health.as_view(), name='api-health'),
    path('projects/<uuid:project_id>/members', projects.Members.as_view(), name='api-members'),
    path(
        'projects/<uuid:project_id>/members/<str:username>', projects.OneMember.as_view(), name='api-member'
    ),
    path('projects/<uuid:project_id>/images', images.Images.as_view(), name='api-images'),
    path('projects/<uuid:project_id>/images/label', images.LabelImages.as_view(), name='api-label-images'),
    path(
        'projects/<uuid:project_id>/images/restore-labels',
        images.RestoreLabels.as_view(),
        name='api-restore-labels',
    ),
    path('projects/<uuid:project_id>/images/delete', images.DeleteImages.as_view(), name='api-delete-images'),
    path(
        'projects/<uuid:project_id>/images/restore', images.RestoreImages.as_view(), name='api-restore-images'
    ),
    path('projects/<uuid:project_id>/images/<uuid:image_id>', images.OneImage.as_view(), name='api-image'),
    path(
        'projects/<uuid:project_id>/images/<uuid:image_id>/content',
        images.Content.as_view(),
        name='api-image-content',
    ),
    path(
        'projects/<uuid:project_id>/images/<uuid:image_id>/thumbnail',
        images.Thumbnail.as_view(),
        name='api-image-thumbnail',
    ),
    path(
        'projects/<uuid:project_id>/images/<uuid:image_id>/boxes',
        box_annotations.Boxes.as_view(),
        name='api-boxes',
    ),
    path(
        'projects/<uuid:project_id>/images/<uuid:image_id>/prelabels',
        box_annotations.Proposals.as_view(),
        name='api-prelabels',
    ),
    path(
        'projects/<uuid:project_id>/annotations/export',
        box_annotations.Export.as_view(),
        name='api-export-boxes',
    ),
    path(
        'projects/<uuid:project_id>/annotations/import',
        box_annotations.Import.as_view(),
        name='api-import-boxes',
    ),
    path('projects/<uuid:project_id>/labels', labels.Labels.as_view(), name='api-labels'),
    path('projects/<uuid:project_id>/labels/<int:label_id>', labels.OneLabel.as_view(), name='api-label'),
    path(
        'projects/<uuid:project_id>/deleted-labels', labels.DeletedLabels.as_view(), name='api-deleted-labels'
    ),
    path(
        'projects/<uuid:project_id>/deleted-labels/<int:deleted_id>/restore',
        labels.RestoreLabel.as_view(),
        name='api-restore-label',
    ),
    path('projects/<uuid:project_id>/trainings', trainings.Trainings.as_view(), name='api-trainings'),
    path('projects/<uuid:project_id>/models', models.Models.as_view(), name='api-models'),
    path('trainings/<uuid:job_id>', trainings.OneTraining.as_view(), name='api-training'),
    path('trainings/<uuid:job_id>/cancel', trainings.CancelTraining.as_view(), name='api-cancel-training'),
    path('detections/<uuid:detection_id>', detect.OneDetection.as_view(), name='api-detection'),
    path(
        'detections/<uuid:detection_id>/cancel', detect.CancelDetection.as_view(), name='api-cancel-detection'
    ),
    path('models/<slug:reference>', models.OneModel.as_view(), name='api-model'),
    path('models/<slug:reference>/classify', classify.Classify.as_view(), name='api-classify'),
    path('models/<slug:reference>/detect', detect.Detect.as_view(), name='api-detect'),
    path('models/<slug:reference>/publish', models.Publish.as_view(), name='api-publish'),
    path('models/<slug:reference>/offer', promotions.OfferedModel.as_view(), name='api-offer'),
    path('publications', models.Publications.as_view(), name='api-publications'),
    path('publications/<slug:name>', models.OnePublication.as_view(), name='api-publication'),
    path('publications/<slug:name>/rollback', models.Rollback.as_view(), name='api-rollback'),
    path('publications/<slug:name>/classify', classify.ClassifyByName.as_view(), name='api-classify-by-name'),
    path('publications/<slug:name>/detect', detect.DetectByName.as_view(), name='api-detect-by-name'),
    path('sources', models.Sources.as_view(), name='api-sources'),
    re_path('^.*$', Nowhere.as_view(), name='api-nowhere'),
]
