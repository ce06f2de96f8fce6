"""Prepare an installation: tables, static files, source models, and one administrator."""

from __future__ import annotations

from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from recognition.errors import GraftError, NotReadyError
from recognition.management import first_admin
from recognition.zoo import catalog, downloads, signature_jobs


def prepare() -> list[str]:
    """Bring everything up to date. Returns lines for the terminal. Nothing that exists is changed."""
    call_command('migrate', interactive=False, verbosity=0)
    call_command('collectstatic', interactive=False, verbosity=0)
    names = catalog.sync_starter()
    lines = [
        f'{len(names)} source models of the starter zoo; where there is internet, `manage.py zoo download '
        'NAME` adds more.'
    ]
    lines += downloads.install_packaged()
    lines += compute_missing_signatures()
    administrator, password = first_admin.ensure_administrator()
    if password is not None:
        lines += [
            f'Sign in as {administrator.get_username()} with the password {password} (it is shown only this '
            'once).'
        ]
    return lines


def compute_missing_signatures() -> list[str]:
    """Start jobs for the sources that lack a signature under the reference model, as after a change of it;
    lines to print."""
    try:
        started = signature_jobs.start_missing(None)
    except NotReadyError as error:
        return [error.message]
    return (
        [f'A worker will compute the signatures of {len(started.jobs)} source models.']
        if started.jobs
        else []
    )


def migrate_local_database() -> None:
    """For commands that need no server: on SQLite the database and the starter zoo are made at the first of
    them.

    Error: GraftError when the database cannot be reached, or is a server that nobody has migrated yet.
    """
    try:
        executor = MigrationExecutor(connection)
        behind = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except OperationalError as error:
        raise GraftError(f'The database cannot be reached: {str(error).strip()}') from error
    if not behind:
        return
    if connection.vendor != 'sqlite':
        raise GraftError('The database lacks tables of this version: run manage.py migrate first.')
    call_command('migrate', interactive=False, verbosity=0)
    catalog.sync_starter()
    downloads.install_packaged()
