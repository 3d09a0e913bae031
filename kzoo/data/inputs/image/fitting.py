"""Images in folders: a folder for each class, or a table of labels; with or without `train/ val/ test/` above them."""

import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.inputs.arrays import as_type, checked
from kzoo.data.inputs.image.label_table import LabelTable, NoFileColumn, read_label_table
from kzoo.data.inputs.image.parallel_reading import check_files, read, readers
from kzoo.data.options import DataOptions, LoadRequest
from kzoo.data.store.progress import track_progress
from kzoo.data.store.windows import Mapped, RowArray, blocks, is_mapped, sample_indices, sample_rows
from kzoo.data.tables.overview import describe_columns
from kzoo.data.tables.repeated import repeated_ids
from kzoo.data.targets.fit import Targets, fit_targets, joined_values
from kzoo.data.targets.repairs import keys_of
from kzoo.inference.kinds.image import inference
from kzoo.inference.kinds.image.decode import ImageFiles, dim_image_notes, size_of
from kzoo.inference.kinds.image.folders import (
    KINDS,
    Names,
    check_folders,
    folder_of,
    images_below,
    labelled_folders,
    list_classes,
    loose_images_note,
    split_folders,
)
from kzoo.inference.kinds.image.inference import (
    channels_first,
    check_pixels,
    check_shape,
    image_preprocessing,
    images_in,
    threads,
)
from kzoo.inference.sources.folders import extra_folders_note, ignored_files_notes
from kzoo.inference.sources.shards import ShardFolder, ShardMember, folder_at
from kzoo.inference.sources.unreadable import (
    MAX_SHARE_EVALUATION,
    MAX_SHARE_TRAINING,
    broken_files_note,
)
from kzoo.inference.tables.files import is_table, labels_file, read_header
from kzoo.inference.tables.files import labelled_folders as labels_below
from kzoo.inference.tables.raw import rows_of
from kzoo.inference.tables.values import MISSING, to_words
from kzoo.inference.tasks.classes import check_classes
from kzoo.problems.kinds import Fresh
from kzoo.problems.layout import Preprocessor, RawInputs
from kzoo.problems.stored_types import Config
from kzoo.problems.tasks import Target
from kzoo.problems.tasks import problem as problem_named
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import in_bytes
from kzoo.utils.memory import too_large

if TYPE_CHECKING:
    from kzoo.zoo.registry import Preset

_CHUNK = 64  # images per thread task
_TASKS = 10_000  # maximum number of tasks
# Images of a split whose content is hashed for the fingerprint; of others only the file size is used: they may not fit
# into memory, and hashing millions of files would take hours. The fingerprint only distinguishes data sets.
_MAX_HASHED = 10_000
_SHAPE = (96, 96, 3)  # default, without a preset
_MAX_DESCRIBED = 300  # images used for statistics
_COLOURS = ("red", "green", "blue", "opacity")


def load(request: LoadRequest) -> Dataset:
    """Load a folder of class folders, or images with a table of labels."""
    if request.form != "labels":
        return load_image_folder(request)
    try:
        return load_labelled_images(request)
    except NoFileColumn as error:
        is_described = any(request.options.pick("target", "drop", "group", "columns").values())
        if is_described or not _has_class_folders(request.source):
            raise
        data = load_image_folder(request)
        data.notes.append(f"{error} The folders are read as classes.")
        return data


def _has_class_folders(source: "str | Path") -> bool:
    """Return whether a source is a folder with images in at least two folders."""
    return (
        folder_at(source).is_dir()
        and sum(any(files) for files in list_classes(folder_at(source)).values()) > 1
    )


def _shape_of(preset: "Preset | None") -> tuple[int, ...]:
    """Return the (H, W, C) to which every image is converted; see `kzoo.inference.kinds.image.decode`."""
    return check_shape(_SHAPE if preset is None else preset.config["input_shape"])


