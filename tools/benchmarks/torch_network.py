"""ModNet in PyTorch: `modnet_keras.build_model`'s network, with weights of the same shapes.

Strided convolutions pad both sides alike here, and as TensorFlow's "same" does there.
"""

import torch
import torch.nn.functional as F
from torch import nn

STEM_FILTERS = 64


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut."""

    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.conv_1 = nn.Conv2d(inputs, filters, 3, stride, 1, bias=False)
        self.norm_1 = nn.BatchNorm2d(filters)
        self.conv_2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.norm_2 = nn.BatchNorm2d(filters)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != filters:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
            )

    def forward(self, x):
        """Of features [b, inputs, h, w]."""
        y = F.relu(self.norm_1(self.conv_1(x)), inplace=True)
        return F.relu(self.norm_2(self.conv_2(y)) + self.shortcut(x), inplace=True)


class Network(nn.Module):
    """The network of a level: the stem, level + 1 stages of two blocks, the head."""

    def __init__(self, level):
        super().__init__()
        parts = [
            nn.Sequential(
                nn.Conv2d(3, STEM_FILTERS, 7, 2, 3, bias=False),
                nn.BatchNorm2d(STEM_FILTERS),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(3, 2, 1),
            )
        ]
        inputs = STEM_FILTERS
        for number in range(level + 1):
            filters = STEM_FILTERS * 2**number
            stride = 1 if number == 0 else 2
            parts.append(
                nn.Sequential(BasicBlock(inputs, filters, stride), BasicBlock(filters, filters, 1))
            )
            inputs = filters
        self.backbone = nn.Sequential(*parts)
        self.head = nn.Linear(inputs, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pictures):
        """Logits [b, 1] of normalised pictures [b, 3, h, w]."""
        return self.head(self.backbone(pictures).float().mean((2, 3)))


class TrainingStep:
    """One step of the original's SGD on a batch; `original` is float32 and NCHW, as it was run."""

    def __init__(self, network, *, original=False, bfloat16=False, weight_decay=1e-4):
        self.memory = torch.contiguous_format if original else torch.channels_last
        self.network = network.to(memory_format=self.memory)
        self.bfloat16 = bfloat16 and not original
        self.optimizer = torch.optim.SGD(
            network.parameters(), lr=0.1, momentum=0.9, weight_decay=weight_decay
        )
        self.loss = nn.BCEWithLogitsLoss()

    def __call__(self, pictures, labels):
        """Train on [b, 3, h, w] and [b, 1]; the loss, when it is known."""
        self.network.train()
        pictures = pictures.contiguous(memory_format=self.memory)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            logits = self.network(pictures)
        loss = self.loss(logits.float(), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()
