"""Many training steps in one compiled call, within Keras' own `fit`.

A step of a small network costs less than the Python code around it. Here the loop over steps is part of the compiled
program, and batches are gathered from data on the device. The number of steps of a call is an argument of that program,
so that results are the same bits however an epoch is divided into calls, also after a kill.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kzoo.training.kernels import CONVOLUTIONS, cheap_steps
from kzoo.utils.argument_checks import AUTO
from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.data.pipeline import Batches
    from kzoo.training.recurrent import Tensors
    from kzoo.zoo.gradients import Tensor


# target duration of a call: signals, journal and progress bar wait for its end
_CALL_SECONDS = 0.25
_MAX_BYTES = 2**30  # maximum size of the data on the device


def single_step_reason(
    model: keras.Model, *batches: "Batches | None", class_weight: Mapping[int, float] | None = None
) -> str | None:
    """Return why a training makes only one step per call, as Keras does; None if it can make many.

    Args:
        model: a compiled model.
        batches: the `Batches` to train and to validate on; None is ignored.
        class_weight: as in `fit`.
    """
    used = [b for b in batches if b is not None]
    if not all(b.in_memory or b.parts for b in used):
        return "batches are made in Python: augmented, or read on demand"
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        return f"the {backend} backend makes one step per call"
    if model.run_eagerly or model.steps_per_execution != 1:
        return "the model was compiled with run_eagerly or steps_per_execution"
    if keras.distribution.distribution() is not None:
        return "the data is distributed"
    if backend == "tensorflow":
        if model.jit_compile:
            return "XLA compiles the step for a single batch size"
        distribute = import_module("tensorflow").distribute
        if distribute.has_strategy() or model.distribute_strategy is not distribute.get_strategy():
            return "the model is distributed"
    elif not model.jit_compile:
        return "the model was compiled with jit_compile=False"
    elif import_module("jax").default_backend() == "cpu" and not all(
        map(_can_loop_on_jax, model._flatten_layers())
    ):
        return "on JAX and a CPU, loops over steps with convolutions or custom layers take minutes"
    if sum(array.nbytes for b in used if not b.parts for array in b.arrays) > _MAX_BYTES:
        return "the data is larger than 1 GiB"
    if class_weight and used[0].split.y.ndim != 1:
        return "class weights are not supported for several targets"
    return None


def _can_loop_on_jax(layer: keras.layers.Layer) -> bool:
    # Convolutions are slow in JAX's loops: 16 steps of `cifar_cnn` in one call took more than 135 s of CPU time.
    is_known = type(layer).__module__.partition(".")[0] in ("keras", "kzoo")
    return is_known and not isinstance(layer, CONVOLUTIONS)


class MultiStepCallbackList(keras.callbacks.CallbackList):
    """Keras' `CallbackList`, which also divides epochs into calls of many steps and ends them.

    The batch hooks of callbacks run once per call: before it with the number of its first step, after it with that of
    its last. If a user's callback has batch hooks, calls make single steps; the program is the same.

    Args:
        callbacks: the callbacks, in order.
        model: a compiled model whose variables exist.
        batches: the `Batches` to train on; the first callback sets their `epoch` and `first`.
        epochs: number of epochs of the training.
        validation: the `Batches` to validate on, or None.
        class_weight: as in `fit`.
        chunked: whether a call makes many steps.
        max_steps: maximum number of steps per call, or "auto".
        every: a call ends where a multiple of this many steps of an epoch is done; None for anywhere.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        *,
        model: keras.Model,
        batches: "Batches",
        epochs: int,
        validation: "Batches | None" = None,
        class_weight: Mapping[int, float] | None = None,
        chunked: bool = False,
        max_steps: int | str = AUTO,
        every: int | None = None,
    ) -> None:
        super().__init__(
            list(callbacks), add_history=True, model=model, epochs=epochs, steps=len(batches)
        )
        if max_steps == AUTO:
            max_steps = 1 if any(map(_has_batch_hooks, self.callbacks)) else sys.maxsize
        train_program = test_program = None
        if chunked:
            make_program = (
                _tensorflow_program if keras.backend.backend() == "tensorflow" else _jax_program
            )
            train_program = make_program(model, model.train_step, batches, class_weight)
            test_program = (
                None if validation is None else make_program(model, model.test_step, validation)
            )
        self.batches, self.every = batches, every
        self.train_steps = _EpochSteps(len(batches), train_program, int(max_steps))
        self.test_steps = _EpochSteps(len(validation or ()), test_program, int(max_steps))

    def __enter__(self) -> "MultiStepCallbackList":
        """Replace the model's train and test functions; leaving the block restores them."""
        model: Any = self.model
        model.make_train_function()
        model.make_test_function()
        self.keras_functions = model.train_function, model.test_function
        self.multi_step_functions = tuple(
            map(partial, (self.train_steps.run, self.test_steps.run), self.keras_functions)
        )
        model.train_function, model.test_function = self.multi_step_functions
        return self

    def __exit__(self, *error: object) -> None:
        self.model.train_function, self.model.test_function = self.keras_functions

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self.train_steps.begin(self.batches.first)

    def _check(self) -> None:
        """Raise KzooError if a callback replaced the model's functions: Keras has no batches for others."""
        if (
            self.train_steps.program
            and (self.model.train_function, self.model.test_function) != self.multi_step_functions
        ):
            raise KzooError(
                "A callback replaced the model's train or test function during training. Pass steps_per_call=1."
            )

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.train_steps.start_call(self.every):
            super().on_train_batch_begin(self.train_steps.done, logs)
        self._check()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        super().on_train_batch_end(self.train_steps.end_call() - 1, logs)

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        super().on_test_begin(logs)
        self.test_steps.begin()

    def on_test_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.test_steps.start_call():
            super().on_test_batch_begin(self.test_steps.done, logs)
        self._check()

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        super().on_test_batch_end(self.test_steps.end_call() - 1, logs)


