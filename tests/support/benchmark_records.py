"""A recorded evaluation written by hand: three targets, four sources, two seeds."""

from __future__ import annotations

import json

import numpy as np

D = 6
SOURCES = {
    # name: (images, parameters, data set, signed, accuracy on each target)
    'huge': (1_000_000, 5e6, 'everything', False, (0.80, 0.50, 0.60)),
    'huge-small': (1_000_000, 1e6, 'everything', False, (0.70, 0.45, 0.55)),
    'near-a': (2_000, 1e6, 'a', True, (0.85, 0.40, 0.50)),
    'near-b': (2_000, 1e6, 'b', True, (0.50, 0.70, 0.50)),
}
TARGETS = ('a', 'b', 'c')
MEANS = {'a': [9, 1, 1, 1, 1, 1], 'b': [1, 9, 1, 1, 1, 1], 'c': [1, 1, 1, 9, 1, 1]}
IMAGES, HELD = 40, 100


def write_evaluation(folder, seeds=2, left_out=()):
    """Probes err by little, so that they point at the better source; every step takes known seconds."""
    cells, means = folder / 'cells', folder / 'class_means'
    cells.mkdir(parents=True)
    means.mkdir()
    sources = {}
    for name, (images, _, dataset, signed, _) in SOURCES.items():
        signature = MEANS[dataset] if signed else []
        sources[name] = {
            'name': name,
            'images': images,
            'dataset': dataset,
            'signature': signature,
            'classes': 10,
        }
    facts = {name: {'labels': ['x', 'y']} for name in TARGETS}
    (folder / 'setup.json').write_text(
        json.dumps({'setup': {'per_class': 20}, 'sources': sources, 'targets': facts})
    )
    for place, target in enumerate(TARGETS):
        for seed in range(seeds):
            mean = np.array(MEANS[target], dtype=float)
            look = {'target': target, 'seed': seed, 'seconds': 1.0, 'mean': mean.tolist()}
            look |= {'class_means': [mean.tolist(), mean.tolist()], 'class_images': [20, 20]}
            (means / f'{target}--{seed}.json').write_text(json.dumps(look))
            for name, (_, parameters, _, _, accuracy) in SOURCES.items():
                if (target, name, seed) not in left_out:
                    cell = _cell(target, name, seed, accuracy[place], parameters)
                    (cells / f'{target}--{name}--{seed}.json').write_text(json.dumps(cell))
    return folder


def _bits(share, count):
    hits = round(share * count)
    return '1' * hits + '0' * (count - hits)


def _cell(target, source, seed, accuracy, parameters):
    hits = round(IMAGES * (accuracy - 0.05))
    seconds = {'features': 0.2, 'probe': 0.3, 'logme': 0.1, 'knn': 0.1, 'leep': 0.4, 'finetune': 9.5}
    return {
        'target': target,
        'source': source,
        'seed': seed,
        'classes': 2,
        'train_images': IMAGES,
        'test_images': HELD,
        'accuracy': accuracy + 0.01 * seed,
        'correct': _bits(accuracy + 0.01 * seed, HELD),
        'linear': accuracy - 0.02,
        'probe': hits / IMAGES,
        'probe_correct': _bits(hits / IMAGES, IMAGES),
        'logme': accuracy,
        'leep': accuracy - 1,
        'knn': accuracy / 2,
        'parameters': parameters,
        'seconds': seconds,
    }


def copy_target(folder, old, new):
    """Another target that came out just like `old`."""
    for path in [*(folder / 'cells').glob(f'{old}--*'), *(folder / 'class_means').glob(f'{old}--*')]:
        values = json.loads(path.read_text()) | {'target': new}
        (path.parent / path.name.replace(f'{old}--', f'{new}--', 1)).write_text(json.dumps(values))