def load_image_folder(request: LoadRequest) -> Dataset:
    """Load a folder of class folders of images.

    With `train/` above the class folders, the split folders are the splits; missing splits are cut from the training
    images, with the same share of each class. Unreadable images are left out before training starts. If the pixels do
    not fit into memory, images are decoded whenever a batch needs them, and unreadable ones are recognized by their
    first and last bytes.

    Args:
        request: the folder. Its `validation` is a second folder with the same classes, or the share of the training
            images that is held out if there is no such folder; its `test` a second folder, or a share; None uses
            `test/`, else 20 % of the images.

    Raises:
        KzooError: a folder has no images, there are fewer than two classes, or more unreadable images than readable
            ones.
    """
    shape = _shape_of(request.preset)
    root = folder_of(request.source)
    own_folders = split_folders(root)
    notes = extra_folders_note(root, own_folders, "images", lambda folder: images_below(folder, ""))
    folders = request.paths(own_folders, "a folder of images")
    second = request.second_sources
    for part in second:
        folder = folders[part] = folder_of(folders[part])
        if other := next((o for o in folders if o != part and _is_same(folder, folders[o])), None):
            of_other = "training folder itself" if other == "train" else f"{other} folder"
            raise KzooError(
                f"is the {of_other}. Pass other images.", argument=part, value=str(second[part])
            )
    ignored = Counter[str]()
    listed = {split: list_classes(folder, ignored) for split, folder in folders.items()}
    classes = sorted(listed["train"])
    check_folders(listed, folders, classes, ignored)
    notes += [
        *loose_images_note(dict.fromkeys([root, *folders.values()]), ignored),
        *ignored_files_notes(ignored, "images", KINDS),
    ]
    names = {
        split: Names.joined(by_class.get(c, Names()) for c in classes)
        for split, by_class in listed.items()
    }
    images = _read_sources(
        {split: (folders[split], names[split]) for split in listed}, shape, notes
    )
    notes += _unused_fraction_note(listed, request)
    labels = {}
    for split, by_class in listed.items():
        y = np.repeat(
            np.arange(len(classes), dtype="int32"), [len(by_class.get(c, ())) for c in classes]
        )
        labels[split] = y[images[split].rows]
        _check_classes_left(classes, labels[split], split)
    if "test" not in listed and request.options.test != 0:
        check_classes(labels["train"], classes)
    targets = fit_targets(
        request.problem or problem_named("image_classification"),
        np.concatenate([labels[split] for split in images]),
        len(labels["train"]),
        learned=Target(classes=tuple(classes), config={"outputs": len(classes)}),
        options=request.options,
        others={split: len(labels[split]) for split in images if split != "train"},
    )
    return _dataset(targets, images, shape, name=request.name, notes=notes)


