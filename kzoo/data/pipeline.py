"""`Batches`: the batches of a split for `fit`, in an order that is a pure function of (seed, epoch)."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np

from kzoo.data.augment import MIXES, augment, check_augmentations
from kzoo.data.sample import in_memory
from kzoo.data.store.read_ahead import ReadAhead
from kzoo.data.store.row_files import StoredParts, StoredRows
from kzoo.data.store.shuffle import MOST, shuffled
from kzoo.data.store.windows import RowArray, Windows, series_of
from kzoo.problems.kinds import kind_of_array
from kzoo.utils.argument_checks import checked_count
from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.data.dataset import Split


Tensor: TypeAlias = Any  # of the backend
FitInput: TypeAlias = Any  # a `tf.data.Dataset` or a `PyDataset`, as the backend takes it


class Batches:
    """The batches of one split, the same for the same (seed, epoch) on every backend and machine.

    On the TensorFlow backend, Keras' own `fit(shuffle=True)` repeats one order in every epoch once a seed is set. Here
    a callback sets `epoch` at the start of each epoch, and the order follows from it:

        batches = Batches(data.train, batch_size=64, seed=0, shuffle=True, augment=("flip", "shift"))
        model.fit(batches.dataset(), epochs=9, callbacks=[LambdaCallback(on_epoch_begin=batches.begin)])

    Args:
        split: a `Split`.
        batch_size: examples per batch; the last batch has what is left over.
        seed: non-negative integer.
        shuffle: a new order every epoch; else always the order of the split.
        augment: names from `AUGMENTATIONS`, for images (B, H, W, C).
        onehot: the number of classes, to convert integer labels to float rows; None leaves them integers.
        standardize: (offset, scale) of the targets, a number or one per output: `(y - offset) / scale`.
        most: maximum number of batches per epoch; None for all.
        weight: (N,) or (N, 1) how much each row counts; then batches are (x, y, weight), as `fit` accepts them. None
            for (x, y).

    Raises:
        KzooError: an empty split, a batch size below 1, an unknown augmentation, labels outside 0..onehot - 1, or a mix
            of images that have weights or no one-hot labels.
    """

    def __init__(
        self,
        split: "Split",
        *,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = False,
        augment: Sequence[str] = (),
        onehot: int | None = None,
        standardize: tuple[Sequence[float], Sequence[float]] | None = None,
        most: int | None = None,
        weight: np.ndarray | None = None,
    ) -> None:
        checked_count("batch_size", batch_size)
        checked_count("seed", seed, least=0)
        if split is None or len(split) == 0:
            raise KzooError("This split of the data is empty. Batches need at least one row.")
        if len(split.x) != len(split.y):
            raise KzooError(
                f"x and y must have the same number of rows (x: {len(split.x)}, y: {len(split.y)})."
            )
        self.split = split
        self.batch_size = int(batch_size)
        self.seed = int(seed)
        self.shuffle = shuffle
        self.augment = check_augmentations(augment)
        self.onehot, self.standardize, self.weight = onehot, standardize, weight
        steps = -(-len(split) // self.batch_size)
        self._step_count = min(steps, most or steps)
        self._order: tuple[int, np.ndarray] = -1, np.empty(0, int)
        self.parts: StoredParts | ReadAhead | None = None  # for rows that are read from a file
        if isinstance(split.x, StoredRows):
            self.parts = StoredParts(
                split, batch_size=self.batch_size, seed=self.seed, shuffle=shuffle
            )
        elif (
            not self.augment
            and not self.in_memory
            and all(hasattr(part, "dtype") for part in (split.x, split.y))
        ):
            self.parts = ReadAhead(self)
        # the order as a TensorFlow variable, created with the first dataset
        self._order_variable: Any = None
        self.failed: KzooError | None = (
            None  # why a batch failed: TensorFlow buries it in a long message
        )
        self.epoch = self.first = 0
        if self.augment:
            self._check_images()
        if onehot is not None:
            _check_labels(split.y, onehot)

    def __len__(self) -> int:
        return self._step_count

    @property
    def epoch(self) -> int:
        """The epoch that `dataset()` yields, from 0. Set it before each epoch."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = int(epoch)
        if self._order_variable is not None:
            self._order_variable.assign(self.order(self._epoch))

    @property
    def first(self) -> int:
        """The first step of `dataset()`: not 0 if an epoch is resumed in the middle."""
        return self._first

    @first.setter
    def first(self, step: int) -> None:
        self._first = int(step)
        if self._order_variable is not None:
            self._offset.assign(self._first)

    def begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Set the epoch. The signature is that of a callback's `on_epoch_begin`."""
        self.epoch = epoch

    def order(self, epoch: int) -> np.ndarray:
        """Return the indices of the examples (N,) in the order of this epoch; not for rows read from a file."""
        current, order = self._order  # read once: the prefetching thread also calls this
        if current != epoch:
            count = len(self.split)
            if self.shuffle and count <= MOST:
                order = np.random.default_rng([self.seed, epoch]).permutation(count)
            else:
                order = self.indices_at(epoch, 0, count)
            self._order = epoch, order
        return order

    def indices_at(self, epoch: int, first: int, last: int) -> np.ndarray:
        """Return a slice of `order(epoch)`; with very many examples, without computing the whole order."""
        count = len(self.split)
        if self.shuffle and count <= MOST:
            return self.order(epoch)[first:last]
        positions = np.arange(first, min(last, count))
        return shuffled(positions, count, self.seed, epoch) if self.shuffle else positions

    @property
    def in_memory(self) -> bool:
        """Whether batches are plain rows, or windows, of arrays in memory: not augmented, and not read on demand."""
        parts = self.split.x, self.split.y
        return all(map(in_memory, parts)) and not self.augment

    def span(self, step: int) -> tuple[int, int]:
        """Return (first, end) of the steps around this one whose rows are in memory together."""
        if self.parts is None:
            return 0, len(self)
        first = step - step % self.parts.batches
        return first, min(first + self.parts.batches, len(self))

    def part(self, epoch: int, step: int) -> tuple[list[np.ndarray], np.ndarray]:
        """Return (arrays, indices) around a step: the arrays for `gathered`, and the order of their rows (N,)."""
        if self.parts is None:
            return self.arrays, self.order(epoch)
        number = step // self.parts.batches
        x, y, indices = self.parts.get(epoch, number)
        weight = (
            (self.weight[self.parts.row_numbers(epoch, number)],) if self.weight is not None else ()
        )
        return [x, y if self.onehot else self._answers(y), *weight], indices

    @cached_property
    def arrays(self) -> list[np.ndarray]:
        """The arrays from which `gathered` takes batches, if the split is in memory."""
        x, y = self.split.x, self.split.y
        if not self.onehot:
            y = (
                self._answers(y)
                if (series := series_of(y)) is None
                else y.with_values(self._answers(series))
            )
        weight = () if self.weight is None else (self.weight,)
        return [array for part in (x, y) for array in _arrays(part)] + [*weight]

    def gathered(self, arrays: Sequence[Tensor], indices: Tensor) -> tuple[Tensor, ...]:
        """Return the result of `batch` as tensors of the backend, also inside a compiled function.

        Args:
            arrays: `arrays` as tensors, optionally followed by others of (N,), whose rows are returned too.
            indices: (B,) indices of the examples in the split.
        """
        arrays = list(arrays)
        like = (None, None) if self.parts else (self.split.x, self.split.y)
        x, y = (_take_rows(part, arrays, indices) for part in like)
        x = keras.ops.cast(x, self._inputs(self.split.x[:1]).dtype.name)
        extra = [keras.ops.take(array, indices, axis=0) for array in arrays]
        return x, keras.ops.one_hot(y, self.onehot) if self.onehot else y, *extra

    @cached_property
    def constants(self) -> list[Tensor]:
        """`arrays` as TensorFlow constants in main memory: one copy, for the dataset and for a loop over steps."""
        tf = import_module("tensorflow")
        with tf.device("cpu:0"):
            return list(map(tf.constant, self.arrays))

    def places(self, tf: ModuleType) -> Tensor:
        """Return the order of the current epoch as a TensorFlow variable (N,)."""
        # Assigned when the epoch changes: an epoch starts 4 times as fast as with a generator.
        if self._order_variable is None:
            self._order_variable = tf.Variable(self.order(self.epoch), trainable=False)
            self._offset = tf.Variable(self.first, dtype="int64", trainable=False)
        return self._order_variable

    def batch(self, epoch: int, step: int) -> tuple[np.ndarray, ...]:
        """Return batch number `step` of this epoch, which depends on the arguments only.

        Returns:
            (x, y), each (B, ...), or (x, y, weight) if rows have weights.
        """
        if not 0 <= step < len(self):
            raise IndexError(f"step {step} is outside 0..{len(self) - 1}.")
        x, y = self.split.x, self.split.y
        start = step * self.batch_size
        end = (step + 1) * self.batch_size
        if self.parts is None:
            indices = self.indices_at(epoch, start, end)
        else:
            before = self.span(step)[0] * self.batch_size
            number = step // self.parts.batches
            x, y, order = self.parts.get(epoch, number)
            indices = order[start - before : end - before]
        x, y = self._inputs(_rows(x, indices)), self._answers(_rows(y, indices))
        if self.augment:
            x, y = augment(
                x, names=self.augment, seed=self.seed, epoch=epoch, indices=indices, labels=y
            )
        if self.weight is None:
            return x, y
        rows = self.parts.row_numbers(epoch, number)[indices] if self.parts is not None else indices
        return x, y, self.weight[rows]

    def dataset(self) -> FitInput:
        """Return the batches of an epoch as the input of `fit`. Each iteration starts at step `first` of epoch `epoch`.

        If `first` is above 0, a `PyDataset` is shorter by `first` steps. The TensorFlow dataset keeps its length and
        repeats the last batch at the end: stop after `len - first` steps.

        On the TensorFlow backend this is a `tf.data.Dataset` that prepares the next batches in the background; arrays
        without augmentation are sliced by TensorFlow itself, without Python in the loop, which matters for tiny models
        with small batches. On other backends it is a `PyDataset`, because converting TensorFlow tensors costs more.
        """
        if keras.backend.backend() != "tensorflow":
            return _Steps(self)
        tf = import_module("tensorflow")
        # the data stays in main memory; the accelerator gets single batches
        with tf.device("cpu:0"):
            batch_at = self._gather(tf) if self.in_memory else self._call(tf)
            # There is no Python to convert: AutoGraph would take half a second to find that.
            batch_at = tf.autograph.experimental.do_not_convert(batch_at)
            batches = tf.data.Dataset.range(len(self)).map(batch_at).prefetch(2)
        options = tf.data.Options()
        # There is nothing to tune, and the thread for it, which sleeps up to a minute, could delay an iterator's end.
        options.autotune.enabled = False
        return batches.apply(tf.data.experimental.assert_cardinality(len(self))).with_options(
            options
        )

    def counted(self) -> FitInput:
        """Return the input of `fit` if a loop gathers the batches (`kzoo.training.multi_step`): the steps of an epoch.

        Measured: starting an iterator of `dataset()` takes 10 milliseconds, of this one 0.5, and Keras starts up to
        four per epoch. Backends other than TensorFlow build the model from the first batch, and get `dataset()`.
        """
        if keras.backend.backend() != "tensorflow":
            return self.dataset()
        return import_module("tensorflow").data.Dataset.range(len(self))

    def _call(self, tf: ModuleType) -> Callable[[Tensor], tuple[Tensor, ...]]:
        """Return a graph function from the step to `batch(epoch, step)`."""
        first_row = np.arange(1)
        like: tuple[np.ndarray, ...] = (
            self._inputs(_rows(self.split.x, first_row)),
            self._answers(_rows(self.split.y, first_row)),
        )
        like += () if self.weight is None else (self.weight[first_row],)

        def batch_at(step: Tensor) -> tuple[Tensor, ...]:
            batch = tf.numpy_function(
                self._from_first, [step], [a.dtype for a in like], stateful=True
            )
            return tuple(
                tf.ensure_shape(part, (None, *a.shape[1:]))
                for part, a in zip(batch, like, strict=True)
            )

        return batch_at

    def _from_first(self, step: Tensor) -> tuple[np.ndarray, ...]:
        try:
            return self.batch(self.epoch, min(int(step) + self.first, len(self) - 1))
        except KzooError as error:
            self.failed = error
            raise

    def _gather(self, tf: ModuleType) -> Callable[[Tensor], tuple[Tensor, ...]]:
        """Return the same for arrays, with TensorFlow operations only."""
        order = self.places(tf)
        size = self.batch_size
        arrays, offset, last = self.constants, self._offset, len(self) - 1

        def batch_at(step: Tensor) -> tuple[Tensor, ...]:
            step = tf.minimum(step + offset, last)
            indices = order[step * size : (step + 1) * size]
            return self.gathered(arrays, indices)

        return batch_at

    def _inputs(self, x: np.ndarray) -> np.ndarray:
        # Integers in rows are token ids; pixels and everything else are converted to floats.
        return x.astype(kind_of_array(x.ndim, whole=x.dtype.kind in "iu").dtype, copy=False)

    def _answers(self, y: np.ndarray) -> np.ndarray:
        if self.standardize is not None:
            offset, scale = (np.asarray(v, "float64") for v in self.standardize)
            return ((y - offset) / scale).astype("float32")
        if self.onehot:
            return np.equal(y[..., None], np.arange(self.onehot)).astype("float32")  # (B, ..., K)
        return y.astype("int32" if y.dtype.kind in "iub" else "float32", copy=False)

    def _check_images(self) -> None:
        shape = np.shape(_rows(self.split.x, np.arange(1)))
        if len(shape) != 4:
            raise KzooError(
                f"Augmentation {self.augment[0]!r} is only available for images, not for inputs of shape {shape[1:]}."
            )
        if set(self.augment) & set(MIXES) and self.weight is not None:
            raise KzooError(
                f"Augmentation {self.augment!r} mixes images and is not available with row weights. Remove it."
            )
        if set(self.augment) & set(MIXES) and not self.onehot and np.ndim(self.split.y) != 2:
            raise KzooError(
                f"Augmentation {self.augment!r} needs one-hot labels. Set labels='onehot'."
            )


