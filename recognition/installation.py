"""What an installation needs before it serves: tables, static files, source models, and one person who may do everything."""

from __future__ import annotations

from django.core.management import call_command

from recognition import accounts, zoo


def prepare() -> list[str]:
    """Bring everything up to date; the lines to tell whoever started it. Nothing that is there already is changed."""
    call_command('migrate', interactive=False, verbosity=0)
    call_command('collectstatic', interactive=False, verbosity=0)
    names = zoo.sync_starter()
    lines = [f'{len(names)} source models of the starter zoo; where there is internet, `manage.py zoo pull NAME` fetches more.']
    administrator, password = accounts.ensure_administrator()
    if password is not None:
        lines += [f'Sign in as {administrator.get_username()} with the password {password} (it is shown only this once).']
    return lines
