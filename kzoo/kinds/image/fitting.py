"""Folders of images: one folder per class, with or without `train/ val/ test/` above them."""

import hashlib
import os
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kzoo.dataset.dataset import Dataset, Split
from kzoo.dataset.splits import Fold, fractions, is_source, split_rows
from kzoo.kinds import Fresh
from kzoo.kinds.arrays import as_type, checked
from kzoo.kinds.image.decode import ImageFiles, dim, size_of
from kzoo.kinds.image.folders import (
    KINDS,
    Names,
    check_folders,
    folder_of,
    images_below,
    labelled_folders,
    list_classes,
    loose_in,
    split_folders,
)
from kzoo.kinds.image.inference import (
    channels_first,
    check_pixels,
    check_shape,
    image_preprocessing,
    images_in,
    threads,
)
from kzoo.kinds.image.parallel_reading import check_files, read, readers
from kzoo.sources.folders import extra_folders_note, not_read
from kzoo.sources.unreadable import ANSWERED, TRAINED, left_out
from kzoo.storage.memory import too_large
from kzoo.storage.progress import followed
from kzoo.storage.windows import blocks, is_mapped, sample_indices, sample_rows
from kzoo.tasks.classes.inference import check_classes
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import in_bytes

_CHUNK = 64  # images to a thread's task
_TASKS = 10_000  # at the most
# Images of a split whose content the fingerprint takes; of others it takes the number of bytes, for they may lie in
# memory in no form, and to read millions of files for it would take hours. It tells data apart; nothing is read by it.
_DIGESTED = 10_000
_SHAPE = (96, 96, 3)  # without a preset
_MOST = 300  # images that are described
_COLOURS = ("red", "green", "blue", "opacity")


def load(source, form, *, problem, name, preset, validation, test, seed, task=None):
    """Load a folder of class folders."""
    shape = _SHAPE if preset is None else preset.config["input_shape"]
    options = dict(task=problem.name, validation=validation, test=test, seed=seed)
    return load_image_folder(source, image_shape=shape, name=name, **options)


def load_image_folder(
    path, *, image_shape, name="images", task="image_classification", validation=0.1, test=None, seed=0
) -> Dataset:
    """Load a folder of class folders of images.

    With `train/` above the class folders the split is the folders' own; what is missing is cut from the
    training images, each class by the same share. Broken images are left out before training starts. Where memory has
    no room for all pixels, images are decoded whenever a batch needs them: then it is by their beginning and end that
    broken ones are told.

    Args:
        path: the folder.
        image_shape: (H, W, C) every image is brought to; see `kzoo.kinds.image.decode`.
        name: of the data.
        task: what the classes are for, by its public name.
        validation: the share of the training images that is held out, if there is no such folder.
        test: a second folder of the same classes, or a share; None takes `test/`, else 20 % of the images.
        seed: of the split.

    Raises:
        KzooError: for a folder without images, fewer than two classes, or more broken images than good.
    """
    shape, root = check_shape(image_shape), folder_of(path)
    places = split_folders(root)
    notes, others = extra_folders_note(root, places, "images", lambda folder: images_below(folder, "")), Counter[str]()
    if is_source(test):
        places["test"] = folder_of(test)
        if any(os.path.samefile(places["test"], places[other]) for other in places if other != "test"):
            raise KzooError(f"test={str(test)!r} is the training folder itself: give other images.")
    elif isinstance(test, Fold):
        places.pop("test", None)
    listed = {split: list_classes(folder, others) for split, folder in places.items()}
    classes = sorted(listed["train"])
    check_folders(listed, places, classes, others)
    notes += [*loose_in(dict.fromkeys([root, *places.values()]), others), *not_read(others, "images", KINDS)]

    images, digests, labels, partly = {}, {}, {}, False
    total, size = sum(len(names) for by_class in listed.values() for names in by_class.values()), int(np.prod(shape))
    keep = not too_large(total * size)
    if not keep:
        notes.append(
            f"{total:,} images would take {in_bytes(total * size)} as pixels, for which memory has no room: they "
            "are decoded batch by batch."
        )
    for split, by_class in listed.items():
        names = Names.joined(by_class.get(c, Names()) for c in classes)
        y = np.repeat(np.arange(len(classes), dtype="int32"), [len(by_class.get(c, ())) for c in classes])
        found, rows, digests[split], errors = _read(places[split], names, shape, keep=keep)
        if line := left_out(errors, names, "image", most=TRAINED, where=split if len(listed) > 1 else ""):
            notes.append(line)
        images[split], labels[split], partly = found, y[rows], partly or len(names) > _DIGESTED
        _check_left(classes, labels[split], split)

    some = sample_indices(len(labels["train"]), _MOST)
    notes += dim([places["train"] / digests["train"](row)[0] for row in some])
    if "test" in listed and test is not None and not is_source(test):
        notes.append(f"The test folder is the test set; test={test} is not used.")
    parts = {split: (split, np.arange(len(labels[split]))) for split in listed}
    parts |= _carve(labels["train"], classes, listed, validation, test, seed, notes)
    splits = {}
    for source, found in images.items():
        own = {part: rows for part, (its_source, rows) in parts.items() if its_source == source}
        for part, x in _cut(found, own).items():
            splits[part] = Split(x=x, y=labels[source][own[part]], rows=own[part])
    fingerprint = hashlib.sha256()
    for part, (source, rows) in sorted(parts.items()):
        for row in rows:
            fingerprint.update(f"{part}\0{digests[source](row)}\n".encode())
    return Dataset(
        name=name,
        task=task,
        inputs="image",
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        config={"input_shape": shape, "outputs": len(classes)},
        preprocessing=image_preprocessing(shape),
        class_names=tuple(classes),
        notes=notes,
        seen={"files": _sizes_found(places["train"], len(labels["train"]), digests["train"])}
        | ({"partly": True} if partly else {}),
        fingerprint=fingerprint.hexdigest(),
    )