def _has_batch_hooks(callback: keras.callbacks.Callback) -> bool:
    """Return whether a callback that is not kzoo's has batch hooks."""
    hooks = [
        f"on_{phase}batch_{end}" for phase in ("", "train_", "test_") for end in ("begin", "end")
    ]
    callback_class = type(callback)
    if callback_class.__module__.partition(".")[0] == "kzoo":
        return False
    return any(
        getattr(callback_class, name) is not getattr(keras.callbacks.Callback, name)
        for name in hooks
    )


class _EpochSteps:
    """The steps of an epoch, made by calls of a multi-step program, or one by one by the model's own function.

    Args:
        length: number of steps of a whole epoch.
        program: function of (first, count), preceded on JAX by the state, that makes steps. Returns (result, number of
            steps made, whether the call compiled the program). None uses the model's own function.
        max_steps: maximum number of steps per call.
    """

    def __init__(self, length: int, program: Callable[..., Any] | None, max_steps: int) -> None:
        self.length, self.program, self.max_steps = length, program, max_steps
        self.count = 1  # steps of the next call, adjusted to `_CALL_SECONDS`
        self.begin()

    def begin(self, first: int = 0) -> None:
        """Start an epoch at a step."""
        self.first = first
        self.done = 0
        self.steps_made = 0
        # steps of the next call; 0: the epoch is over; None: not called by `fit`
        self.call_steps: int | None = None

    def start_call(self, every: int | None = None) -> bool:
        """Set the number of steps of the next call, up to a multiple of `every`; return False if the epoch is over."""
        position = self.first + self.done
        self.call_steps = min(
            self.count, self.length - position, every - position % every if every else self.length
        )
        return self.call_steps > 0

    def run(self, keras_function: Callable[..., Any], *arguments: Any) -> object:
        """Make the steps of a call. Without `start_call` before it, as in `test_on_batch`, call Keras' own function.

        Raises:
            StopIteration: the epoch is over. Keras handles it like the end of its data.
        """
        call_steps = self.call_steps
        self.call_steps = None
        if call_steps is None:
            return keras_function(*arguments)
        if not call_steps:
            raise StopIteration
        if self.program is None:
            self.steps_made = 1
            return keras_function(*arguments)
        start = time.perf_counter()
        result, self.steps_made, compiled = self.program(
            *arguments[:-1], self.first + self.done, call_steps
        )
        if not compiled:  # the time of a compiling call says nothing about its steps
            seconds = (time.perf_counter() - start) / self.steps_made
            self.count = max(
                1, min(int(_CALL_SECONDS / max(seconds, 1e-9)), 8 * self.count, self.max_steps)
            )
        return result

    def end_call(self) -> int:
        """Return how many steps of the epoch are done."""
        # 0: a replaced function made the step
        self.done = self.done + (self.steps_made or 1)
        self.steps_made = 0
        return self.done


