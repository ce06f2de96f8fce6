"""Train the starter zoo from scratch, from folders of labelled images.

    python -m transfer.zoo.build.train_starter SOURCES OUT [--only NAME ...] [--threads N]

SOURCES holds one folder per set, each with one sub-folder per class. For every recipe below this writes
OUT/NAME.safetensors (half precision) and OUT/NAME.json (its description: seed, data digest, accuracy, origin,
licence). Training is checkpointed after every epoch: run the same command again after an interruption and it
goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import get_model

from transfer.runtime.atomic_write import replace_file

CACHE_SIZE = 144  # pixels of the cached square: the largest training side (128) over 0.9
HELD_OUT_EVERY = 7  # every seventh image of a class is held out: 14 %
# the field's usual constants; a network trained from scratch only needs them fixed
MEAN = 0.485, 0.456, 0.406
STD = (0.229, 0.224, 0.225)

ORIGINS = {
    'garment': ('alexeygrigorev/clothing-dataset-small', 'CC0-1.0'),
    'grocery': ('marcusklasson/GroceryStoreDataset', 'MIT'),
    'object': ('Caltech-101 (46 classes, no faces)', 'CC-BY-4.0'),
    'apple_leaf': ('PlantVillage (apple)', 'CC-BY-3.0'),
    'blood_cell': ('BCCD white blood cells', 'MIT'),
}


DOMAINS = {
    'garment': 'clothes',
    'grocery': 'groceries',
    'object': 'everyday objects',
    'apple_leaf': 'plants',
    'blood_cell': 'cells',
}


@dataclass(frozen=True)
class Stage:
    """Some epochs at one square input side, in pixels."""

    side: int
    epochs: int


@dataclass(frozen=True)
class Recipe:
    """One source model: which sets it learns from, and how."""

    name: str
    title: str
    architecture: str
    sets: tuple[str, ...]
    stages: tuple[Stage, ...]
    rate: float  # peak learning rate of SGD, cosine to zero
    bfloat16: bool  # pays for ResNets on a CPU, costs time with depthwise convolutions
    batch: int = 64
    weight_decay: float = 5e-4
    seed: int = 0
    start: str = ''  # an earlier recipe whose body this one starts from; empty: random weights


EVERYTHING = ('apple_leaf', 'blood_cell', 'garment', 'grocery', 'object')


def specialist(name: str, title: str, data_set: str) -> Recipe:
    """A small network of one domain. It starts from our own graft-small: two thousand images alone make poor
    features."""
    return Recipe(
        name,
        title,
        'mobilenet_v3_small',
        (data_set,),
        (Stage(128, 10),),
        0.02,
        bfloat16=False,
        start='graft-small',
    )


RECIPES = (
    Recipe(
        'graft-generic',
        'Everyday and close-up photos, five sets together',
        'resnet18',
        EVERYTHING,
        (Stage(64, 18), Stage(96, 10), Stage(128, 6)),
        0.1,
        bfloat16=True,
    ),
    Recipe(
        'graft-small',
        'The same five sets in a network a tenth of the cost',
        'mobilenet_v3_small',
        EVERYTHING,
        (Stage(64, 10), Stage(96, 15), Stage(128, 25)),
        0.1,
        bfloat16=False,
    ),
    specialist('graft-garment', 'Clothes', 'garment'),
    specialist('graft-grocery', 'Fruit, vegetables and cartons', 'grocery'),
    specialist('graft-object', 'Everyday objects', 'object'),
    specialist('graft-leaf', 'Apple leaves, healthy and diseased', 'apple_leaf'),
    specialist('graft-blood', 'White blood cells under the microscope', 'blood_cell'),
)


@dataclass(frozen=True)
class LabelledArrays:
    """images: uint8 (n, 3, CACHE_SIZE, CACHE_SIZE); labels: int64 (n,)."""

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    digest: str

    def split(self) -> tuple[Tensor, Tensor]:
        """Indices (train, held out): every HELD_OUT_EVERY-th image of each class is held out."""
        held = torch.zeros(len(self.labels), dtype=torch.bool)
        for label in self.labels.unique():
            held[(self.labels == label).nonzero().flatten()[::HELD_OUT_EVERY]] = True
        return (~held).nonzero().flatten(), held.nonzero().flatten()


def read_sets(root: Path, names: tuple[str, ...]) -> LabelledArrays:
    """Every image of the named sets, squared and cached; a class is called set/class where there are several
    sets."""
    images: list[np.ndarray] = []
    labels: list[int] = []
    classes: list[str] = []
    digest = hashlib.sha256()
    for name in names:
        for folder in sorted(path for path in (root / name).iterdir() if path.is_dir()):
            classes.append(folder.name if len(names) == 1 else f'{name}/{folder.name}')
            for path in sorted(folder.iterdir()):
                digest.update(hashlib.sha256(path.read_bytes()).digest())
                with Image.open(path) as image:
                    square = image.convert('RGB').resize((CACHE_SIZE, CACHE_SIZE), Image.Resampling.BILINEAR)
                images.append(np.asarray(square).transpose(2, 0, 1))
                labels.append(len(classes) - 1)
    return LabelledArrays(
        torch.from_numpy(np.stack(images)), torch.tensor(labels), tuple(classes), digest.hexdigest()
    )


def augment(batch: Tensor, side: int) -> Tensor:
    """A random resized crop (area 0.3 to 1), a flip and colour jitter for each uint8 image; float,
    normalised."""
    count = len(batch)
    scale = torch.empty(count).uniform_(0.3, 1.0).sqrt()
    ratio = torch.empty(count).uniform_(math.log(0.8), math.log(1.25)).mul(0.5).exp()
    width, height = (scale * ratio).clamp(max=1.0), (scale / ratio).clamp(max=1.0)
    flip = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = width * flip, height
    theta[:, 0, 2] = (torch.rand(count) * 2 - 1) * (1 - width)
    theta[:, 1, 2] = (torch.rand(count) * 2 - 1) * (1 - height)
    grid = nn.functional.affine_grid(theta, [count, 3, side, side], align_corners=False)
    pixels = nn.functional.grid_sample(
        batch.float() / 255, grid, padding_mode='reflection', align_corners=False
    )
    gain = torch.empty(count, 3, 1, 1).uniform_(0.85, 1.15) * torch.empty(count, 1, 1, 1).uniform_(0.7, 1.3)
    middle = pixels.mean((1, 2, 3), keepdim=True)
    contrast = torch.empty(count, 1, 1, 1).uniform_(0.7, 1.3)
    return normalise(((pixels - middle) * contrast + middle).mul(gain).clamp(0, 1))


def normalise(pixels: Tensor) -> Tensor:
    """Pixels in 0..1, (n, 3, h, w), standardised and laid out channels last."""
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)


def centre(batch: Tensor, side: int) -> Tensor:
    """The whole cached square at the given side: what serving does with a squared image."""
    return normalise(
        nn.functional.interpolate(batch.float() / 255, (side, side), mode='bilinear', antialias=True)
    )


def batches(indices: Tensor, size: int) -> Iterator[Tensor]:
    order = indices[torch.randperm(len(indices))]
    # A last batch of one image would break batch normalisation.
    return (part for part in order.split(size) if len(part) > 1)


@torch.inference_mode()
def accuracy(model: nn.Module, data: LabelledArrays, indices: Tensor, side: int) -> float:
    model.eval()
    right = 0
    for part in indices.split(128):
        right += int((model(centre(data.images[part], side)).argmax(1) == data.labels[part]).sum())
    return right / len(indices)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Linear warm-up over the first twentieth, then a cosine to zero."""
    warm = max(1, steps // 20)
    if step < warm:
        return recipe.rate * (step + 1) / warm
    return recipe.rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def build(recipe: Recipe, classes: int, out: Path) -> nn.Module:
    model = get_model(recipe.architecture, weights=None, num_classes=classes)
    if recipe.start:
        fresh = model.state_dict()
        start_weights = load_file(out / f'{recipe.start}.safetensors')
        model.load_state_dict(
            {
                key: start_weights[key] if start_weights[key].shape == value.shape else value
                for key, value in fresh.items()
            }
        )
    return model.to(memory_format=torch.channels_last)


def train(recipe: Recipe, data: LabelledArrays, out: Path) -> tuple[nn.Module, float]:
    """Train one recipe; returns the network and its accuracy on the images held out."""
    checkpoint = out / f'{recipe.name}.checkpoint'
    torch.manual_seed(recipe.seed)
    model = build(recipe, len(data.classes), out)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=recipe.rate, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
    )
    sides = [stage.side for stage in recipe.stages for _ in range(stage.epochs)]
    fit, held = data.split()
    per_epoch = math.ceil(len(fit) / recipe.batch)
    for epoch in range(resume(checkpoint, model, optimizer), len(sides)):
        model.train()
        for number, part in enumerate(batches(fit, recipe.batch)):
            for group in optimizer.param_groups:
                group['lr'] = learning_rate(recipe, epoch * per_epoch + number, len(sides) * per_epoch)
            with torch.autocast('cpu', torch.bfloat16, enabled=recipe.bfloat16):
                loss = nn.functional.cross_entropy(
                    model(augment(data.images[part], sides[epoch])), data.labels[part]
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(
            recipe.name,
            epoch + 1,
            '/',
            len(sides),
            'side',
            sides[epoch],
            'loss',
            round(loss.item(), 3),
            flush=True,
        )
        if epoch % 3 == 2:
            save_checkpoint(checkpoint, model, optimizer, epoch + 1)
    return model, accuracy(model, data, held, sides[-1])


def save_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
    state = {'model': model.state_dict(), 'optimizer': optimizer.state_dict(), 'epochs': epochs}
    with replace_file(path) as aside:
        torch.save(state, aside)


def resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Restore a checkpoint if there is one; returns how many epochs it holds."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state['model'])
    optimizer.load_state_dict(state['optimizer'])
    return int(state['epochs'])


def write(
    recipe: Recipe, model: nn.Module, held_out_accuracy: float, data: LabelledArrays, out: Path
) -> None:
    """The weights in half precision, and the JSON file that says where they come from."""
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }
    save_file(tensors, out / f'{recipe.name}.safetensors')
    fit, held = data.split()
    starter = {
        'name': recipe.name,
        'title': recipe.title,
        'domain': DOMAINS[recipe.sets[0]] if len(recipe.sets) == 1 else 'mixed',
        'architecture': recipe.architecture,
        'class_names': list(data.classes),
        'images': len(fit),
        'held_out_images': len(held),
        'held_out_accuracy': round(held_out_accuracy, 4),
        'side': recipe.stages[-1].side,
        'mean': MEAN,
        'std': STD,
        'data_digest': data.digest,
        'sets': [
            {'name': name, 'origin': ORIGINS[name][0], 'licence': ORIGINS[name][1]} for name in recipe.sets
        ],
        'licence': 'Apache-2.0',
        'recipe': asdict(recipe),
        'torch': torch.__version__,
    }
    (out / f'{recipe.name}.json').write_text(json.dumps(starter, indent=1) + '\n')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('sources', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--only', nargs='*', default=[recipe.name for recipe in RECIPES])
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        if recipe.name in options.only:
            data = read_sets(options.sources, recipe.sets)
            model, reached = train(recipe, data, options.out)
            write(recipe, model, reached, data, options.out)
            print(recipe.name, 'held-out accuracy', round(reached, 4), flush=True)


if __name__ == '__main__':
    main()
