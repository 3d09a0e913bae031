"""`Subject`: what is looked at before training, and the few rows of it that the checks share."""

from contextlib import suppress
from functools import cached_property

import numpy as np

from kzoo.checks.losses import last_activation, loss_info
from kzoo.checks.probe import Probe
from kzoo.dataset.sample import in_memory, with_samples
from kzoo.kinds import kind
from kzoo.storage.windows import series_of

_REACH = {
    "sigmoid": (0, 1), "softmax": (0, 1), "tanh": (-1, 1), "relu": (0, np.inf), "softplus": (0, np.inf),
    "exponential": (0, np.inf),
}  # fmt: skip


class Subject:
    """Data, network and settings as training would have them.

    Args:
        data: a `Dataset`.
        model: the compiled network that is fitted, or None: then only the data is looked at.
        training: settings: `batch_size`, `epochs`, `monitor`, `class_weight`, ...; those that are missing are
            not looked at.
        onehot, standardize: what the pipeline does to the answers (see `kzoo.data.pipeline.Batches`).
    """

    def __init__(self, data, model=None, training=None, *, onehot=None, standardize=None):
        self.data, self.model, self.training = with_samples(data), model, dict(training or {})
        self.onehot, self.standardize = onehot, standardize
        if model is not None and not model.built and self.rows:
            with suppress(
                NotImplementedError, TypeError, ValueError
            ):  # a class of one's own may be built by `fit` only
                model.build((None, *data.input_shape))
        self.kept = {}  # what checks share: hashes of rows
        self.kind = kind(data.inputs)
        self.splits = {n: s for n in ("train", "validation", "test") if (s := getattr(self.data, n)) is not None}

    @classmethod
    def of(cls, job) -> "Subject":
        """Return the subject of the checks for a `kzoo.training.setup.TrainingSetup`."""
        model = job.core if job.features is None else job.model  # what takes the data as it is
        return cls(job.data, model, job.spec.training, onehot=job.onehot, standardize=job.standardize)

    @property
    def facts(self):
        """What is known of the task (see `kzoo.tasks`)."""
        return self.data.problem.facts

    @property
    def unordered(self):
        """Whether rows stand for themselves: True, or None where they are windows of one series or text."""
        return True if "unordered" in self.facts else None

    @property
    def rows(self):
        """The number of training rows; None where there are none."""
        return len(self.data.train) or None

    def _has(self, *facts):
        return self.kind.facts >= set(facts)

    @cached_property
    def class_ids(self):
        """Split -> class numbers of any shape, for all that predicts classes or tokens."""
        if not self.rows or "numbered" not in self.facts:
            return None
        return self.labels or {name: values_of(split.y) for name, split in self.splits.items()}

    @cached_property
    def labels(self):
        """Split -> (N,) class numbers; one-hot rows and probabilities become the number of the largest."""
        if not self.rows or "classes" not in self.facts:
            return None
        return {name: _class_numbers(np.asarray(split.y)) for name, split in self.splits.items()}

    @cached_property
    def targets(self):
        """Split -> numbers to predict."""
        if not self.rows or "values" not in self.facts:
            return None
        return {name: values_of(split.y) for name, split in self.splits.items()}

    @cached_property
    def columns(self):
        """Names of the columns of a table or of rows."""
        if not self.rows or not self._has("columns") or len(self.kind.axes) > 1:
            return None
        return column_names(self.data.feature_names, self.data.train.x.shape[1])

    @property
    def seen(self):
        """What only loading sees (see `kzoo.data.Dataset`)."""
        return self.data.seen

    @property
    def series(self):
        return True if self.rows and self._has("columns", "steps") else None

    @property
    def images(self):
        return True if self.rows and self._has("pixels") else None

    @property
    def texts(self):
        """Whether there is a row of token ids for each answer (not one long text)."""
        return self.tokens and self.unordered

    @property
    def tokens(self):
        return True if self.rows and self._has("ids") else None

    @cached_property
    def loss(self):
        """What the loss takes; None where it is none of Keras' own."""
        return None if self.model is None else loss_info(self.model)

    @cached_property
    def width(self):
        """The number of answers for a row or step; None where the network has several outputs or no shape."""
        shape = getattr(self.model, "output_shape", None) if self.model is not None else None
        return shape[-1] if isinstance(shape, tuple) and len(shape) > 1 else None

    @cached_property
    def reach(self):
        """(name, low, high) of the last activation where it bounds the answers; None where it does not."""
        name = None if self.model is None else last_activation(self.model)
        return (name, *_REACH[name]) if name in _REACH else None

    @cached_property
    def classes(self):
        """The number of classes that the network, else the data, knows."""
        values = self.loss is not None and self.loss.labels == "values"
        if self.width is not None and self.class_ids is not None and not values:
            return max(self.width, 2)
        return len(self.data.class_names) or None

    def some(self, name="train", most=None):
        """Return the places of a few rows of a split, the same ones each time, in order."""
        count = len(self.splits[name])
        most = most or self.kind.few
        if count <= most:
            return np.arange(count)
        return np.sort(np.random.default_rng(0).choice(count, most, replace=False))

    @cached_property
    def sample(self):
        """(rows, x): places of a few training rows, and their raw inputs."""
        rows = self.some()
        return rows, read(self.data.train.x, rows)

    @cached_property
    def batch(self):
        """(x, y) of a few training rows as `fit` gets them, without augmentation."""
        rows = self.some(most=self.kind.batch)
        x, y = read(self.data.train.x, rows), read(self.data.train.y, rows)
        x = x.astype(self.kind.dtype)
        if self.standardize is not None:
            offset, scale = (np.asarray(v, "float64") for v in self.standardize)
            return x, ((y - offset) / scale).astype("float32")
        if self.onehot and y.dtype.kind in "iu":
            return x, np.equal(y[..., None], np.arange(self.onehot)).astype("float32")
        return x, y.astype("int32" if y.dtype.kind in "iub" else "float32")

    @cached_property
    def probe(self):
        """What the network makes of `batch` (see `kzoo.checks.probe`); None where it fails: `failure` says how."""
        self.failure = None
        try:
            return None if self.model is None else Probe(self.model, self.batch[0])
        except Exception as failure:  # whatever a layer of the user's own may raise
            self.failure = " ".join(str(failure).split())[:200] or type(failure).__name__

    def forward(self, x):
        """Return what the network answers to other inputs, run as `probe` ran it."""
        return Probe(self.model, x).answers


def read(values, rows):
    """Return rows of an array, or of an object that reads on demand, as an array."""
    return np.asarray(values[rows])


def values_of(values):
    """Return the array behind a split's x or y: the whole series where it is cut into windows; None for files."""
    if not in_memory(values):
        return None
    series = series_of(values)
    return np.asarray(values) if series is None else series


def column_names(names, count):
    """Return the names of columns, `column 0` and so on where they have none."""
    return tuple(names) if len(names) == count else tuple(f"column {i}" for i in range(count))


def class_name(data, number):
    """Return the name of a class, or its number where it has none."""
    return repr(data.class_names[number]) if 0 <= number < len(data.class_names) else str(number)


def _class_numbers(y):
    if y.ndim == 2 and y.shape[1] > 1:
        return y.argmax(axis=1)
    return y.reshape(len(y), -1)[:, 0] if y.ndim > 1 else y