def _example_weights(y: np.ndarray, class_weight: Mapping[int, float] | None) -> list[np.ndarray]:
    """Return a list with the array of example weights (N,) if classes have weights, else an empty list."""
    if not class_weight:
        return []
    table = np.array([class_weight[label] for label in range(len(class_weight))], "float32")
    return [table[y]]


class _DeviceData:
    """The rows of an epoch on the device: all rows, or those of one part if the data is read from a file.

    Args:
        batches: the `Batches`.
        class_weight: as in `fit`.
        to_device: function that moves an array to the device.
    """

    def __init__(
        self,
        batches: "Batches",
        class_weight: Mapping[int, float] | None,
        to_device: "Callable[[np.ndarray], Tensor]",
    ) -> None:
        self.batches = batches
        self.class_weight = class_weight
        self.to_device = to_device
        self.position: Any = None
        self.arrays: Any = None
        self.order: Any = None

    def load(self, step: int) -> tuple[list[Any], Any, int, int]:
        """Return (arrays, row indices in the order of the epoch, first step of the part, end step) for a step."""
        first, end = self.batches.span(step)
        position = self.batches.epoch, first
        if self.position != position:
            arrays, order = self.batches.part(*position)
            if self.arrays is None or self.batches.parts:
                y = self.batches.split.y if self.batches.parts is None else arrays[1]
                self.arrays = list(
                    map(self.to_device, [*arrays, *_example_weights(y, self.class_weight)])
                )
            self.position, self.order = position, order
        return self.arrays, self.order, first, end


def _tensorflow_program(
    model: keras.Model,
    step: Callable[..., Any],
    batches: "Batches",
    class_weight: Mapping[int, float] | None = None,
) -> Callable[..., Any]:
    """Return a function of (first, count) that makes steps and returns (logs, steps made, whether it was compiled)."""
    if batches.parts:
        return _tensorflow_program_by_parts(model, step, batches, class_weight)
    tf = import_module("tensorflow")
    arrays = [
        *batches.constants,
        *map(tf.constant, _example_weights(batches.split.y, class_weight)),
    ]
    order = batches.places(tf)
    size = batches.batch_size
    # not empty after the first call, which compiles for any number of steps
    compiled: set[bool] = set()

    def one_step(index: "Tensor") -> "Tensor":
        with cheap_steps(model):
            step(batches.gathered(arrays, order[index * size : (index + 1) * size]))
        return index + 1

    @partial(tf.function, autograph=False)
    def loop(first: "Tensor", count: "Tensor") -> "dict[str, Tensor]":
        tf.while_loop(
            lambda index: index < first + count,
            lambda index: [one_step(index)],
            [first],
            parallel_iterations=1,
        )
        return model.get_metrics_result()

    def call(first: int, count: int) -> tuple[Any, int, bool]:
        is_new = not compiled
        compiled.add(True)
        return loop(tf.constant(first, "int64"), tf.constant(count, "int64")), count, is_new

    return call


