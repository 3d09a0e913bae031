"""Tables that memory has no room for: encoded once into files of numbers, which training reads piece by piece.

The table is read twice. The first time a uniform sample of its rows is drawn, on which all that is learned of columns
is learned as it is of a table that fits; rows, and the classes of the target, are counted. The second time each row
gets its split, by a hash of its cells, and its numbers; what can be known exactly is: how often each category occurs,
what is missing, means and deviations. Its rows end up shuffled, so that any that follow one another are a sample.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kzoo import __version__
from kzoo.data import splits
from kzoo.data.dataset import Dataset, Split
from kzoo.data.memory import free_memory, too_large
from kzoo.data.sample import what_is_sampled
from kzoo.data.stored import Stored, is_made, making, read_about, write_about
from kzoo.errors import KzooError, KzooWarning
from kzoo.kinds.files import say
from kzoo.kinds.rows.encoding import Encoding
from kzoo.kinds.rows.gather import Placed, Sample
from kzoo.kinds.tables.files import files_of, is_table, pieces_of, size_of
from kzoo.kinds.tables.frame import as_frame
from kzoo.optional import is_installed, of_pandas
from kzoo.optional import pandas as pd
from kzoo.tasks import choose
from kzoo.words import in_bytes

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
        return bool(asked) and "KZOO_MEMORY" not in os.environ and is_made(_key(source, preset, asked))
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
    with making(_key(source, preset, asked)) as (folder, part):
        if part is not None:
            write_about(part, Encoding(source, part, preset, **asked).encoded())
        about = read_about(folder if part is None else part)
    data = _opened(folder, about, name)
    size = sum(file.stat().st_size for file in folder.iterdir())
    data.notes.insert(
        0,
        f"{name!r} is too large for memory, about {in_bytes(size_of(source))} where {in_bytes(free_memory())} are "
        f"free: its rows are read from {str(folder)!r}, where they {'lie' if part is None else 'were'} encoded "
        f"({in_bytes(size)}; remove it as you like, it is made again).",
    )
    data.notes += filter(None, [what_is_sampled(data)])
    return data


def frame_of(source, text=()):
    """Return a table as a DataFrame (see `as_frame`), a sample of its rows where memory has no room for all."""
    if not is_large(source):
        return as_frame(source, text)
    pieces, sample = pieces_of(source), Sample(0)
    pieces.kept = {name: words for name, words in text.items() if words} if isinstance(text, Mapping) else {}
    placed = Placed(pieces)
    for first, table in placed.pieces("looking at rows"):
        sample.add(table, first + np.arange(table.num_rows))
    if not placed.rows:
        raise KzooError(f"{pieces.name!r} has no rows.")
    frame = pieces.frame(sample.taken()[0], text)
    say(pieces.notes)
    if len(frame) < placed.rows:
        warnings.warn(
            f"{pieces.name!r} is too large for memory: {len(frame):,} of its {placed.rows:,} rows are looked at, the "
            "same ones each time.",
            KzooWarning,
            stacklevel=2,
        )
    return frame


def _key(source, preset, asked):
    """Return a word for a table as it is now, and for what is asked of it."""
    asked, fixed = dict(asked), choose.fixed_by(preset)
    tested = asked.pop("test") if splits.is_source(asked["test"]) else None
    parts = [_state(source), _state(tested), asked, fixed and fixed.name]
    written = json.dumps([FORMAT, __version__, parts], sort_keys=True, default=str)
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def _state(source):
    """Return what changes when a source does: names, sizes and times of its files."""
    if of_pandas(source, "DataFrame"):
        rows = pd.util.hash_pandas_object(source.astype(str)).to_numpy()
        return [list(map(str, source.columns)), hashlib.sha256(rows.tobytes()).hexdigest()]
    if not is_table(source):
        return None
    stats = [(file.name, file.stat()) for file in files_of(source)]
    return [Path(source).name, *((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)]


def _opened(folder, about, name):
    """Return the data set whose encoded rows lie in a folder."""
    width, inputs, dtype, single = about["width"], about["inputs"], about["dtype"], about["single"]

    def split(part, rows):
        file = dict(path=folder / f"{part}.rows", rows=rows, width=width)
        y = Stored(**file, first=inputs, last=width, dtype=dtype, single=single)
        return Split(x=Stored(**file, first=0, last=inputs, dtype="float32"), y=y)

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
