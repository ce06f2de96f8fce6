"""LeNet-5 (LeCun et al. 1998), the smallest network of the zoo."""

from __future__ import annotations

from torch import Tensor, nn

SIDE = 32  # pixels: the original's input; the first dense layer is as large as this side makes it


class LeNet5(nn.Module):
    """The original layout (C1 S2 C3 S4 C5 F6 output) with three departures, all usual today.

    Three input channels instead of one grey; ReLU and max pooling instead of scaled tanh and trainable
    subsampling; C3 sees every map of S2. Input (n, 3, 32, 32), output (n, classes).
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(images))
        return logits
