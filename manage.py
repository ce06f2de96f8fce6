#!/usr/bin/env python
"""Graft's command line: `manage.py help` lists the commands."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == '__main__':
    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'recognition.settings')
    # Two spinning OpenMP threads on a busy machine are 6 to 22 times slower (docs/performance.md).
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    execute_from_command_line(sys.argv)
