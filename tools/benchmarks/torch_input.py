"""The original's input pipeline: PIL in two workers of a DataLoader, in torchvision's order."""

import functools
import math
import random

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler

MEAN = np.array((0.485, 0.456, 0.406), "float32")
DEVIATION = np.array((0.229, 0.224, 0.225), "float32")


def resize_shorter(picture, size):
    """torchvision's `Resize(size)` on a PIL picture."""
    width, height = picture.size
    scale = size / min(width, height)
    return picture.resize((round(width * scale), round(height * scale)), Image.BILINEAR)


def random_resized_crop(picture, size, area, aspect=(3 / 4, 4 / 3)):
    """torchvision's `RandomResizedCrop(size)` on a PIL picture."""
    width, height = picture.size
    for _ in range(10):
        target = width * height * random.uniform(*area)
        ratio = math.exp(random.uniform(math.log(aspect[0]), math.log(aspect[1])))
        w, h = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            break
    else:
        w = h = min(width, height)
        left, top = (width - w) // 2, (height - h) // 2
    cut = picture.crop((left, top, left + w, top + h))
    return cut.resize((size, size), Image.BILINEAR)


def as_tensor(picture):
    """Normalised float32 [3, size, size], as `ToTensor` and `Normalize` give it."""
    pixels = (np.asarray(picture, "float32") / 255 - MEAN) / DEVIATION
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def augmented(picture, size, area):
    """What the original trains on: Resize, RandomResizedCrop, RandomHorizontalFlip."""
    picture = resize_shorter(picture, round(size * 256 / 224))
    picture = random_resized_crop(picture, size, area)
    return picture.transpose(Image.FLIP_LEFT_RIGHT) if random.random() < 0.5 else picture


def centred(picture, size):
    """The middle: Resize, CenterCrop."""
    picture = resize_shorter(picture, round(size * 256 / 224))
    left, top = ((side - size) // 2 for side in picture.size)
    return picture.crop((left, top, left + size, top + size))


class Pictures(Dataset):
    """Files with their labels, as a function of a picture gives them."""

    def __init__(self, paths, labels, view):
        self.paths, self.labels, self.view = paths, labels, view

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        picture = self.view(Image.open(self.paths[index]).convert("RGB"))
        return as_tensor(picture), torch.tensor([float(self.labels[index])])


def loader(paths, labels, size, batch, batches, area=(0.08, 1.0)):
    """Random batches as they are trained on, by two worker processes that stay."""
    pictures = Pictures(paths, labels, functools.partial(augmented, size=size, area=area))
    sampler = RandomSampler(
        pictures, replacement=batches * batch > len(paths), num_samples=batches * batch
    )
    return DataLoader(pictures, batch, sampler=sampler, num_workers=2, persistent_workers=True)


def evaluation_loader(paths, labels, size, batch):
    """All pictures once, in order, not augmented."""
    pictures = Pictures(paths, labels, functools.partial(centred, size=size))
    return DataLoader(pictures, batch, num_workers=2)
