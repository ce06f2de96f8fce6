"""Read the class means of the starter zoo's data sets, for the earth mover's distance (Cui et al., CVPR
2018).

transfer.zoo.build.build_class_means writes them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import safe_open

from p2l.signatures import ClassMeans
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.weights import STARTER

FILE = STARTER / 'class_means.safetensors'


def read_class_means(source: SourceModelSpec, reference: str, file: Path = FILE) -> ClassMeans | None:
    """Those of a source of the starter zoo, under the reference network of that digest; None for any other
    source.

    The file holds REFERENCE/SET/means, float16 (classes, d), and REFERENCE/SET/images, int32 (classes,). A
    source of several sets (named SET+SET) has the classes of all of them.
    """
    if Path(source.weights).parent != file.parent or not file.is_file():
        return None
    prefixes = [f'{reference}/{name}' for name in source.dataset.split('+')]
    with safe_open(file, framework='np') as tensors:
        if not {f'{prefix}/means' for prefix in prefixes} <= set(tensors.keys()):
            return None
        means = np.concatenate([tensors.get_tensor(f'{prefix}/means') for prefix in prefixes])
        images = np.concatenate([tensors.get_tensor(f'{prefix}/images') for prefix in prefixes])
    return ClassMeans(means.astype(np.float64), images.astype(np.float64))
