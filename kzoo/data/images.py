"""Folders of images: one folder per class, with or without `train/ val/ test/` above them."""

import hashlib
import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from kzoo.data.dataset import Dataset, Split
from kzoo.data.decode import EXTENSIONS, check_shape, decode, from_array
from kzoo.data.splits import stratified_split
from kzoo.errors import KzooError
from kzoo.registry import hint

SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing"),
}
IN_MEMORY = 2**30  # bytes of decoded pixels up to which all images are decoded once and kept
_TEST_SHARE = 0.2
_CHUNK = 64  # images to a thread's task
_NAMED = 5  # broken images a note names


class ImageFiles:
    """Images that are decoded when they are asked for: `files[indices]` -> uint8 (B, H, W, C).

    Args:
        root: the folder the names start from.
        names: file names below it.
        shape: (H, W, C).
    """

    def __init__(self, root, names, shape):
        self._root, self._names, self._size = Path(root), np.asarray(names, dtype=object), shape

    def __len__(self):
        return len(self._names)

    @property
    def shape(self):
        return (len(self), *self._size)

    dtype, ndim = np.dtype("uint8"), 4

    def __getitem__(self, indices):
        names = self._names[indices]
        if isinstance(names, str):
            return decode(self._root / names, self._size)
        pixels = np.empty((len(names), *self._size), "uint8")

        def fill(start):
            for i, name in enumerate(names[start : start + 8], start):
                pixels[i] = decode(self._root / name, self._size)

        with ThreadPoolExecutor(_threads()) as pool:
            list(pool.map(fill, range(0, len(names), 8)))
        return pixels

    def __repr__(self):
        return f"<ImageFiles {self.shape}>"


def load_image_folder(path, *, image_shape, validation=0.1, test=None, seed=0, in_memory=IN_MEMORY) -> Dataset:
    """Load a folder of class folders of images.

    With `train/` above the class folders the split is the folders' own; what is missing is cut from the
    training images, each class by the same share. Every image is read once, to leave out the broken ones
    before training starts; small sets stay in memory, large ones are decoded again batch by batch.

    Args:
        path: the folder.
        image_shape: (H, W, C) every image is brought to; see `kzoo.data.decode`.
        validation: the share of the training images that is held out, if there is no such folder.
        test: a second folder of the same classes; None takes `test/`, else 20 % of the images.
        seed: of the split.
        in_memory: bytes of decoded pixels up to which they are kept.

    Raises:
        KzooError: for a folder without images, fewer than two classes, or more broken images than good.
    """
    shape, root = check_shape(image_shape), _folder(path)
    places = _split_folders(root)
    if test is not None:
        places["test"] = _folder(test)
    listed = {split: _list_classes(folder) for split, folder in places.items()}
    classes = sorted(listed["train"])
    _check_classes(listed, places, classes)

    files, notes, digests, labels = {}, [], {}, {}
    decoded_bytes = sum(len(n) for c in listed.values() for n in c.values()) * int(np.prod(shape))
    for split, by_class in listed.items():
        names = [name for c in classes for name in by_class.get(c, ())]
        y = np.repeat(np.arange(len(classes), dtype="int64"), [len(by_class.get(c, ())) for c in classes])
        pixels, digest, errors = _read(places[split], names, shape, keep=decoded_bytes <= in_memory)
        good = np.array([d is not None for d in digest], bool)
        if errors:
            notes.append(_broken_note(errors, names, split if len(listed) > 1 else None))
        kept = [name for name, is_good in zip(names, good, strict=True) if is_good]
        if pixels is None:
            files[split] = ImageFiles(places[split], kept, shape)
        else:
            files[split] = pixels if good.all() else pixels[good]
        digests[split] = [(n, d) for n, d in zip(kept, (d for d in digest if d), strict=True)]
        labels[split] = y[good]
        _check_left(classes, labels[split], split)

    parts = {split: (split, np.arange(len(labels[split]))) for split in listed}
    if "test" not in parts:
        _carve(parts, "test", labels["train"], _TEST_SHARE, seed)
        notes.append("No test folder: a fixed 20 % of each class is the test set.")
    if "validation" not in parts and validation:
        _carve(parts, "validation", labels["train"], validation, seed)
    splits = {part: _take(files[source], labels[source], rows) for part, (source, rows) in parts.items()}
    few = [classes[c] for c, n in sorted(Counter(splits["train"].y.tolist()).items()) if n == 1]
    if few:
        notes.append(f"Only one training image in {', '.join(map(repr, few))}: add more to learn from.")
    fingerprint = hashlib.sha256()
    for part, (source, rows) in sorted(parts.items()):
        for row in rows.tolist():
            fingerprint.update(f"{part}\0{digests[source][row]}\n".encode())
    return Dataset(
        name=root.resolve().name,
        task="image_classification",
        inputs="image",
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
        config={"input_shape": shape, "outputs": len(classes)},
        preprocessing=image_preprocessing(shape),
        class_names=tuple(classes),
        notes=notes,
        fingerprint=fingerprint.hexdigest(),
    )


