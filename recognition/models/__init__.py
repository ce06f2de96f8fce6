from recognition.models.access import ApiKey, AuditEvent
from recognition.models.image import Annotation, DeletedLabel, Image, Label
from recognition.models.job import Job, JobEvent
from recognition.models.project import Membership, Project
from recognition.models.source_model import SourceModel
from recognition.models.trained_model import Publication, PublicationEvent, TrainedModel

__all__ = [
    'Annotation',
    'ApiKey',
    'AuditEvent',
    'DeletedLabel',
    'Image',
    'Job',
    'JobEvent',
    'Label',
    'Membership',
    'Project',
    'Publication',
    'PublicationEvent',
    'SourceModel',
    'TrainedModel',
]
