"""`NewData`: new raw data, labelled or not, as a run would read it."""

from pathlib import Path

import numpy as np
import pandas as pd

from kzoo.data.arrays import from_tf, read_npz
from kzoo.data.dataset import Dataset
from kzoo.data.decode import ImageFiles
from kzoo.data.encode import encode
from kzoo.data.encode_images import images_below
from kzoo.data.encode_series import filled, time_column
from kzoo.data.encode_text import tokenizer_of
from kzoo.data.named import NAMES
from kzoo.data.reload import reload
from kzoo.data.series import in_order
from kzoo.data.statistics import features
from kzoo.data.table import as_frame
from kzoo.data.text import read_folder
from kzoo.data.textfile import read_text
from kzoo.data.values import to_words
from kzoo.errors import KzooError


class NewData:
    """New data and what the run remembers of the old.

    Args:
        run: a `Run`.
        source: what `kzoo.predict` or `kzoo.evaluate` takes for it; a named set or a `Dataset` is its test split.
        target: name of the target column where it differs from the run's.

    Attributes:
        facts: what is known of the run's task (see `kzoo.tasks`).
        known: what the run remembers (see `kzoo.data.statistics`); None for a run of an older kzoo.
        frame: the table, where there is one; `missing`: columns of the run that it lacks.
        features: (names, numbers (N, F)); None where nothing could be read.
        answers: (N,) raw labels, or numbers; None without any.

    Raises:
        KzooError: data of another kind than the run's.
    """

    def __init__(self, run, source, *, target=None):
        self.run, self.preprocessing, described = run, run.preprocessing, run.data
        self.facts, self.class_names = run.problem.facts, described.class_names
        self.known = run.config.get("statistics")
        self.inputs, self.targets = described.inputs, [target] if target else list(described.target_names)
        self.frame, self.missing, self.answers, self.values = None, [], None, None
        if isinstance(source, str) and source in NAMES:
            source = reload(run, source)
        if isinstance(source, Dataset):
            part = source.test or source.train
            self.values = part.x
            self.answers = np.asarray(part.y) if "kept" in source.problem.facts else None
            if "classes" in source.problem.facts:
                self.answers = np.array(source.class_names)[self.answers]
        else:
            self._read(source)
        categories = len(run.spec.config.get("categories") or ())
        self.categories = categories or None
        self.features = None
        if self.values is not None and len(self.values):
            self.features = features(self.inputs, self.values, described.feature_names, categories)

    @property
    def labels(self):
        """(N,) raw labels of classes; None where there are none."""
        return self.answers if "classes" in self.facts else None

    @property
    def comparable(self):
        """Whether there is something to compare, and something to compare it with."""
        return True if self.known and self.features is not None else None

    def _read(self, source):
        kind = self.preprocessing["kind"]
        if isinstance(source, str | Path) and kind != "text" and not Path(source).exists():
            raise KzooError(f"No file, folder or data set {str(source)!r}.")
        if hasattr(source, "as_numpy_iterator"):
            source = from_tf(source, None)
        if isinstance(source, str | Path) and Path(source).suffix == ".npz":
            pair, tested = read_npz(source)
            source = tested or pair
        if isinstance(source, tuple | list) and len(source) == 2 and not isinstance(source[0], str | dict):
            self.values, self.answers = encode(self.preprocessing, np.asarray(source[0])), np.asarray(source[1])
        elif isinstance(source, np.ndarray):
            self.values = encode(self.preprocessing, source)
        elif kind == "array":
            raise KzooError("This run was trained on arrays: give x, or (x, y), or an .npz file.")
        else:
            {"table": self._table, "text": self._text, "image": self._images, "series": self._series,
             "language": self._language}[kind](source)  # fmt: skip

    def _table(self, source):
        if isinstance(source, dict | list):
            source = pd.DataFrame([source] if isinstance(source, dict) else list(source))
        self.frame = frame = as_frame(source)
        names = [column["name"] for column in self.preprocessing["columns"]]
        self.missing = [name for name in names if name not in frame.columns]
        if not len(frame):
            raise KzooError("There are no rows to look at.")
        if len(self.missing) < len(names):
            self.values = encode(self.preprocessing, frame.assign(**dict.fromkeys(self.missing, np.nan)))
        self._answers(frame)

    def _text(self, source):
        if isinstance(source, str | Path) and Path(source).is_dir():
            texts, labels = read_folder(Path(source))
            self.values, self.answers = encode(self.preprocessing, texts), np.array(labels)
            return
        if isinstance(source, str | Path) and Path(source).suffix in (".csv", ".tsv"):
            source = as_frame(source)
        self.values = encode(self.preprocessing, source)
        if isinstance(source, pd.DataFrame):
            self._answers(source)

    def _images(self, source):
        shape = tuple(self.preprocessing["shape"])
        if isinstance(source, str | Path) and Path(source).is_dir():
            names = images_below(Path(source), "")
            if not names:
                raise KzooError(f"There are no images in {str(source)!r}.")
            self.values = ImageFiles(source, names, shape)
        else:
            self.values = encode(self.preprocessing, source)

    def _series(self, source):
        frame, names = as_frame(source), self.preprocessing["columns"]
        self.missing = [name for name in names if name not in frame.columns]
        self.frame = frame = in_order(frame, time_column(frame), [])
        if len(frame) and not self.missing:
            self.values = filled(frame, names, [])

    def _language(self, source):
        ids, length = tokenizer_of(self.preprocessing).ids(read_text(source)), self.preprocessing["length"]
        if len(ids) < length:
            raise KzooError(f"The text has {len(ids)} tokens, and a window needs {length}.")
        self.values = np.array(ids[: len(ids) // length * length], np.int32).reshape(-1, length)

    def _answers(self, frame):
        if set(self.targets) <= set(frame.columns):
            known = frame[self.targets].dropna()
            if "classes" in self.facts:
                self.answers = to_words(known[self.targets[0]]).astype(str)
            else:
                self.answers = known.apply(pd.to_numeric, errors="coerce").dropna().to_numpy(float)