def image_preprocessing(shape) -> dict:
    """Return the JSON data from which `encode_images` brings any image to this (H, W, C)."""
    return {"kind": "image", "shape": list(check_shape(shape)), "resize": "cover", "background": "white"}


def encode_images(preprocessing, inputs):
    """Return images as float32 (N, H, W, C), 0..255, brought to shape the way training images are.

    Args:
        preprocessing: from `image_preprocessing`.
        inputs: a file, a folder (its images, sorted by name), a PIL image, an array of pixels 0..255
            ((N, H, W, C), (N, H, W), or one image), or a list of files, PIL images or arrays.

    Raises:
        KzooError: for a file that cannot be read, or nothing to read.
    """
    shape = tuple(preprocessing["shape"])
    if isinstance(inputs, np.ndarray):
        images = [from_array(image, shape) for image in _batch(inputs, shape)]
    else:
        items = image_paths(inputs) if isinstance(inputs, str | Path | Image.Image) else list(inputs)
        with ThreadPoolExecutor(_threads()) as pool:
            images = list(pool.map(lambda item: _encode_one(item, shape), items))
    if not images:
        raise KzooError("There are no images to read.")
    return np.stack(images).astype("float32")


def image_paths(source) -> list:
    """Return what a file, a folder or a PIL image stands for: a list of single images."""
    if isinstance(source, str | Path) and Path(source).is_dir():
        paths = [Path(source, name) for name in _images_below(Path(source), "")]
        if not paths:
            raise KzooError(f"There are no images in {str(source)!r} ({' '.join(e[1:] for e in EXTENSIONS)}).")
        return paths
    return [source]


def _encode_one(item, shape):
    return from_array(np.asarray(item), shape) if isinstance(item, np.ndarray | list) else decode(item, shape)


def _batch(array, shape):
    """Tell one image from many: three axes are one image when the last is the channels."""
    if array.ndim == 2 or (array.ndim == 3 and (array.shape == shape or array.shape[1:] != shape[:2])):
        return array[None]
    if array.ndim in (3, 4):
        return array
    raise KzooError(f"An array of images has 2 to 4 axes, not the shape {array.shape}.")


def _folder(path) -> Path:
    path = Path(path).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise KzooError(f"{str(path)!r} is a file; images come in a folder with one folder per class.")
    beside = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
    raise KzooError(f"There is no folder {str(path)!r}. {hint(path.name, beside)}".rstrip())


def _visible_folders(folder):
    return sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith((".", "__")))


def _split_folders(root) -> dict:
    """Return {"train": folder, ...}; just the root as "train" where there are only class folders."""
    names = {name.lower(): name for name in _visible_folders(root)}
    found = {
        split: root / names[word] for split, words in SPLIT_FOLDERS.items() for word in words if word in names
    }
    if "train" in found and _visible_folders(found["train"]):
        return found
    if found and len(found) == len(names):
        raise KzooError(f"{str(root)!r} has {', '.join(names)} but no train/ with class folders in it.")
    return {"train": root}


def _list_classes(folder) -> dict:
    """Return {class name: [file names below `folder`, sorted]}."""
    return {name: _images_below(folder, name) for name in _visible_folders(folder)}


