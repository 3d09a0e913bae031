"""Folders of images: one folder per class, with or without `train/ val/ test/` above them."""

import hashlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from kzoo.data.arrays import checked
from kzoo.data.dataset import Dataset, Split
from kzoo.data.splits import Fold, fractions, is_source, split_rows
from kzoo.data.windows import few
from kzoo.errors import KzooError
from kzoo.kinds import Fresh
from kzoo.kinds.image.decode import ImageFiles, decode, size_of
from kzoo.kinds.image.light import KINDS, check_shape, image_preprocessing, images_below, read, threads
from kzoo.tasks.classes.light import check_classes
from kzoo.words import hint

SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing"),
}
IN_MEMORY = 2**30  # bytes of decoded pixels up to which all images are decoded once and kept
_CHUNK = 64  # images to a thread's task
_NAMED = 5  # broken images a note names
_SHAPE = (96, 96, 3)  # without a preset
_MOST = 300  # images that are described
_COLOURS = ("red", "green", "blue", "opacity")


def load(source, form, *, problem, name, preset, validation, test, seed, task=None):
    """Load a folder of class folders."""
    shape = _SHAPE if preset is None else preset.config["input_shape"]
    return load_image_folder(source, image_shape=shape, task=problem.name, validation=validation, test=test, seed=seed)


def load_image_folder(
    path, *, image_shape, task="image_classification", validation=0.1, test=None, seed=0, in_memory=IN_MEMORY
) -> Dataset:
    """Load a folder of class folders of images.

    With `train/` above the class folders the split is the folders' own; what is missing is cut from the
    training images, each class by the same share. Every image is read once, to leave out the broken ones
    before training starts; small sets stay in memory, large ones are decoded again batch by batch.

    Args:
        path: the folder.
        image_shape: (H, W, C) every image is brought to; see `kzoo.kinds.image.decode`.
        task: what the classes are for, by its public name.
        validation: the share of the training images that is held out, if there is no such folder.
        test: a second folder of the same classes, or a share; None takes `test/`, else 20 % of the images.
        seed: of the split.
        in_memory: bytes of decoded pixels up to which they are kept.

    Raises:
        KzooError: for a folder without images, fewer than two classes, or more broken images than good.
    """
    shape, root = check_shape(image_shape), _folder(path)
    places = split_folders(root)
    if is_source(test):
        places["test"] = _folder(test)
        if any(os.path.samefile(places["test"], places[other]) for other in places if other != "test"):
            raise KzooError(f"test={str(test)!r} is the training folder itself: give other images.")
    elif isinstance(test, Fold):
        places.pop("test", None)
    listed = {split: _list_classes(folder) for split, folder in places.items()}
    classes = sorted(listed["train"])
    _check_classes(listed, places, classes)

    files, notes, digests, labels = {}, [], {}, {}
    decoded_bytes = sum(len(n) for c in listed.values() for n in c.values()) * int(np.prod(shape))
    for split, by_class in listed.items():
        names = [name for c in classes for name in by_class.get(c, ())]
        y = np.repeat(np.arange(len(classes), dtype="int32"), [len(by_class.get(c, ())) for c in classes])
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

    if "test" in listed and test is not None and not is_source(test):
        notes.append(f"The test folder is the test set; test={test} is not used.")
    parts = {split: (split, np.arange(len(labels[split]))) for split in listed}
    parts |= _carve(labels["train"], classes, listed, validation, test, seed, notes)
    splits = {part: _take(files[source], labels[source], rows) for part, (source, rows) in parts.items()}
    fingerprint = hashlib.sha256()
    for part, (source, rows) in sorted(parts.items()):
        for row in rows.tolist():
            fingerprint.update(f"{part}\0{digests[source][row]}\n".encode())
    return Dataset(
        name=root.resolve().name,
        task=task,
        inputs="image",
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        config={"input_shape": shape, "outputs": len(classes)},
        preprocessing=image_preprocessing(shape),
        class_names=tuple(classes),
        notes=notes,
        seen={"files": _sizes_found([places["train"] / name for name, _ in digests["train"]])},
        fingerprint=fingerprint.hexdigest(),
    )


def _folder(path) -> Path:
    if not isinstance(path, str | Path):
        raise KzooError(f"{path!r} is not a folder: images come from a path.")
    path = Path(path).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise KzooError(f"{str(path)!r} is a file; images come in a folder with one folder per class.")
    beside = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
    raise KzooError(f"There is no folder {str(path)!r}. {hint(path.name, beside)}".rstrip())


def _visible_folders(folder):
    return sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith((".", "__")))


def split_folders(root) -> dict:
    """Return {"train": folder, ...}; just the root as "train" where there are only class folders."""
    names = {name.lower(): name for name in _visible_folders(root)}
    found = {split: root / names[word] for split, words in SPLIT_FOLDERS.items() for word in words if word in names}
    if "train" in found and _visible_folders(found["train"]):
        return found
    if found and len(found) == len(names):
        raise KzooError(f"{str(root)!r} has {', '.join(names)} but no train/ with class folders in it.")
    return {"train": root}


def _list_classes(folder) -> dict:
    """Return {class name: [file names below `folder`, sorted]}."""
    return {name: images_below(folder, name) for name in _visible_folders(folder)}


