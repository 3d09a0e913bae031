"""Tables larger than memory: encoded once into files of numbers, which training reads in parts.

The table is read twice. The first pass draws a uniform sample of rows, on which columns are learned as on a table in
memory, and counts rows and classes of the target. The second pass assigns each row to a split, by a hash of its cells,
and encodes it; category counts, missing values, means and standard deviations are those of all rows. The rows are
stored shuffled, so that any consecutive rows are a random sample.
"""

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Dataset, Split
from kzoo.data.inputs.rows.collect import Sample, numbered_pieces
from kzoo.data.inputs.rows.encoding import Encoding, StoredTable
from kzoo.data.sample import sampling_note
from kzoo.data.store.row_files import (
    FileHashes,
    StoredRows,
    building_folder,
    is_any_stored,
    is_stored,
    read_metadata,
    write_metadata,
)
from kzoo.data.tables.frame import as_frame
from kzoo.data.targets import detection
from kzoo.inference.sources.files import add_notes
from kzoo.inference.tables.files import files_of, is_table, pieces_of, size_of
from kzoo.inference.tables.raw import TableSource
from kzoo.problems.data_arguments import options_of
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import in_bytes
from kzoo.utils.memory import free_memory, too_large
from kzoo.utils.optional import is_installed, of_pandas
from kzoo.utils.optional import pandas as pd
from kzoo.utils.table_path import Source
from kzoo.utils.version import __version__

if TYPE_CHECKING:
    from pandas import DataFrame

    from kzoo.data.options import DataOptions, LoadRequest

# what identifies a table: hashes of its files, or of the rows of a DataFrame
Content: TypeAlias = FileHashes | list[Any] | None
FORMAT = 4  # version of the stored files
_READ = 1 << 16  # rows read at once


def is_large(source: Source, request: "LoadRequest | None" = None) -> bool:
    """Return whether a source is a table file or folder that does not fit into memory.

    A table that has been encoded for the same call counts as large even if enough memory is free now, so that a resumed
    training continues with the same rows. `$KZOO_MEMORY` always applies.

    Args:
        source: a source of any type.
        request: how it is loaded; None if only new rows are read from it.

    Raises:
        KzooError: it is large, and pyarrow is not installed.
    """
    if not is_table(source):
        return False
    if not too_large(size := size_of(source)):
        if request is None or "KZOO_MEMORY" in os.environ:
            return False
        # the file is not hashed without need, which takes time
        return is_any_stored(_size_suffix(source)) and is_stored(_key(request, _contents(request)))
    if not is_installed("pyarrow"):
        raise KzooError(
            f"{Path(source).name!r} needs about {in_bytes(size)} of memory, and {in_bytes(free_memory())} are free. "
            "Install "
            'pyarrow to read it in pieces: pip install "kzoo[arrow]". A larger KZOO_MEMORY reads it into memory anyway.'
        )
    return True


def load_large(request: "LoadRequest") -> Dataset:
    """Load a table that is larger than memory (see `load_table`). It is encoded first, unless it has been before.

    Raises:
        KzooError: as for `load_table`; a cross-validation fold; not enough disk space.
    """
    source = request.source
    name = request.name
    options = request.options
    if isinstance(options.test, splits.Fold):
        raise KzooError(
            f"{name!r} is larger than memory and cannot be cross-validated, because its folds would be encoded one by "
            "one. Use kzoo.train, which tests on held-out rows, or cross-validate a sample of it."
        )
    if options.split == "time":
        raise KzooError(
            f"{name!r} is larger than memory, and split='time' is not available for it yet. Sort it by time, and pass "
            "the last rows as a second table with test=."
        )
    if options.drop_rare is not None:
        raise KzooError(
            f"is not available for {name!r}, which is larger than memory. Remove the "
            "rows of small classes from the file.",
            argument="drop_rare",
            value=options.drop_rare,
        )
    contents = _contents(request)
    with building_folder(_key(request, contents)) as (folder, partial_folder):
        if partial_folder is not None:
            about = Encoding(request, partial_folder).encode_table()
            if any(isinstance(content, FileHashes) and content.changed() for content in contents):
                raise KzooError(
                    f"{name!r} has changed while its rows were encoded. Start again when the file is complete."
                )
            write_metadata(partial_folder, about)
        about = read_metadata(folder if partial_folder is None else partial_folder)
    data = _open_dataset(folder, about, name)
    size = sum(file.stat().st_size for file in folder.iterdir())
    data.notes.insert(
        0,
        f"{name!r} does not fit into memory: it needs about {in_bytes(size_of(source))}, and {in_bytes(free_memory())} "
        f"are free. Its rows {'are already' if partial_folder is None else 'were'} encoded in {str(folder)!r} "
        f"({in_bytes(size)}) and are read from there. The folder can be removed; it is created again when needed.",
    )
    data.notes += filter(None, [sampling_note(data)])
    return data


