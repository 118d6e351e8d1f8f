"""The peers' sides, in PyTorch and PIL, as `ours` has ours. Nothing here loads TensorFlow."""

import copy
import resource
import time

import torch

from benchmarks.pictures import list_pictures
from benchmarks.torch_input import evaluation_loader, loader
from benchmarks.torch_network import Network, TrainingStep

THREADS = 2


def train_step(level, size, batch, steps, bfloat16, original=False):
    """Steps on one batch that stays in memory."""
    torch.set_num_threads(THREADS)
    step = TrainingStep(Network(level), original=original, bfloat16=bfloat16)
    shown, labels = _batch(size, batch)
    shown = shown.contiguous(memory_format=step.memory)

    def work():
        for _ in range(steps):
            step(shown, labels)
        return steps * batch

    return work


def inference(level, size, batch, bfloat16):
    """Logits of one batch, channels_last in `inference_mode`."""
    torch.set_num_threads(THREADS)
    network = Network(level).eval().to(memory_format=torch.channels_last)
    shown = _batch(size, batch)[0].contiguous(memory_format=torch.channels_last)

    def work():
        with torch.inference_mode(), _autocast(bfloat16):
            network(shown).float().numpy()
        return batch

    return work


def forget(size, pictures, batch, bfloat16):
    """The parent's head behind the first parts of four children, a child after the other."""
    torch.set_num_threads(THREADS)
    parent = Network(1).eval()
    children = [copy.deepcopy(parent).to(memory_format=torch.channels_last) for _ in range(4)]
    shown = _batch(size, pictures)[0].contiguous(memory_format=torch.channels_last)

    def work():
        with torch.inference_mode(), _autocast(bfloat16):
            for child in children:
                for start in range(0, pictures, batch):
                    features = child.backbone(shown[start : start + batch])
                    parent.head(features.float().mean((2, 3))).float().numpy()
        return pictures

    return work


def inputs(folder, size, batch, batches, area):
    """Batches of the original's order: decode, Resize, RandomResizedCrop, flip."""
    torch.set_num_threads(THREADS)
    drawn = iter(_loader(folder, size, batch, 10**6, area))

    def work():
        for _ in range(batches):
            next(drawn)
        return batch * batches

    return work


def training_memory(folder, size, batch, steps, bfloat16):
    """Peak memory in MiB of the process that trains; its two workers' is not counted."""
    torch.set_num_threads(THREADS)
    step = TrainingStep(Network(1), bfloat16=bfloat16)

    def work():
        for shown, labels in _loader(folder, size, batch, steps, (0.35, 1.0)):
            step(shown, labels)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    return work


def whole_job(splits, size, epochs, batch):
    """Seconds and the accuracy that the original's recipe ends with, both tasks.

    SGD at 0.1, divided by ten after 5/12 and 10/12 of the epochs (30 and 60 of its 72), float32.
    The child takes the parent's stages over and freezes them as the original did (batch norm in
    training mode), but trains its head, which the original left out by mistake. It is validated on
    plain pictures: the original augmented them, which would cost the peer accuracy.

    Parameters
    ----------
    splits : list of dict
        A task each, the root first: `train` and `val`, each a pair of paths and labels.
    """
    torch.set_num_threads(THREADS)

    def work():
        started, parent = time.perf_counter(), None
        for level, split in enumerate(splits, start=1):
            network = Network(level)
            if parent is not None:
                inherited = parent.backbone.state_dict()
                network.backbone.load_state_dict(inherited, strict=False)
                for name, weight in network.backbone.named_parameters():
                    weight.requires_grad = name not in inherited
            accuracy = _train_by_recipe(network, split, size, epochs, batch, started)
            parent = network
        return {"seconds": time.perf_counter() - started, "accuracy": accuracy}

    return work


def _train_by_recipe(network, split, size, epochs, batch, started):
    step = TrainingStep(network, original=True)
    drops = [round(epochs * share) for share in (30 / 72, 60 / 72)]
    schedule = torch.optim.lr_scheduler.MultiStepLR(step.optimizer, drops, 0.1)
    paths, labels = split["train"]
    batches = loader(paths, labels, size, batch, len(paths) // batch)
    kept = list(evaluation_loader(*split["val"], size, 256))
    for epoch in range(epochs):
        for shown, of_shown in batches:
            step(shown, of_shown)
        schedule.step()
        accuracy = _accuracy(network, kept)
        print(f"peer: {epoch + 1} {accuracy:.4f} {time.perf_counter() - started:.0f} s", flush=True)
    return accuracy


def _accuracy(network, batches):
    network.eval()
    with torch.inference_mode():
        right = sum(((network(shown) > 0) == (of > 0.5)).sum().item() for shown, of in batches)
    return right / sum(len(of) for _, of in batches)


def _autocast(bfloat16):
    return torch.autocast("cpu", torch.bfloat16, enabled=bfloat16)


def _batch(size, batch):
    torch.manual_seed(0)
    return torch.randn(batch, 3, size, size), (torch.arange(batch)[:, None] % 2).float()


def _loader(folder, size, batch, batches, area):
    paths = [f"{folder}/{path}" for path in list_pictures(folder)]
    return loader(paths, [number % 2 for number in range(len(paths))], size, batch, batches, area)