class _Steps(keras.utils.PyDataset):
    """The batches of the current epoch, for backends other than TensorFlow; the next one is made in the background."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches
        self.maker = ThreadPoolExecutor(1)
        self.ahead: dict[
            tuple[int, int], Future[tuple[np.ndarray, ...]]
        ] = {}  # (epoch, step) -> future of that batch

    def __len__(self) -> int:
        return len(self.batches) - self.batches.first

    def __getitem__(self, step: int) -> tuple[np.ndarray, ...]:
        epoch = self.batches.epoch
        step = step + self.batches.first
        future = self.ahead.pop((epoch, step), None)
        batch = self.batches.batch(epoch, step) if future is None else future.result()
        self.ahead.clear()
        if not self.batches.in_memory and step + 1 < len(self.batches):
            self.ahead[epoch, step + 1] = self.maker.submit(self.batches.batch, epoch, step + 1)
        return batch


def _arrays(values: RowArray) -> list[Any]:
    return [series_of(values), values.starts] if isinstance(values, Windows) else [values]


def _take_rows(like: RowArray | Windows | None, arrays: list[Tensor], indices: Tensor) -> Tensor:
    """Remove the first arrays from a list and return rows, or windows, of them."""
    values = arrays.pop(0)
    if isinstance(like, Windows):
        indices = keras.ops.take(arrays.pop(0), indices, axis=0)[:, None] + np.arange(like.length)
    return keras.ops.take(values, indices, axis=0)


def _rows(values: RowArray, indices: np.ndarray) -> np.ndarray:
    return (
        values.take(indices, axis=0)
        if isinstance(values, np.ndarray)
        else np.asarray(values[indices])
    )


def _check_labels(y: np.ndarray, classes: int) -> None:
    if not isinstance(y, np.ndarray):
        return
    if y.dtype.kind not in "iub":
        raise KzooError(
            f"needs whole-number labels, but they are {y.dtype}.", argument="onehot", value=classes
        )
    if y.size and not (y.min() >= 0 and y.max() < classes):
        raise KzooError(
            f"Labels must be in 0..{classes - 1} for {classes} classes, but they are in {y.min()}..{y.max()}."
        )
