"""Tables that memory has no room for: encoded once into files of numbers, which training reads piece by piece.

The table is read twice. The first time a uniform sample of its rows is drawn, on which all that is learned of columns
is learned as it is of a table that fits; rows, and the classes of the target, are counted. The second time each row
gets its split, by a hash of its cells, and its numbers; what can be known exactly is: how often each category occurs,
what is missing, means and deviations. Its rows end up shuffled, so that any that follow one another are a sample.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kzoo import __version__
from kzoo.dataset import splits
from kzoo.dataset.dataset import Dataset, Split
from kzoo.dataset.sample import sampling_note
from kzoo.kinds.rows.collect import Sample, TablePieces
from kzoo.kinds.rows.encoding import Encoding
from kzoo.sources.files import add_notes
from kzoo.sources.tables.files import files_of, is_table, pieces_of, size_of
from kzoo.sources.tables.frame import as_frame
from kzoo.storage.memory import free_memory, too_large
from kzoo.storage.row_files import Content, StoredRows, is_any_made, is_made, making, read_about, write_about
from kzoo.tasks import detection
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import in_bytes
from kzoo.utils.optional import is_installed, of_pandas
from kzoo.utils.optional import pandas as pd

FORMAT = 3  # of what is stored


def is_large(source, *, name="", preset=None, **asked) -> bool:
    """Say whether a source is a file or folder of a table that memory has no room for.

    One that has been encoded for the same call stays so, whatever else takes memory by now: a training that was stopped
    goes on with the rows that it had. Only `$KZOO_MEMORY` is always obeyed.

    Args:
        source: of any kind.
        name, preset, asked: as `load_table` takes them; nothing where there is no such call.

    Raises:
        KzooError: it is one, and pyarrow is not installed.
    """
    if not is_table(source):
        return False
    if not too_large(size := size_of(source)):
        if not asked or "KZOO_MEMORY" in os.environ or not is_any_made(_bytes_of(source)):
            return False  # without a look at what the file holds
        return is_made(_key(source, _contents(source, asked), preset, asked))
    if not is_installed("pyarrow"):
        raise KzooError(
            f"{Path(source).name!r} would take about {in_bytes(size)} of the {in_bytes(free_memory())} that are free. "
            'pip install "kzoo[arrow]" reads it piece by piece; a larger KZOO_MEMORY reads it into memory all the same.'
        )
    return True


def load_large(source, *, name, preset=None, **asked):
    """Load a table that memory has no room for (see `load_table`): encode it, unless that has been done before.

    Raises:
        KzooError: as `load_table` says it; folds; a disk without room.
    """
    if isinstance(asked["test"], splits.Fold):
        raise KzooError(
            f"{name!r} is larger than memory, and folds of it would be encoded one by one: use kzoo.train, which tests "
            "on rows that it holds out, or cross-validate a sample of it."
        )
    contents = _contents(source, asked)
    with making(_key(source, contents, preset, asked)) as (folder, part):
        if part is not None:
            about = Encoding(source, part, preset, **asked).encoded()
            if any(isinstance(content, Content) and content.changed() for content in contents):
                raise KzooError(f"{name!r} was changed while its rows were encoded: start again once it is complete.")
            write_about(part, about)
        about = read_about(folder if part is None else part)
    data = _opened(folder, about, name)
    size = sum(file.stat().st_size for file in folder.iterdir())
    data.notes.insert(
        0,
        f"{name!r} is too large for memory, about {in_bytes(size_of(source))} where {in_bytes(free_memory())} are "
        f"free: its rows are read from {str(folder)!r}, where they {'lie' if part is None else 'were'} encoded "
        f"({in_bytes(size)}; remove it as you like, it is made again).",
    )
    data.notes += filter(None, [sampling_note(data)])
    return data


def frame_of(source, text=()):
    """Return a table as a DataFrame (see `as_frame`), a sample of its rows where memory has no room for all."""
    if not is_large(source):
        return as_frame(source, text)
    pieces, sample = pieces_of(source), Sample(0)
    pieces.kept = {name: words for name, words in text.items() if words} if isinstance(text, Mapping) else {}
    placed = TablePieces(pieces)
    for first, table in placed.pieces("looking at rows"):
        sample.add(table, first + np.arange(table.num_rows))
    if not placed.rows:
        raise KzooError(f"{pieces.name!r} has no rows.")
    frame = pieces.frame(sample.taken()[0], text)
    add_notes(pieces.notes)
    if len(frame) < placed.rows:
        warn(
            f"{pieces.name!r} is too large for memory: {len(frame):,} of its {placed.rows:,} rows are looked at, the "
            "same ones each time."
        )
    return frame


def _contents(source, asked):
    """Return the content of a table, and that of the test table that is asked for; None where there is none."""
    return [_content(table) for table in (source, asked["test"] if splits.is_source(asked["test"]) else None)]


def _content(source):
    if of_pandas(source, "DataFrame"):
        columns = [(str(name), str(dtype)) for name, dtype in source.dtypes.items()]
        rows = pd.util.hash_pandas_object(source.astype(str)).to_numpy()
        return [columns, hashlib.sha256(rows.tobytes()).hexdigest()]
    try:
        return Content(files_of(source)) if is_table(source) else None
    except OSError as error:
        raise KzooError(f"Cannot read {str(source)!r}: {error.strerror}.") from None


def _key(source, contents, preset, asked):
    """Return a word for what a table holds, by its bytes, and for what is asked of it."""
    asked, fixed = dict(asked), detection.fixed_by(preset)
    if splits.is_source(asked["test"]):
        del asked["test"]
    # The names of the files say how they are read, and stand in what is noted of them.
    parts = [
        [[file.name for file in content.files], content.hashes] if isinstance(content, Content) else content
        for content in contents
    ]
    written = json.dumps([FORMAT, __version__, parts, asked, fixed and fixed.name], sort_keys=True, default=str)
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:20] + _bytes_of(source)


def _bytes_of(source) -> str:
    """Return how a key ends: in how many bytes the files of a table have."""
    return f"-{sum(file.stat().st_size for file in files_of(source) if file.is_file())}"


def _opened(folder, about, name):
    """Return the data set whose encoded rows lie in a folder."""
    width, inputs, dtype, single = about["width"], about["inputs"], about["dtype"], about["single"]

    def split(part, rows):
        file = dict(path=folder / f"{part}.rows", rows=rows, width=width)
        y = StoredRows(**file, first=inputs, last=width, dtype=dtype, single=single)
        return Split(x=StoredRows(**file, first=0, last=inputs, dtype="float32"), y=y)

    config = about["config"]
    return Dataset(
        name=name,
        task=about["task"],
        inputs="rows",
        **{part: split(part, rows) for part, rows in about["rows"].items() if rows},
        config=config | {one: tuple(config[one]) for one in ("input_shape", "categories")},
        preprocessing=about["preprocessing"],
        class_names=tuple(about["class_names"]),
        feature_names=tuple(about["feature_names"]),
        target_names=tuple(about["target_names"]),
        notes=list(about["notes"]),
        seen=about["seen"],
        fingerprint=about["fingerprint"],
    )
