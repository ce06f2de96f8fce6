"""Loaded before Django's settings (`-p tests.environment`): tests never touch the data of an installation."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

folder = tempfile.mkdtemp(prefix='graft-tests-')
atexit.register(shutil.rmtree, folder, ignore_errors=True)
os.environ['GRAFT_DATA'] = folder
os.environ['OMP_WAIT_POLICY'] = 'PASSIVE'
os.environ.pop('GRAFT_PRODUCTION', None)
os.environ['P2L_REFERENCE'] = 'graft-generic'
os.environ['PACKAGED_SOURCES'] = (
    ''  # its network is six times the starter zoo's: tests that start a server train on small ones
)
