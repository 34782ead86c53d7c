"""What one would write without mstool, for benchmarks/hot_paths.py; also run as a command."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import tifffile

N_CLASSES = 4


def plain_loop(network, tiles, device="cpu") -> Callable[[], object]:
    """The loop of many notebooks: float32, channels first."""
    import torch

    network = network.float().to(device, memory_format=torch.contiguous_format).eval()
    batch = torch.from_numpy(np.stack(tiles))[:, None].float().contiguous()

    def work():
        with torch.no_grad():
            return network((batch.to(device) - 128) / 40).softmax(dim=1).cpu().numpy()

    return work


def by_sklearn(truth, mask):
    """Counts of pairs."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(truth.ravel(), mask.ravel())


def by_torchmetrics(truth, mask):
    """Counts of pairs."""
    import torch
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    return multiclass_confusion_matrix(torch.tensor(mask), torch.tensor(truth), N_CLASSES)


def by_medpy(truth, mask):
    """Dice of each class."""
    from medpy.metric.binary import dc

    return [dc(mask == index, truth == index) for index in range(N_CLASSES)]


def segment(way: str, path: Path, model: Path, out: Path) -> None:
    """Mask of a micrograph, by MONAI's sliding window or by a loop that glues tiles together."""
    import torch

    from mstool.nn.checkpoint import load_checkpoint

    torch.set_num_threads(1)
    network = load_checkpoint(model).segmenter.network.eval()
    image = torch.from_numpy(tifffile.imread(path)).float()[None, None]
    image = (image - 128) / 40
    with torch.no_grad():
        if way == "monai":
            from monai.inferers import sliding_window_inference

            logits = sliding_window_inference(
                image, (512, 512), 4, network, overlap=0.25, mode="gaussian"
            )
            labels = logits.argmax(dim=1)[0].numpy().astype(np.uint8)
        else:
            labels = _glued(network, image)
    tifffile.imwrite(out, labels, compression="zstd")


def _glued(network, image):
    height, width = image.shape[-2:]
    labels = np.zeros((height, width), np.uint8)
    places = [(row, col) for row in range(0, height, 384) for col in range(0, width, 384)]
    places = [(min(row, height - 512), min(col, width - 512)) for row, col in places]
    import torch

    for start in range(0, len(places), 4):
        some = places[start : start + 4]
        batch = torch.cat([image[..., r : r + 512, c : c + 512] for r, c in some])
        for (row, col), found in zip(some, network(batch).argmax(dim=1), strict=True):
            labels[row : row + 512, col : col + 512] = found.numpy()
    return labels


def cut(way: str, path: Path, out: Path) -> None:
    """Tiles of 512 px as files."""
    out.mkdir(exist_ok=True)
    if way == "pyvips":
        import pyvips

        image = pyvips.Image.new_from_file(str(path))
        for row in range(0, image.height - 511, 512):
            for col in range(0, image.width - 511, 512):
                tile = image.crop(col, row, 512, 512)
                tile.tiffsave(str(out / f"{row}_{col}.tif"), compression="deflate")
        return
    image = tifffile.imread(path)
    if way == "patchify":
        from patchify import patchify

        whole = [side // 512 * 512 for side in image.shape]
        patches = patchify(image[: whole[0], : whole[1]], (512, 512), step=512)
        tiles = patches.reshape(-1, 512, 512)
    else:
        from tiler import Tiler

        tiles = (tile for _, tile in Tiler(image.shape, (512, 512)).iterate(image))
    for number, tile in enumerate(tiles):
        tifffile.imwrite(out / f"{number}.tif", tile, compression="deflate")


def merge(folder: Path, out: Path) -> None:
    """Blend tiles of probabilities with tiler."""
    from tiler import Merger, Tiler

    side = json.loads((folder / "predict.json").read_text())["sources"][0]["shape"][0]
    files = sorted((folder / "probs").glob("*.tif"))
    n_classes = len(tifffile.imread(files[0]))
    shape, tile = (n_classes, side, side), (n_classes, 512, 512)
    tiler = Tiler(shape, tile, overlap=(0, 64, 64), channel_dimension=0)
    merger = Merger(tiler, window="hann", data_dtype=np.float32)
    for number in range(len(tiler)):
        merger.add(number, tifffile.imread(files[number % len(files)]).astype(np.float32))
    labels = merger.merge(unpad=True).argmax(axis=0).astype(np.uint8)
    tifffile.imwrite(out, labels, compression="zstd")


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    paths = [Path(each) for each in rest]
    if verb in ("monai", "loop"):
        segment(verb, *paths)
    elif verb == "merge":
        merge(*paths)
    else:
        cut(verb, *paths)