def _check_left(classes, labels, split):
    if not len(labels):
        raise KzooError(f"There are no images in the {split} folder.")
    counts = np.bincount(labels, minlength=len(classes))
    if split == "train" and not counts.all():
        raise KzooError(f"Every image of class {classes[int(counts.argmin())]!r} is broken: replace or remove them.")


def _read(folder, names, shape, *, keep):
    """Look at every image once.

    Args:
        keep: decode all of them, and keep their pixels; else they are looked at from outside.

    Returns:
        (images, rows, digest, errors): those that can be read, and their places among the names; a function from the
        number of such an image to what the fingerprint takes of it; place -> why it cannot be read.
    """
    pixels = np.zeros((len(names), *shape), "uint8") if keep else None
    sizes, contents, errors, start_of_path = np.zeros(len(names), np.int64), {}, {}, os.path.join(folder, "")
    taken = np.zeros(len(names), bool)  # whose content the fingerprint takes
    taken[sample_indices(len(names), _DIGESTED)] = True
    chunk = max(_CHUNK, -(-len(names) // _TASKS))
    beside = readers(len(names), threads() - 1) if keep else []
    own = [read if keep else check_files] * (threads() - len(beside))
    free = deque([reader.read for reader in beside] + own)  # a hand for each thread: that of a process, or its own

    def look_at_some(start):
        some, hand = slice(start, min(start + chunk, len(names))), free.pop()
        its_names = [names[place] for place in range(some.start, some.stop)]
        sizes[some], known, unread = hand(start_of_path, its_names, taken[some], pixels[some] if keep else None)
        free.append(hand)
        contents.update((start + place, content) for place, content in known.items())
        errors.update((start + place, why) for place, why in unread.items())

    try:
        with ThreadPoolExecutor(threads()) as pool:
            starts = range(0, len(names), chunk)
            deque(followed(pool.map(look_at_some, starts), "reading images", len(starts)), maxlen=0)
    finally:
        for reader in beside:
            reader.close()
    rows = np.setdiff1d(np.arange(len(names)), list(errors))
    images = _first(pixels, rows) if keep else ImageFiles(folder, names, shape, sizes, rows)
    return images, rows, lambda row: (names[rows[row]], contents.get(rows[row], int(sizes[rows[row]]))), errors


def _sizes_found(folder, count, digest):
    """Return the smallest and the largest size (width, height) among image files, some of them where they are many."""
    some = (digest(row)[0] for row in range(0, count, -(-count // _MOST)))
    sizes = sorted(filter(None, (size_of(folder / name) for name in some)), key=lambda size: size[0] * size[1])
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


def _cut(images, parts):
    """Return the images of each part (rows, none of them in two): of an array, pieces of it, put in order in place."""
    if isinstance(images, ImageFiles):
        return {part: images.part(rows) for part, rows in parts.items()}
    images, start, found = _first(images, np.concatenate(list(parts.values()))), 0, {}
    for part, rows in parts.items():
        found[part] = images[start : start + len(rows)]
        start += len(rows)
    return found


def _first(images, rows):
    """Return these rows, each named once, moved to the front of the array: a copy would double the memory."""
    source = np.concatenate([rows, np.setdiff1d(np.arange(len(images)), rows)]).tolist()
    for place in range(len(source)):
        if source[place] == place:
            continue
        held, to = images[place].copy(), place
        while source[to] != place:  # each row goes where the one before it in the circle was
            images[to] = images[source[to]]
            source[to], to = to, source[to]
        images[to], source[to] = held, to
    return images[: len(rows)]


def take(x, preset):
    """Return an array of pixels as (N, H, W, C): bytes stay bytes, all else becomes float32."""
    x = checked(x[..., None] if x.ndim == 3 else x, "image")
    if preset is None or preset.config.get("rescale") is not False:
        _check_axes(x.shape)
        check_pixels(blocks(x), trained=True)
    # A quarter of the memory; the pipeline makes them float32.
    return x if x.dtype == np.uint8 and not is_mapped(x) else as_type(x, "uint8" if x.dtype == np.uint8 else "float32")


def _check_axes(shape):
    """Refuse channels that stand before height and width: of grey images, where these are equal."""
    _, first, height, last = shape
    if min(height, last) > 4 and (first in (3, 4) or (first == 1 and height == last)):
        raise channels_first(shape)


def fit(x, train, *, plain=False, **more):
    """Return pixels as they are, and the reader of image files where they are grey or colours.

    Args:
        plain: whether the caller has scaled them, which no file is.
    """
    shape = x.shape[1:]
    return x, {}, image_preprocessing(shape) if shape[-1] in (1, 3) and not plain else None


def labelled(reader, source, *, targets, config):
    """Return the images in class folders, of `test/` where there is one, and the names of their folders."""
    folder, listed, notes = labelled_folders(Path(source))
    for line in notes:
        warn(line)
    labels = np.repeat(np.array(list(listed), dtype=str), list(map(len, listed.values())))
    x, rows = _readable(folder, Names.joined(listed.values()), tuple(reader["shape"]))
    return Split(x=x, y=labels[rows])


def fresh(reader, source, *, targets):
    """Return images of any source that can be predicted; of a large folder as many as are described."""
    if not (isinstance(source, str | Path) and Path(source).is_dir()):
        return Fresh(x=read(reader, source)[0])
    names = images_in(Path(source))
    some = [names[place] for place in sample_indices(len(names), _MOST)]
    return Fresh(x=_readable(Path(source), some, tuple(reader["shape"]))[0])


def _readable(folder, names, shape):
    """Return the images that can be read, and their places; warn of the others.

    Raises:
        KzooError: too many of them.
    """
    images, rows, _, errors = _read(folder, names, shape, keep=not too_large(len(names) * int(np.prod(shape))))
    if errors and (line := left_out(errors, [folder / name for name in names], "image", most=ANSWERED)):
        warn(line)
    for line in dim([folder / names[row] for row in sample_rows(rows, _MOST)]):
        warn(line)
    return images, rows


def describe(x, names=(), categories=0):
    """Return brightness, contrast and colours."""
    images = sample_rows(x, _MOST).astype("float32")
    columns = [images.mean(axis=(1, 2, 3)), images.std(axis=(1, 2, 3))]
    if images.shape[-1] == 1:
        return ["brightness", "contrast"], np.stack(columns, axis=1)
    colours = images.mean(axis=(1, 2))
    return ["brightness", "contrast", *_COLOURS[: images.shape[-1]]], np.stack([*columns, *colours.T], axis=1)


def overview(data):
    """Say how large the images are, as they are read and, of files, as they were found."""
    return {"noun": "images", "about": {"size": list(data.input_shape)} | data.seen.get("files", {})}