def load_labelled_images(request: LoadRequest) -> Dataset:
    """Load images whose targets are in a table (see `kzoo.data.inputs.image.label_table`).

    Args:
        request: a folder with a table `labels.csv`, or with `train/` that has one; or the path of the table.

    Raises:
        KzooError: a file or a column is missing, a target does not fit the task, or too many images cannot be read.
    """
    shape = _shape_of(request.preset)
    path = folder_at(request.source)
    sources = labels_below(path) if path.is_dir() else {"train": path}
    sources = request.paths(sources, "labelled images")
    for part, other in request.second_sources.items():
        other = folder_at(other)
        if other.exists() and _is_same(_table_in(sources["train"]), _table_in(other)):
            raise KzooError(
                "is the training data itself. Pass other images.", argument=part, value=str(other)
            )
        sources[part] = _labels_of(other)
    first = read_label_table(
        sources.pop("train"), request.options, request.preset, most=MAX_SHARE_TRAINING
    )
    tables = {"train": first}
    separator = None if first.labels is None else first.labels.separator
    words = {
        column: MISSING.intersection(to_words(first.frame[column])) for column in first.targets
    }
    tables |= {
        split: read_label_table(
            other,
            DataOptions(),
            most=MAX_SHARE_TRAINING,
            targets=first.targets,
            separator=separator,
            words=words,
        )
        for split, other in sources.items()
    }
    problem, line = first.choose_problem()
    notes = [
        f"Images are read from column {first.file_column!r} of {first.file!r}.",
        line,
        *(note for table in tables.values() for note in table.notes),
    ]
    images = _read_sources(
        {split: (table.folder, Names(table.names)) for split, table in tables.items()}, shape, notes
    )
    notes += _unused_fraction_note(tables, request)
    rows = images["train"].rows
    targets = fit_targets(
        problem,
        joined_values(
            [table.target_columns(images[split].rows) for split, table in tables.items()]
        ),
        len(rows),
        names=first.targets,
        groups=first.fit.groups(first.frame.iloc[rows]),
        options=request.options,
        others={split: len(images[split].rows) for split in sources},
    )
    seen = {
        "read": describe_columns(first.frame, (), {}, targets=first.targets, apart=first.columns),
        "repeated": repeated_ids(
            rows_of(first.frame.drop(columns=[first.file_column])), first.targets, ()
        ),
    }
    return _dataset(
        targets,
        images,
        shape,
        name=request.name,
        notes=notes,
        seen=seen,
        separator=separator,
        table=True,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Images:
    """The images of a source that can be read.

    Args:
        folder: to which their names are relative.
        x: their pixels, or what reads them on demand.
        rows: their indices among all images of the source.
        digest: function from the number of such an image to its part of the fingerprint.
        is_sampled: whether the content of some images only is part of it.
    """

    folder: Path
    x: np.ndarray | ImageFiles
    rows: np.ndarray
    digest: Callable[[int], tuple[str, object]]
    is_sampled: bool


def _read_sources(
    sources: Mapping[str, tuple[Path, Names]], shape: tuple[int, ...], notes: list[str]
) -> dict[str, _Images]:
    """Return split -> its readable images.

    Args:
        sources: split -> its folder, and the names of its images.
        shape: (H, W, C).
        notes: list that notes on images that are too many, broken or dim are appended to.
    """
    total = sum(len(names) for _, names in sources.values())
    size = int(np.prod(shape))
    keep = not too_large(total * size)
    if not keep:
        notes.append(
            f"{total:,} images do not fit into memory ({in_bytes(total * size)} as pixels): they are decoded batch by "
            "batch."
        )
    images = {}
    for split, (folder, names) in sources.items():
        x, rows, digest, errors = _read(folder, names, shape, keep=keep)
        where = split if len(sources) > 1 else ""
        if line := broken_files_note(errors, names, "image", most=MAX_SHARE_TRAINING, where=where):
            notes.append(line)
        images[split] = _Images(
            folder=folder, x=x, rows=rows, digest=digest, is_sampled=len(names) > _MAX_HASHED
        )
    train = images["train"]
    sample = sample_indices(len(train.rows), _MAX_DESCRIBED)
    notes += dim_image_notes([train.folder / train.digest(row)[0] for row in sample])
    return images


def _unused_fraction_note(sources: Iterable[str], request: LoadRequest) -> list[str]:
    """Return the note that `test=` is ignored, in a list; empty unless the source has test images of its own."""
    test = request.options.test
    if "test" in sources and test is not None and "test" not in request.second_sources:
        return [f"The test folder is used as the test set. test={test} is ignored."]
    return []


def _dataset(
    targets: Targets,
    images: Mapping[str, _Images],
    shape: tuple[int, ...],
    *,
    name: str,
    notes: list[str],
    seen: Mapping[str, object] | None = None,
    separator: str | None = None,
    table: bool = False,
) -> Dataset:
    """Return the data set of images.

    Args:
        targets: those of the training source first, then those of the others in their order.
        images: split -> the images of its source.
        shape: (H, W, C).
        name, notes, seen: see `Dataset`.
        separator: see `LabelColumns`; None for classes and values.
        table: whether a table has the targets, which are then part of the fingerprint: folders are part of the names.
    """
    train = images["train"]
    parts = {part: rows for part, rows in targets.parts.items() if rows is not None}
    own = {part: np.arange(len(parts[part])) for part in images if part != "train"}
    parts |= own
    digests = {part: images[part if part in own else "train"].digest for part in parts}
    x = _split_images(train.x, {part: rows for part, rows in parts.items() if part not in own})
    splits = targets.splits(
        x | {part: images[part].x for part in own},
        rows=own,
        keys={part: _keys(digests[part], rows) for part, rows in parts.items()},
    )
    fingerprint = hashlib.sha256()
    for part, rows in sorted(parts.items()):
        for row in rows:
            fingerprint.update(f"{part}\0{digests[part](row)}\n".encode())
        if table:
            fingerprint.update(np.ascontiguousarray(targets.y[targets.parts[part]]).data)
    partly = any(source.is_sampled for source in images.values())
    return targets.dataset(
        splits,
        name=name,
        inputs="image",
        config={"input_shape": shape, **targets.learned.config},
        preprocessing=image_preprocessing(shape)
        | ({} if separator is None else {"separator": separator}),
        notes=notes,
        seen={"files": _size_range(train.folder, len(train.rows), train.digest)}
        | dict(seen or {})
        | ({"partly": True} if partly else {}),
        fingerprint=fingerprint.hexdigest(),
    )


def _keys(digest: Callable[[int], object], rows: np.ndarray) -> np.ndarray:
    """Return the hash of the name and the content, or for very many images the size, of each file, uint64 (N,)."""
    return keys_of(str(digest(row)).encode("utf-8", "surrogatepass") for row in rows)


def _is_same(one: str | Path, other: str | Path) -> bool:
    """Return whether two paths are those of the same file or folder."""
    one, other = (
        path.folder if isinstance(path, ShardMember) else folder_at(path) for path in (one, other)
    )
    if isinstance(one, ShardFolder) or isinstance(other, ShardFolder):
        return isinstance(one, ShardFolder) and one.is_same(other)
    return os.path.samefile(one, other)


def _labels_of(source: str | Path) -> Path:
    """Return the folder with the labels of a second source, of those of `test/` if it has them, or its table.

    Raises:
        KzooError: it has no labels.
    """
    path = folder_at(source)
    if path.is_file() and is_table(path):
        return path
    folders = labels_below(folder_of(path))
    if not folders:
        raise KzooError(f"{str(source)!r} has no table of labels, such as labels.csv.")
    return folders.get("test", folders["train"])


def _table_in(source: str | Path) -> str | Path:
    """Return the table of labels of a folder; a source without one, or a table, is returned unchanged."""
    return (labels_file(source) if folder_at(source).is_dir() else None) or source


def _check_classes_left(classes: Sequence[str], labels: np.ndarray, split: str) -> None:
    if not len(labels):
        raise KzooError(f"The {split} folder contains no readable images.")
    counts = np.bincount(labels, minlength=len(classes))
    if split == "train" and not counts.all():
        raise KzooError(
            f"All images of class {classes[int(counts.argmin())]!r} are broken. Replace or remove them."
        )


def _read(
    folder: Path, names: Sequence[str], shape: Sequence[int], *, keep: bool
) -> tuple[
    np.ndarray | ImageFiles, np.ndarray, Callable[[int], tuple[str, str | int]], dict[int, str]
]:
    """Read every image once.

    Args:
        keep: decode all images and keep their pixels; else the files are only checked.

    Returns:
        (images, rows, digest, errors): the readable images, and their indices among the names; a function from the
        number of such an image to its part of the fingerprint; index -> why a file cannot be read.
    """
    pixels: Any = np.zeros((len(names), *shape), "uint8") if keep else None
    sizes = np.zeros(len(names), np.int64)
    contents: dict[int, str] = {}
    errors: dict[int, str] = {}
    start_of_path = os.path.join(folder, "")
    hashed = np.zeros(len(names), bool)  # whose content is hashed for the fingerprint
    hashed[sample_indices(len(names), _MAX_HASHED)] = True
    chunk = max(_CHUNK, -(-len(names) // _TASKS))
    processes = readers(len(names), threads() - 1) if keep else []
    local = [read if keep else check_files] * (threads() - len(processes))
    # A reading function for each thread: of a worker process, or of this process.
    available: deque[Callable[..., Any]] = deque([reader.read for reader in processes] + local)

    def read_chunk(start: int) -> None:
        part = slice(start, min(start + chunk, len(names)))
        read_part = available.pop()
        part_names = [names[index] for index in range(part.start, part.stop)]
        start_of_names = start_of_path
        if isinstance(folder, ShardFolder):
            start_of_names, part_names = "", [folder.where(name) for name in part_names]
        sizes[part], new_contents, unread = read_part(
            start_of_names, part_names, hashed[part], pixels[part] if keep else None
        )
        available.append(read_part)
        contents.update((start + index, content) for index, content in new_contents.items())
        errors.update((start + index, why) for index, why in unread.items())

    try:
        with ThreadPoolExecutor(threads()) as pool:
            starts = range(0, len(names), chunk)
            deque(
                track_progress(pool.map(read_chunk, starts), "reading images", len(starts)),
                maxlen=0,
            )
    finally:
        for reader in processes:
            reader.close()
    rows = np.setdiff1d(np.arange(len(names)), list(errors))
    images = _move_to_front(pixels, rows) if keep else ImageFiles(folder, names, shape, sizes, rows)
    return (
        images,
        rows,
        lambda row: (names[rows[row]], contents.get(rows[row], int(sizes[rows[row]]))),
        errors,
    )


def _size_range(
    folder: Path, count: int, digest: Callable[[int], tuple[str, object]]
) -> dict[str, object]:
    """Return the smallest and the largest size (width, height) of image files, or of a sample of many."""
    names = (digest(row)[0] for row in range(0, count, -(-count // _MAX_DESCRIBED)))
    sizes = sorted(
        filter(None, (size_of(folder / name) for name in names)), key=lambda size: size[0] * size[1]
    )
    if not sizes:
        return {}
    extremes = {"smallest": list(sizes[0]), "largest": list(sizes[-1])}
    return {"files": extremes if sizes[0] != sizes[-1] else list(sizes[0])}


def _split_images(
    images: np.ndarray | ImageFiles, parts: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray | ImageFiles]:
    """Return the images of each part (disjoint rows); for an array, slices of it after reordering it in place."""
    if isinstance(images, ImageFiles):
        return {part: images.part(rows) for part, rows in parts.items()}
    images = _move_to_front(images, np.concatenate(list(parts.values())))
    start = 0
    pieces: dict[str, np.ndarray | ImageFiles] = {}
    for part, rows in parts.items():
        pieces[part] = images[start : start + len(rows)]
        start += len(rows)
    return pieces


def _move_to_front(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the given unique rows, moved to the front of the array in place: a copy would double the memory."""
    source = np.concatenate([rows, np.setdiff1d(np.arange(len(images)), rows)]).tolist()
    for position in range(len(source)):
        if source[position] == position:
            continue
        saved = images[position].copy()
        target = position
        # follow the cycle: each row moves to the position of the previous one
        while source[target] != position:
            images[target] = images[source[target]]
            source[target], target = target, source[target]
        images[target], source[target] = saved, target
    return images[: len(rows)]


def take(x: np.ndarray, preset: "Preset | None") -> np.ndarray | Mapped:
    """Return an array of pixels as (N, H, W, C): bytes stay bytes, everything else becomes float32."""
    x = checked(x[..., None] if x.ndim == 3 else x, "image")
    if preset is None or preset.config.get("rescale") is not False:
        _check_axes(x.shape)
        check_pixels(blocks(x), trained=True)
    # Bytes take a quarter of the memory; the pipeline converts them to float32.
    return (
        x
        if x.dtype == np.uint8 and not is_mapped(x)
        else as_type(x, "uint8" if x.dtype == np.uint8 else "float32")
    )


def _check_axes(shape: Sequence[int]) -> None:
    """Raise KzooError for channels before height and width; for grey images, only if these are equal."""
    _, first, height, last = shape
    if min(height, last) > 4 and (first in (3, 4) or (first == 1 and height == last)):
        raise channels_first(shape)


def fit(
    x: np.ndarray, train: np.ndarray, *, plain: bool = False, **more: object
) -> tuple[np.ndarray, JsonObject, JsonObject | None]:
    """Return pixels unchanged, and the reader of image files if they are grey or RGB.

    Args:
        plain: whether the caller has rescaled them, which files are not.
    """
    shape = x.shape[1:]
    return x, {}, image_preprocessing(shape) if shape[-1] in (1, 3) and not plain else None


def labelled(
    reader: Preprocessor, source: str | Path, *, targets: Sequence[str], config: Config
) -> Split:
    """Return images and their labels: of class folders, those of `test/` if it exists, or of a table of labels."""
    path = folder_at(source)
    shape = tuple(reader["shape"])
    if (table := _new_label_table(reader, path, targets)) is not None:
        x, rows = _readable(table.folder, Names(table.names), shape)
        return Split(x=x, y=table.target_columns(rows))
    folder, listed, notes = labelled_folders(path)
    for line in notes:
        warn(line)
    labels = np.repeat(np.array(list(listed), dtype=str), list(map(len, listed.values())))
    x, rows = _readable(folder, Names.joined(listed.values()), shape)
    return Split(x=x, y=labels[rows])


def _new_label_table(reader: Preprocessor, path: Path, targets: Sequence[str]) -> LabelTable | None:
    """Return the table of labels of new images, and issue its notes as warnings; None for class folders."""
    if not is_table(path) and not (path.is_dir() and labels_below(path)):
        return None
    try:
        table = read_label_table(
            _labels_of(path),
            DataOptions(),
            most=MAX_SHARE_EVALUATION,
            targets=targets,
            separator=reader.get("separator"),
        )
    except NoFileColumn:
        if targets or not _has_class_folders(path):
            raise
        return None
    for line in table.notes:
        warn(line)
    return table


def _may_have(path: Path, targets: Sequence[str]) -> bool:
    """Return False for a folder whose table of labels lacks a target: its images are not labelled."""
    if not path.is_dir() or not labels_below(path):
        return True
    header = read_header(labels_file(_labels_of(path)))  # type: ignore[arg-type]  # it has one
    return header is None or set(targets) <= set(header.columns)


def fresh(reader: Preprocessor, source: RawInputs, *, targets: Sequence[str]) -> Fresh:
    """Return images from any source, and their labels if a table has them; for many, only a sample of the images."""
    shape = tuple(reader["shape"])
    if not isinstance(source, str | Path) or not (folder_at(source).is_dir() or is_table(source)):
        return Fresh(x=inference.read(reader, source)[0])
    path = folder_at(source)
    table = _new_label_table(reader, path, targets) if _may_have(path, targets) else None
    folder, names = (path, images_in(path)) if table is None else (table.folder, table.names)
    sample = [names[index] for index in sample_indices(len(names), _MAX_DESCRIBED)]
    answers = None if table is None else table.target_columns(slice(None))
    return Fresh(x=_readable(folder, sample, shape)[0], answers=answers)


def _readable(
    folder: Path, names: Sequence[str], shape: Sequence[int]
) -> tuple[np.ndarray | ImageFiles, np.ndarray]:
    """Return the readable images and their indices, and warn of the others.

    Raises:
        KzooError: too many cannot be read.
    """
    images, rows, _, errors = _read(
        folder, names, shape, keep=not too_large(len(names) * int(np.prod(shape)))
    )
    if errors and (
        line := broken_files_note(
            errors, [folder / name for name in names], "image", most=MAX_SHARE_EVALUATION
        )
    ):
        warn(line)
    for line in dim_image_notes([folder / names[row] for row in sample_rows(rows, _MAX_DESCRIBED)]):
        warn(line)
    return images, rows


def describe(
    x: RowArray, names: Sequence[str] = (), categories: int = 0
) -> tuple[list[str], np.ndarray]:
    """Return brightness, contrast and mean colours."""
    images = sample_rows(x, _MAX_DESCRIBED).astype("float32")
    columns = [images.mean(axis=(1, 2, 3)), images.std(axis=(1, 2, 3))]
    if images.shape[-1] == 1:
        return ["brightness", "contrast"], np.stack(columns, axis=1)
    colours = images.mean(axis=(1, 2))
    return ["brightness", "contrast", *_COLOURS[: images.shape[-1]]], np.stack(
        [*columns, *colours.T], axis=1
    )


def overview(data: Dataset) -> JsonObject:
    """Return the image size used and, for files, the original sizes."""
    about = {"size": list(data.input_shape)} | data.seen.get("files", {})
    return {"noun": "images", "columns": data.seen.get("read", []), "about": about}
