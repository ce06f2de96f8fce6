"""Sign the starter zoo: what each source's images look like to the reference network, written into its card.

    python -m transfer.zoo.sign SOURCES OUT [--reference NAME]

SOURCES holds one folder per set (as for transfer.zoo.starter), OUT the weights and cards. Of a source's sets, the images are
taken evenly up to MOST_IMAGES; their mean feature is stored under the digest of the reference's weights.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from p2l.signatures import mean_feature
from transfer.data.decode import decode
from transfer.spec import SourceCard, UnusableSource
from transfer.zoo.loading import load
from transfer.zoo.registry import architecture
from transfer.zoo.weights import StarterCard, file_digest, starter_cards

MOST_IMAGES = 1000  # the mean feature of a thousand images moves by about 3 % of a feature's own deviation
BATCH = 32
SUFFIXES = {'.jpg', '.jpeg', '.png', '.webp', '.gif', '.bmp'}
DIGITS = 6  # of a stored feature: far below the noise of its mean


@dataclass(frozen=True)
class Signed:
    """The mean feature of some images under a reference."""

    mean: tuple[float, ...]
    images: int  # how many it was taken over


def image_files(folder: Path) -> list[Path]:
    """Every image file below a folder, in a fixed order; hidden ones and links are left out."""
    found = (path for path in folder.rglob('*') if path.suffix.lower() in SUFFIXES and not path.is_symlink())
    return sorted(path for path in found if path.is_file() and not path.name.startswith('.'))


def evenly(paths: Sequence[Path], most: int = MOST_IMAGES) -> list[Path]:
    """At most so many, spread over the whole row, so that every class keeps its share."""
    if len(paths) <= most:
        return list(paths)
    return [paths[place] for place in np.linspace(0, len(paths) - 1, most).round().astype(int)]


@torch.inference_mode()
def sign(reference: SourceCard, paths: Sequence[Path]) -> Signed:
    """The mean penultimate feature of the reference over these images. UnreadableImage naming a file that is none."""
    if not paths:
        raise UnusableSource('there is no image to sign it with')
    network, model = architecture(reference.architecture), load(reference)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (reference.mean, reference.std))
    rows = []
    for start in range(0, len(paths), BATCH):
        pixels = np.stack([decode(path, reference.side) for path in paths[start : start + BATCH]])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255)
        rows.append(network.features(model, (images - mean) / std).numpy())
    return Signed(tuple(round(float(value), DIGITS) for value in mean_feature(np.concatenate(rows))), len(paths))


def as_source(card: StarterCard) -> SourceCard:
    return SourceCard(
        name=card.name,
        architecture=card.architecture,
        weights=str(card.weights),
        digest=file_digest(card.weights),
        classes=len(card.class_names),
        images=card.images,
        side=card.side,
        mean=card.mean,
        std=card.std,
    )


def sign_card(path: Path, reference: SourceCard, sources: Path) -> Signed:
    """Sign the set of one card file and write the card anew; signatures under other references are kept."""
    values = json.loads(path.read_text())
    paths = [file for part in values['sets'] for file in image_files(sources / part['name'])]
    signed = sign(reference, evenly(paths))
    values.setdefault('signatures', {})[reference.digest] = list(signed.mean)
    aside = path.with_suffix('.part')
    aside.write_text(json.dumps(values, indent=1) + '\n')
    aside.replace(path)
    return signed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sources', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--reference', default='graft-generic')
    options = parser.parse_args()
    cards = starter_cards(options.out)
    reference = next((as_source(card) for card in cards if card.name == options.reference), None)
    if reference is None:
        parser.error(f'there is no {options.reference}.json in {options.out}')
    for card in cards:
        signed = sign_card(options.out / f'{card.name}.json', reference, options.sources)
        print(card.name, 'signed with', signed.images, 'images', flush=True)


if __name__ == '__main__':
    main()
