"""Names of processes, such that another process can tell whether the one that bore a name is dead."""

from __future__ import annotations

import os
import platform
from pathlib import Path

BOOT_ID = Path('/proc/sys/kernel/random/boot_id')
PID_NAMESPACE = Path('/proc/self/ns/pid')


def local_prefix() -> str:
    """This machine since its last start, as seen from this container: within it a process number means one process."""
    if not BOOT_ID.exists():
        return f'{platform.node()[:60]}~'
    boot, namespace = BOOT_ID.read_text()[:8], str(PID_NAMESPACE.readlink()).strip('pid:[]')
    return f'{platform.node()[:60]}~{boot}~{namespace}~'


def make_process_name(pid: int) -> str:
    """Numbers are used again, so a process is its number and the moment at which it started."""
    return f'{local_prefix()}{pid}~{_read_start_time(pid)}'


def is_dead(name: str) -> bool:
    """True only when this process can be sure: of another machine's processes it knows nothing."""
    if not name.startswith(local_prefix()):
        return False
    pid, started = name.removeprefix(local_prefix()).split('~')
    return _read_start_time(int(pid)) != started


def _read_start_time(pid: int) -> str:
    """Clock ticks from the machine's start to the process's; empty when there is no such process, or only its zombie."""
    if not BOOT_ID.exists():  # not Linux: the number alone must do
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
