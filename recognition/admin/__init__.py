"""The administrator's view: the zoo, trainings, models, projects, keys and the audit log.

Pages show; what changes anything is an action or a form, and each asks the same use case as everyone.
"""

from recognition.admin import registrations, sources  # noqa: F401  each registers its lists
