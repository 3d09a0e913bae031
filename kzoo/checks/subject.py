"""`Subject`: the data, network and settings that are checked before training, and samples that the checks share."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kzoo.checks.finding import Needed
from kzoo.checks.probe import Probe
from kzoo.data.batch_memory import rows_at_once
from kzoo.data.dataset import Dataset
from kzoo.data.sample import in_memory, sample_dataset
from kzoo.data.store.windows import RowArray, series_of
from kzoo.problems.kinds import kind
from kzoo.problems.layout import text_columns
from kzoo.problems.stored_types import TrainingSettings
from kzoo.utils.files import JsonObject
from kzoo.zoo.loss_info import last_activation, loss_info

if TYPE_CHECKING:
    from kzoo.training.setup import TrainingSetup


_REACH = {
    "sigmoid": (0, 1),
    "softmax": (0, 1),
    "tanh": (-1, 1),
    "relu": (0, np.inf),
    "softplus": (0, np.inf),
    "exponential": (0, np.inf),
}
_COLOUR = re.compile(r"\x1b\[[\d;]*m")  # Keras prints parts of some messages in bold


class Subject:
    """The data, network and settings to check, as training would use them.

    Args:
        data: a `Dataset`.
        model: the compiled network that is fitted, or None: then only the data is checked.
        training: settings: `batch_size`, `epochs`, `monitor`, `class_weight`, ...; missing ones are not checked.
        onehot, standardize: how the pipeline transforms the targets (see `kzoo.data.pipeline.Batches`).
        closed_form: whether the last layer is computed, so that nothing is trained by gradients.
    """

    def __init__(
        self,
        data: Dataset,
        model: keras.Model | None = None,
        training: TrainingSettings | None = None,
        *,
        onehot: int | None = None,
        standardize: tuple[np.ndarray, np.ndarray] | None = None,
        closed_form: bool = False,
    ):
        self.data = sample_dataset(data)
        self.model: Needed = model
        self.training = dict(training or {})
        self.onehot = onehot
        self.standardize = standardize
        self.closed_form = closed_form
        if model is not None and not model.built and self.rows:
            # custom models may need `fit` to be built
            with suppress(NotImplementedError, TypeError, ValueError):
                model.build((None, *data.input_shape))
        self.hashes: dict[
            str, list[int | None]
        ] = {}  # split -> hashes of its rows, shared by checks
        self.kind = kind(data.inputs)
        self.splits = {
            name: split
            for name in ("train", "validation", "calibration", "test")
            if (split := getattr(self.data, name)) is not None
        }

    @classmethod
    def of(cls, setup: "TrainingSetup") -> "Subject":
        """Return the subject for a `kzoo.training.setup.TrainingSetup`."""
        # The model that takes the data itself, not precomputed features.
        model = setup.core if setup.features is None else setup.model
        return cls(
            setup.data,
            model,
            setup.spec.training,
            onehot=setup.onehot,
            standardize=setup.standardize,
            closed_form=setup.closed_form,
        )

    @property
    def facts(self) -> frozenset[str]:
        """The facts of the task (see `kzoo.problems.tasks`)."""
        return self.data.problem.facts

    @property
    def unordered(self) -> bool | None:
        """True if rows are independent; None if they are windows of one series or text."""
        return None if self.data.problem.ordered else True

    @property
    def ordered(self) -> bool | None:
        """True if rows are windows of one series or text; None if they are independent."""
        return True if self.data.problem.ordered else None

    @property
    def rows(self) -> Needed:
        """The number of training rows; None if there are none."""
        return len(self.data.train) or None

    def _has(self, *facts: str) -> bool:
        return self.kind.facts >= set(facts)

    def _truth(self, fact: str, values: Callable[[Any], Any]) -> Needed:
        """Return split -> a function of its truth; None for tasks without a fact, or without rows."""
        if not self.rows or fact not in self.facts:
            return None
        return {name: values(split.y) for name, split in self.splits.items()}

    @cached_property
    def class_ids(self) -> Needed:
        """Split -> class or token numbers of any shape; None for other tasks."""
        return self.labels or self._truth("numbered", values_of)

    @cached_property
    def labels(self) -> Needed:
        """Split -> (N,) class numbers, of one-hot rows and probabilities the argmax. None for other tasks."""
        return self._truth("classes", _class_numbers)

    @cached_property
    def label_rows(self) -> Needed:
        """Split -> (N, labels) 0, 1, or NaN if unknown; None for other tasks than labels."""
        return self._truth("labels", np.asarray)

    @cached_property
    def targets(self) -> Needed:
        """Split -> target values; None for other tasks."""
        return self._truth("values", values_of)

    @cached_property
    def columns(self) -> Needed:
        """Names of the columns of a table or of rows, without the ids of texts; None for other kinds."""
        if not self.rows or not self._has("columns") or len(self.kind.axes) > 1:
            return None
        count = self.data.train.x.shape[1] - text_columns(self.data.config)
        return column_names(self.data.feature_names[:count], count)

    @property
    def seen(self) -> JsonObject:
        """Observations that only loading can make (see `kzoo.data.Dataset`)."""
        return self.data.seen

    @property
    def series(self) -> bool | None:
        return True if self.rows and self._has("columns", "steps") else None

    @property
    def images(self) -> bool | None:
        return True if self.rows and self._has("pixels") else None

    @property
    def texts(self) -> bool | None:
        """True if each row of token ids has its own target (not windows of one long text), else None."""
        return self.tokens and self.unordered

    @property
    def tokens(self) -> bool | None:
        return True if self.rows and self._has("ids") else None

    @cached_property
    def loss(self) -> Needed:
        """The `LossInfo` of the model; None without a model, or for a custom loss."""
        return None if self.model is None else loss_info(self.model)

    @cached_property
    def width(self) -> Needed:
        """The number of outputs per row or step; None if the network has several outputs or no shape."""
        shape = getattr(self.model, "output_shape", None) if self.model is not None else None
        return shape[-1] if isinstance(shape, tuple) and len(shape) > 1 else None

    @cached_property
    def reach(self) -> Needed:
        """(name, low, high) of the last activation if it bounds the outputs, else None."""
        name = None if self.model is None else last_activation(self.model)
        return (name, *_REACH[name]) if name in _REACH else None

    @cached_property
    def classes(self) -> Needed:
        """The number of classes of the network, or else of the data."""
        is_regression = self.loss is not None and self.loss.labels == "values"
        if self.width is not None and self.class_ids is not None and not is_regression:
            return max(self.width, 2)
        return len(self.data.class_names) or None

    def some(self, name: str = "train", most: int | None = None) -> np.ndarray:
        """Return the indices of a few rows of a split, always the same ones, in order."""
        count = len(self.splits[name])
        most = most or self.kind.few
        if count <= most:
            return np.arange(count)
        return np.sort(np.random.default_rng(0).choice(count, most, replace=False))

    @cached_property
    def sample(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows, x): indices of a few training rows, and their raw inputs."""
        rows = self.some()
        return rows, read(self.data.train.x, rows)

    @cached_property
    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """(x, y) of a few training rows as `fit` gets them, without augmentation."""
        most = (
            self.kind.batch
            if self.model is None
            else max(2, rows_at_once(self.model, self.kind.batch))
        )
        rows = self.some(most=most)
        x, y = read(self.data.train.x, rows), read(self.data.train.y, rows)
        x = x.astype(self.kind.dtype)
        if self.label_rows is not None:  # unknown labels do not count in training
            y = np.nan_to_num(y)
        if self.standardize is not None:
            offset, scale = (np.asarray(v, "float64") for v in self.standardize)
            return x, ((y - offset) / scale).astype("float32")
        if self.onehot and y.dtype.kind in "iu":
            return x, np.equal(y[..., None], np.arange(self.onehot)).astype("float32")
        return x, y.astype("int32" if y.dtype.kind in "iub" else "float32")

    @cached_property
    def probe(self) -> Needed:
        """The `Probe` of the network on `batch`; None if it fails, and then `failure` is the reason."""
        self.failure = None
        try:
            return None if self.model is None else Probe(self.model, self.batch[0])
        except Exception as error:  # custom layers may raise anything
            text = " ".join(_COLOUR.sub("", str(error)).split())
            self.failure = text[:200] or type(error).__name__

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs of the network for other inputs, computed as `probe` computes them."""
        return Probe(self.model, x).answers


def read(values: RowArray, rows: slice | np.ndarray) -> np.ndarray:
    """Return rows of an array, or of an object that reads on demand, as an array."""
    return np.asarray(values[rows])


def values_of(values: RowArray) -> np.ndarray | None:
    """Return the array of a split's x or y: the whole series if it consists of windows; None for files."""
    if not in_memory(values):
        return None
    series = series_of(values)
    return np.asarray(values) if series is None else series


def column_names(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Return the names of columns, or `column 0` and so on if they have none."""
    return tuple(names) if len(names) == count else tuple(f"column {i}" for i in range(count))


def class_name(data: Dataset, number: int) -> str:
    """Return the name of a class, or its number if it has none."""
    return repr(data.class_names[number]) if 0 <= number < len(data.class_names) else str(number)


def _class_numbers(y: object) -> np.ndarray:
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        return y.argmax(axis=1)
    return y.reshape(len(y), -1)[:, 0] if y.ndim > 1 else y