def frame_of(
    source: TableSource, text_columns: Collection[str] = (), targets: Collection[str] = ()
) -> "DataFrame":
    """Return a table as a DataFrame (see `as_frame`), or a sample of its rows if it does not fit into memory.

    Args:
        source: the table.
        text_columns: names of columns whose cells stay as written in the file.
        targets: names of the targets, whose cells may be lists.
    """
    if not is_large(source):
        return as_frame(source, text_columns, lists=targets)
    pieces = pieces_of(source)
    assert pieces is not None  # only types of files with pieces are large
    sample = Sample(0)
    pieces.kept = (
        {name: words for name, words in text_columns.items() if words}
        if isinstance(text_columns, Mapping)
        else {}
    )
    rows = 0
    for first, table in numbered_pieces(pieces, "sampling rows"):
        rows = first + table.num_rows
        sample.add(table, first + np.arange(table.num_rows))
    if not rows:
        raise KzooError(f"{pieces.name!r} has no rows.")
    frame = pieces.frame(sample.finish()[0], text_columns)
    add_notes(pieces.notes)
    if len(frame) < rows:
        warn(
            f"{pieces.name!r} does not fit into memory. Only {len(frame):,} of its {rows:,} rows are "
            "used, the same sample each time."
        )
    return frame


def _contents(request: "LoadRequest") -> list[Content]:
    """Return the contents of the table, of the test table and of the validation table; None for one that is not a
    table.
    """
    others = request.second_sources
    tables = [
        request.source,
        others.get("test"),
        *([others["validation"]] if "validation" in others else []),
    ]
    return [_content(table) for table in tables]


def _content(source: TableSource) -> Content:
    """Return what identifies a table: column types and a hash of a DataFrame, or the `Content` of files."""
    if of_pandas(source, "DataFrame"):
        columns = [(str(name), str(dtype)) for name, dtype in source.dtypes.items()]
        rows = pd.util.hash_pandas_object(source.astype(str)).to_numpy()
        return [columns, hashlib.sha256(rows.tobytes()).hexdigest()]
    try:
        return FileHashes(files_of(source)) if is_table(source) else None
    except OSError as error:
        raise KzooError(f"Cannot read {str(source)!r}: {error.strerror}.") from None


def _key(request: "LoadRequest", contents: Sequence[Content]) -> str:
    """Return the key of an encoded table: a hash of its contents and of the options, and its size."""
    options = _encoding_options(request.options)
    problem = detection.only_problem(request.preset)
    for part in request.second_sources:
        del options[part]
    # as JSON, it would be a number
    if isinstance(validation := options.get("validation"), splits.HeldOut):
        options["validation"] = [float(validation), validation.calibration]
    # File names matter too: suffixes decide how files are read, and notes contain the names. Folders may be columns.
    identity = [
        [[_name_in_table(file) for file in content.files], content.hashes]
        if isinstance(content, FileHashes)
        else content
        for content in contents
    ]
    serialized = json.dumps(
        [FORMAT, __version__, identity, options, problem and problem.name],
        sort_keys=True,
        default=str,
    )
    return hashlib.sha256(serialized.encode("utf-8", "surrogatepass")).hexdigest()[
        :20
    ] + _size_suffix(request.source)


def _name_in_table(file: Path) -> str:
    """Return the name of a file with those folders above it that may hold values of a column."""
    return "/".join([*(part for part in file.parts[:-1] if "=" in part), file.name])


def _encoding_options(options: "DataOptions") -> JsonObject:
    """Return the options that an encoded table depends on: rows are always split at random."""
    return {
        name: value
        for name, value in options.pick("validation", "test", "seed", *options_of("rows")).items()
        if name not in ("time", "split", "drop_rare")
        and (name not in ("sample_weight", "date_order") or value is not None)
    }


def _size_suffix(source: TableSource) -> str:
    """Return the end of a key: the total size of the files of a table in bytes."""
    return f"-{sum(file.stat().st_size for file in files_of(source) if file.is_file())}"


def _open_dataset(folder: Path, about: StoredTable, dataset_name: str) -> Dataset:
    """Return the data set whose encoded rows are in a folder."""
    inputs = about["inputs"]
    weights = about.get("weights", {})

    def open_split(split: str, rows: int) -> Split:
        """Return a `Split` that reads its rows from the file; their weights are read into memory."""
        file = dict(path=folder / f"{split}.rows", rows=rows, width=about["width"])
        weight = None
        first = inputs + bool(weights)
        y = StoredRows(
            **file, first=first, last=about["width"], dtype=about["dtype"], single=about["single"]
        )
        if weights.get(split):
            stored = StoredRows(**file, first=inputs, last=first, dtype="float32", single=True)
            weight = np.concatenate(
                [stored[start : start + _READ] for start in range(0, rows, _READ)]
            )
            weight = (weight * about["weight_scale"]).astype("float32")
        return Split(
            x=StoredRows(**file, first=0, last=inputs, dtype="float32"), y=y, weight=weight
        )

    config = about["config"]
    parts: dict[str, Any] = {
        split: open_split(split, rows) for split, rows in about["rows"].items() if rows
    }
    return Dataset(
        name=dataset_name,
        task=about["task"],
        inputs="rows",
        **parts,
        config=config
        | {
            name: tuple(config[name])
            for name in ("input_shape", "categories", "text_buckets", "text_lengths")
            if name in config
        },
        preprocessing=about["preprocessing"],
        class_names=tuple(about["class_names"]),
        feature_names=tuple(about["feature_names"]),
        target_names=tuple(about["target_names"]),
        notes=list(about["notes"]),
        seen=about["seen"],
        fingerprint=about["fingerprint"],
    )
