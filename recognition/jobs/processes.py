"""Names for processes from which another process can tell whether the named one is dead."""

from __future__ import annotations

import os
import platform
from pathlib import Path

BOOT_ID = Path('/proc/sys/kernel/random/boot_id')
PID_NAMESPACE = Path('/proc/self/ns/pid')


def local_prefix() -> str:
    """Identify this machine since its last boot, in this container: the scope in which process numbers are
    unique."""
    if not BOOT_ID.exists():
        return f'{platform.node()[:60]}~'
    boot, namespace = BOOT_ID.read_text()[:8], str(PID_NAMESPACE.readlink()).strip('pid:[]')
    return f'{platform.node()[:60]}~{boot}~{namespace}~'


def make_process_name(pid: int) -> str:
    """Numbers are reused, so a process is named by its number and its start time."""
    return f'{local_prefix()}{pid}~{_read_start_time(pid)}'


def is_dead(name: str) -> bool:
    """Whether the named process is dead; False for a process of another machine, about which nothing is
    known."""
    if not name.startswith(local_prefix()):
        return False
    pid, started = name.removeprefix(local_prefix()).split('~')
    return _read_start_time(int(pid)) != started


def _read_start_time(pid: int) -> str:
    """Clock ticks from the machine's boot to the process's start; empty when there is no such process, or
    only its zombie."""
    if not BOOT_ID.exists():  # not Linux: only the number is checked
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ''
        return 'alive'
    try:
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ''
    return '' if fields[0] in 'ZX' else fields[19]  # field 3, the state, and field 22 of proc(5)