def _check_classes(listed, places, classes):
    root = places["train"]
    if not any(listed["train"].values()):
        loose = images_below(root, "")
        seen = f"{len(loose)} images but no class folders" if loose else "no images"
        raise KzooError(f"There are {seen} in {str(root)!r}; one folder per class is needed ({KINDS}).")
    if len(classes) < 2:
        raise KzooError(f"There is only one class, {classes[0]!r}, in {str(root)!r}; two are needed.")
    for name, files in listed["train"].items():
        if not files:
            raise KzooError(f"The class folder {name!r} has no images ({KINDS}): fill it or remove it.")
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

    def decode_some(start):
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

    with ThreadPoolExecutor(threads()) as pool:
        _follow(pool.map(decode_some, range(0, len(names), _CHUNK)), -(-len(names) // _CHUNK))
    if 2 * len(errors) > len(names):
        raise KzooError(f"{len(errors)} of {len(names)} images cannot be read, {names[min(errors)]!r} first.")
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


def _sizes_found(paths):
    """Return the smallest and the largest size (width, height) among image files, some of them where they are many."""
    paths = paths[:: -(-len(paths) // _MOST)]
    sizes = sorted(filter(None, map(size_of, paths)), key=lambda size: size[0] * size[1])
    if not sizes:
        return {}
    found = {"smallest": list(sizes[0]), "largest": list(sizes[-1])}
    return {"files": found if sizes[0] != sizes[-1] else list(sizes[0])}


def _carve(labels, classes, listed, validation, test, seed, notes):
    """Cut the splits that have no folder out of the training images: {part: ("train", rows)}."""
    validation = 0 if "validation" in listed else validation
    test = 0 if "test" in listed else test
    if not any(fractions(validation, test)):
        return {}
    check_classes(labels, classes)
    rows, split_notes = split_rows(len(labels), validation=validation, test=test, seed=seed, labels=labels)
    notes += split_notes
    return {part: ("train", found) for part, found in rows.items() if found is not None}


def _take(images, labels, rows):
    if isinstance(images, ImageFiles):
        return Split(x=ImageFiles(images._root, images._names[rows], images._size), y=labels[rows], rows=rows)
    return Split(x=images if len(rows) == len(images) else images[rows], y=labels[rows], rows=rows)


def take(x, preset):
    """Return an array of pixels as (N, H, W, C): bytes stay bytes, all else becomes float32."""
    x = checked(x[..., None] if x.ndim == 3 else x, "image")
    if preset is None or preset.config.get("rescale") is not False:
        _check_pixels(x)
    # A quarter of the memory; the pipeline makes them float32.
    return x if x.dtype == np.uint8 else x.astype(np.float32)


def _check_pixels(x):
    if x.size and x.dtype.kind == "f" and x.min() >= 0 and x.max() <= 1:
        raise KzooError(
            "Pixels look divided by 255 (all lie in 0..1); kzoo takes 0..255 and divides inside: "
            "pass the raw pixels, or rescale=False."
        )
    if x.size and (x.min() < 0 or x.max() > 255):
        raise KzooError(f"Pixels must lie in 0..255; these lie in {x.min():g}..{x.max():g}. Or pass rescale=False.")


def fit(x, train, *, plain=False, **more):
    """Return pixels as they are, and the reader of image files where they are grey or colours.

    Args:
        plain: whether the caller has scaled them, which no file is.
    """
    shape = x.shape[1:]
    return x, {}, image_preprocessing(shape) if shape[-1] in (1, 3) and not plain else None


def labelled(reader, source, *, targets, config):
    """Return the images in class folders, of `test/` where there is one, and the names of their folders."""
    places = split_folders(Path(source))
    folder = places.get("test", places["train"])
    listed = {entry.name: images_below(folder, entry.name) for entry in sorted(folder.iterdir()) if entry.is_dir()}
    if not any(listed.values()):
        raise KzooError(f"{folder.name!r} has no images in class folders.")
    names = [name for files in listed.values() for name in files]
    labels = np.array([label for label, files in listed.items() for _ in files], dtype=str)
    return Split(x=ImageFiles(folder, names, tuple(reader["shape"])), y=labels)


def fresh(reader, source, *, targets):
    """Return images of any source that can be predicted; those of a folder are read when they are asked for."""
    if not (isinstance(source, str | Path) and Path(source).is_dir()):
        return Fresh(x=read(reader, source)[0])
    names = images_below(Path(source), "")
    if not names:
        raise KzooError(f"There are no images in {str(source)!r}.")
    return Fresh(x=ImageFiles(source, names, tuple(reader["shape"])))


def describe(x, names=(), categories=0):
    """Return brightness, contrast and colours."""
    images = few(x, _MOST).astype("float32")
    columns = [images.mean(axis=(1, 2, 3)), images.std(axis=(1, 2, 3))]
    if images.shape[-1] == 1:
        return ["brightness", "contrast"], np.stack(columns, axis=1)
    colours = images.mean(axis=(1, 2))
    return ["brightness", "contrast", *_COLOURS[: images.shape[-1]]], np.stack([*columns, *colours.T], axis=1)


def overview(data):
    """Say how large the images are, as they are read and, of files, as they were found."""
    return {"noun": "images", "about": {"size": list(data.input_shape)} | data.seen.get("files", {})}