def _images_below(folder, name):
    found = []
    for place, folders, files in os.walk(folder / name):
        folders[:] = [f for f in folders if not f.startswith((".", "__"))]
        below = Path(place).relative_to(folder)
        found += [(below / f).as_posix() for f in files if f.lower().endswith(EXTENSIONS) and f[0] != "."]
    return sorted(found)


def _check_classes(listed, places, classes):
    kinds = " ".join(e[1:] for e in EXTENSIONS)
    if not any(listed["train"].values()):
        loose = _images_below(places["train"], "")
        seen = f"{len(loose)} images but no class folders" if loose else "no images"
        raise KzooError(f"There are {seen} in {str(places['train'])!r}: one folder per class is needed ({kinds}).")
    if len(classes) < 2:
        raise KzooError(f"There is one class only, {classes[0]!r}, in {str(places['train'])!r}: two are needed.")
    for name, files in listed["train"].items():
        if not files:
            raise KzooError(f"There are no images in the class folder {name!r} ({kinds}): fill it or remove it.")
    for split, by_class in listed.items():
        for name in by_class:
            if name not in classes:
                raise KzooError(
                    f"Class {name!r} is in the {split} images and not in the training ones. "
                    f"{hint(name, classes)}There are: {', '.join(classes[:20])}."
                )


def _check_left(classes, labels, split):
    if not len(labels):
        raise KzooError(f"There are no images in the {split} folder.")
    counts = np.bincount(labels, minlength=len(classes))
    if split == "train" and not counts.all():
        raise KzooError(f"Every image of class {classes[int(counts.argmin())]!r} is broken: replace or remove them.")


def _read(folder, names, shape, *, keep):
    """Decode every image once; return the pixels (N, H, W, C) or None, a digest or None each, the errors."""
    pixels = np.zeros((len(names), *shape), "uint8") if keep else None
    digests, errors = [None] * len(names), {}

    def read(start):
        for i, name in enumerate(names[start : start + _CHUNK], start):
            try:
                data = (folder / name).read_bytes()
                image = decode(data, shape)
            except (KzooError, OSError) as error:
                errors[i] = str(error)
                continue
            digests[i] = hashlib.sha256(data).hexdigest()
            if keep:
                pixels[i] = image

    with ThreadPoolExecutor(_threads()) as pool:
        _follow(pool.map(read, range(0, len(names), _CHUNK)), -(-len(names) // _CHUNK))
    if 2 * len(errors) > len(names):
        raise KzooError(f"{len(errors)} of {len(names)} images cannot be read, {names[min(errors)]!r} among them.")
    return pixels, digests, errors


def _follow(results, total):
    """Run through the results; past the first second, show how far they are if someone is watching."""
    console, started, bar = Console(stderr=True), time.monotonic(), None
    try:
        for done, _ in enumerate(results, 1):
            if bar is None and sys.stderr.isatty() and time.monotonic() - started > 1:
                bar = Progress(console=console, transient=True)
                bar.start()
                task = bar.add_task("reading images", total=total)
            if bar is not None:
                bar.update(task, completed=done)
    finally:
        if bar is not None:
            bar.stop()


def _broken_note(errors, names, split):
    shown = ", ".join(names[i] for i in sorted(errors)[:_NAMED])
    more = f" and {len(errors) - _NAMED} more" if len(errors) > _NAMED else ""
    where = f" in {split}" if split else ""
    return f"Left out {len(errors)} broken image{'s' if len(errors) > 1 else ''}{where}: {shown}{more}."


def _carve(parts, part, labels, share, seed):
    source, rows = parts["train"]
    rest, taken = stratified_split(labels[rows], share, seed)
    parts["train"], parts[part] = (source, rows[np.sort(rest)]), (source, rows[np.sort(taken)])


def _take(images, labels, rows):
    if isinstance(images, ImageFiles):
        return Split(x=ImageFiles(images._root, images._names[rows], images._size), y=labels[rows])
    return Split(x=images if len(rows) == len(images) else images[rows], y=labels[rows])


def _threads():
    return min(32, os.cpu_count() or 1)
