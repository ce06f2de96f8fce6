"""Which networks a file of weights may belong to, by the names of its tensors: known without building eighty networks.

python -m transfer.zoo.fetch.fingerprints     writes fingerprints.json anew, after the registry has changed
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from transfer.zoo.networks import registry

KEPT = Path(__file__).with_name('fingerprints.json')


def fingerprint(names: Iterable[str]) -> str:
    """Of the names of a state's tensors. Counters of batches do not count: older files lack them."""
    kept = sorted(name for name in names if not name.endswith('num_batches_tracked'))
    return hashlib.sha256('\n'.join(kept).encode()).hexdigest()[:16]


def candidates(names: Iterable[str]) -> list[str]:
    """The architectures of the registry whose tensors are named so; their shapes may still differ."""
    found = fingerprint(names)
    return [name for name, known in json.loads(KEPT.read_text()).items() if known == found]


def main() -> None:
    values = {name: fingerprint(registry.architecture(name).outline.shapes) for name in registry.names()}
    KEPT.write_text(json.dumps(values, indent=1) + '\n')


if __name__ == '__main__':
    main()