def _tensorflow_program_by_parts(
    model: keras.Model,
    step: Callable[..., Any],
    batches: "Batches",
    class_weight: Mapping[int, float] | None,
) -> Callable[..., Any]:
    """Return the same for rows that are read from a file: a call ends where the part in memory ends."""
    tf, size, compiled = import_module("tensorflow"), batches.batch_size, set[bool]()

    def to_device(array: np.ndarray) -> "Tensor":
        with tf.device("cpu:0"):
            return tf.constant(array)

    device_data = _DeviceData(batches, class_weight, to_device)

    @partial(tf.function, autograph=False, reduce_retracing=True)
    def loop(count: "Tensor", call_order: "Tensor", *arrays: "Tensor") -> "dict[str, Tensor]":
        def one_step(index: "Tensor") -> "Tensor":
            with cheap_steps(model):
                step(batches.gathered(arrays, call_order[index * size : (index + 1) * size]))
            return index + 1

        begin = tf.zeros((), "int64")
        tf.while_loop(
            lambda index: index < count,
            lambda index: [one_step(index)],
            [begin],
            parallel_iterations=1,
        )
        return model.get_metrics_result()

    def call(first: int, count: int) -> tuple[Any, int, bool]:
        arrays, order, begin, end = device_data.load(first)
        index = first - begin
        count = min(count, end - first)
        is_new = not compiled
        compiled.add(True)
        call_order = to_device(order[index * size : (index + count) * size])
        return loop(tf.constant(count, "int64"), call_order, *arrays), count, is_new

    return call


def _jax_program(
    model: keras.Model,
    step: Callable[..., Any],
    batches: "Batches",
    class_weight: Mapping[int, float] | None = None,
) -> Callable[..., Any]:
    """Return a function of (state, first, count) that makes steps.

    It returns ((logs, state), steps made, whether it was compiled).
    """
    jax = import_module("jax")
    device_data = _DeviceData(batches, class_weight, jax.numpy.asarray)
    size = batches.batch_size
    # (epoch, first step) of a part, and its row indices on the device
    cached: list[Any] = [None, None]
    longest = min(batches.parts.batches, len(batches.split) // size) if batches.parts else 0
    compiled = set()

    @partial(jax.jit, donate_argnums=0)
    def loop(
        state: "Tensors", order: "Tensor", first: "Tensor", count: "Tensor", arrays: "Tensors"
    ) -> "tuple[dict[str, Tensor], Tensors]":
        def one_step(index: "Tensor", state: "Tensors") -> "Tensors":
            with cheap_steps(model):
                _, new_state = step(state, batches.gathered(arrays, order[index]))
            return tuple(map(list, new_state))

        state = jax.lax.fori_loop(first, first + count, one_step, tuple(map(list, state)))
        with keras.StatelessScope(
            state_mapping=list(zip(model.metrics_variables, state[-1], strict=True))
        ):
            return model.get_metrics_result(), state

    def call(state: "Tensors", first: int, count: int) -> tuple[object, int, bool]:
        arrays, epoch_order, begin, _ = device_data.load(first)
        index = first - begin
        full_batches = len(epoch_order) // size
        if index >= full_batches:  # the last batch is shorter, and gets a separate program
            order = epoch_order[None, full_batches * size :].astype("int32")
            index = 0
            count = 1
        else:
            if cached[0] != device_data.position:
                # one shape, as compiling takes seconds
                rows = np.zeros((max(full_batches, longest), size), "int32")
                rows[:full_batches] = epoch_order[: full_batches * size].reshape(full_batches, size)
                cached[:] = device_data.position, jax.numpy.asarray(rows)
            order = cached[1]
            count = min(count, full_batches - index)
        is_new = order.shape not in compiled
        compiled.add(order.shape)
        logs, state = loop(state, order, np.int32(index), np.int32(count), arrays)
        jax.block_until_ready(logs)
        return (logs, state), count, is_new

    return call
