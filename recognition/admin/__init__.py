"""The administrators' site: source models, trainings, trained models, projects, API keys and the audit
record.

Pages show. What changes anything is an action or a form, and each asks the same use case as the other doors.
"""

from recognition.admin import registrations, sources  # noqa: F401  each registers its lists
