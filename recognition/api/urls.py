"""URLs of the REST API, version 1."""

from __future__ import annotations

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from recognition.api import box_annotations, images, labels, models, predictions, projects, trainings
from recognition.api.endpoint import UnknownUrl

PROJECT = 'projects/<uuid:project_id>'
IMAGE = f'{PROJECT}/images/<uuid:image_id>'
DETECTION_JOB = 'detection-jobs/<uuid:detection_job_id>'

urlpatterns = [
    path('schema/', SpectacularAPIView.as_view(), name='api-schema'),
    path('docs/', SpectacularSwaggerSplitView.as_view(url_name='api-schema'), name='api-docs'),
    path('projects', projects.ProjectListView.as_view(), name='api-projects'),
    path(PROJECT, projects.ProjectView.as_view(), name='api-project'),
    path(f'{PROJECT}/restore', projects.ProjectRestoreView.as_view(), name='api-restore-project'),
    path(f'{PROJECT}/health', projects.ProjectHealthView.as_view(), name='api-health'),
    path(f'{PROJECT}/members', projects.MemberListView.as_view(), name='api-members'),
    path(f'{PROJECT}/members/<str:username>', projects.MemberView.as_view(), name='api-member'),
    path(f'{PROJECT}/images', images.ImageListView.as_view(), name='api-images'),
    path(f'{PROJECT}/images/label', images.ImagesLabelView.as_view(), name='api-label-images'),
    path(f'{PROJECT}/images/restore-labels', images.LabelsRestoreView.as_view(), name='api-restore-labels'),
    path(f'{PROJECT}/images/delete', images.ImagesDeleteView.as_view(), name='api-delete-images'),
    path(f'{PROJECT}/images/restore', images.ImagesRestoreView.as_view(), name='api-restore-images'),
    path(IMAGE, images.ImageView.as_view(), name='api-image'),
    path(f'{IMAGE}/content', images.ImageContentView.as_view(), name='api-image-content'),
    path(f'{IMAGE}/thumbnail', images.ImageThumbnailView.as_view(), name='api-image-thumbnail'),
    path(f'{IMAGE}/boxes', box_annotations.BoxesView.as_view(), name='api-boxes'),
    path(f'{IMAGE}/prelabels', box_annotations.PrelabelsView.as_view(), name='api-prelabels'),
    path(
        f'{PROJECT}/annotations/export',
        box_annotations.AnnotationExportView.as_view(),
        name='api-export-annotations',
    ),
    path(
        f'{PROJECT}/annotations/import',
        box_annotations.AnnotationImportView.as_view(),
        name='api-import-annotations',
    ),
    path(f'{PROJECT}/labels', labels.LabelListView.as_view(), name='api-labels'),
    path(f'{PROJECT}/labels/<int:label_id>', labels.LabelView.as_view(), name='api-label'),
    path(f'{PROJECT}/deleted-labels', labels.DeletedLabelListView.as_view(), name='api-deleted-labels'),
    path(
        f'{PROJECT}/deleted-labels/<int:deleted_id>/restore',
        labels.LabelRestoreView.as_view(),
        name='api-restore-label',
    ),
    path(f'{PROJECT}/trainings', trainings.TrainingListView.as_view(), name='api-trainings'),
    path(f'{PROJECT}/models', models.ModelListView.as_view(), name='api-models'),
    path('trainings/<uuid:job_id>', trainings.TrainingView.as_view(), name='api-training'),
    path(
        'trainings/<uuid:job_id>/cancel', trainings.TrainingCancelView.as_view(), name='api-cancel-training'
    ),
    path(DETECTION_JOB, predictions.DetectionJobView.as_view(), name='api-detection-job'),
    path(
        f'{DETECTION_JOB}/cancel',
        predictions.DetectionJobCancelView.as_view(),
        name='api-cancel-detection-job',
    ),
    path('models/<slug:reference>', models.ModelView.as_view(), name='api-model'),
    path('models/<slug:reference>/classify', predictions.ClassifyView.as_view(), name='api-classify'),
    path('models/<slug:reference>/detect', predictions.DetectView.as_view(), name='api-detect'),
    path('models/<slug:reference>/publish', models.PublishView.as_view(), name='api-publish'),
    path('models/<slug:reference>/promotion', models.PromotionView.as_view(), name='api-promotion'),
    path('publications', models.PublicationListView.as_view(), name='api-publications'),
    path('publications/<slug:name>', models.PublicationView.as_view(), name='api-publication'),
    path('publications/<slug:name>/rollback', models.RollbackView.as_view(), name='api-rollback'),
    path(
        'publications/<slug:name>/classify',
        predictions.ClassifyByNameView.as_view(),
        name='api-classify-by-name',
    ),
    path(
        'publications/<slug:name>/detect', predictions.DetectByNameView.as_view(), name='api-detect-by-name'
    ),
    path('source-models', models.SourceModelListView.as_view(), name='api-source-models'),
    re_path('^.*$', UnknownUrl.as_view(), name='api-unknown-url'),
]
