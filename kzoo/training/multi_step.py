"""Many steps in one compiled call, behind Keras' own `fit`.

A small network's step costs less than what Python does around each. Here the loop over steps is part of the compiled
program, and its batches are gathered from data that lies on the device. How many steps a call makes is an argument of
that program: however an epoch is cut into calls, its bits are the same, also after a kill.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import keras
import numpy as np

from kzoo.training.kernels import CONVOLUTIONS, cheap_steps
from kzoo.utils.argument_checks import AUTO
from kzoo.utils.errors import KzooError

_SECONDS = 0.25  # of a call: signals, journal and progress wait for its end
_MOST_BYTES = 2**30  # of data on the device


def why_single(model: keras.Model, *batches: Any, class_weight: Any = None) -> str | None:
    """Return why a training takes one step at a time, as Keras does; None where many go into a call.

    Args:
        model: compiled.
        batches: those to train and to validate on; None for none.
        class_weight: as `fit` takes it.
    """
    there = [b for b in batches if b is not None]
    if not all(b.in_memory or b.parts for b in there):
        return "batches are made in Python: augmented, or read on demand"
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        return f"the {backend} backend runs one step at a time"
    if model.run_eagerly or model.steps_per_execution != 1:
        return "the model was compiled with run_eagerly or steps_per_execution"
    if keras.distribution.distribution() is not None:
        return "the data is distributed"
    if backend == "tensorflow":
        if model.jit_compile:
            return "XLA compiles the step for one length of batch"
        distribute = import_module("tensorflow").distribute
        if distribute.has_strategy() or model.distribute_strategy is not distribute.get_strategy():
            return "the model is distributed"
    elif not model.jit_compile:
        return "the model was compiled with jit_compile=False"
    elif import_module("jax").default_backend() == "cpu" and not all(map(_loops_on_jax, model._flatten_layers())):
        return "on JAX and a CPU a loop around convolutions takes minutes, and a layer is one, or is not of Keras"
    if sum(array.nbytes for b in there if not b.parts for array in b.arrays) > _MOST_BYTES:
        return "the data is larger than 1 GiB"
    if class_weight and there[0].split.y.ndim != 1:
        return "class weights of several answers"
    return None


def _loops_on_jax(layer: keras.layers.Layer) -> bool:
    # Measured: 16 steps of `cifar_cnn` in one call did not end within 135 seconds of processor time.
    ours = type(layer).__module__.partition(".")[0] in ("keras", "kzoo")
    return ours and not isinstance(layer, CONVOLUTIONS)


class Calls(keras.callbacks.CallbackList):
    """Keras' list of a training's callbacks, which knows where an epoch begins and ends when Keras does not.

    Callbacks are told of calls as Keras tells them of steps: before one the number of its first step, after it the
    number of its last. Those of a user that look at single steps get single steps; the program is the same.

    Args:
        callbacks: in order.
        model: compiled, its variables made.
        batches: the `Batches` to train on; `epoch` and `first` are set by the first callback.
        epochs: of the whole training.
        validation: the `Batches` to validate on, or None.
        class_weight: as `fit` takes it.
        chunked: whether many steps go into a call.
        most: steps to a call, at the most, or "auto".
        every: a call ends where a multiple of so many steps of an epoch is done; None for anywhere.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        *,
        model: keras.Model,
        batches: Any,
        epochs: int,
        validation: Any = None,
        class_weight: dict[int, float] | None = None,
        chunked: bool = False,
        most: int | str = AUTO,
        every: int | None = None,
    ) -> None:
        super().__init__(list(callbacks), add_history=True, model=model, epochs=epochs, steps=len(batches))
        if most == AUTO:
            most = 1 if any(map(_looks_at_steps, self.callbacks)) else sys.maxsize
        train = test = None
        if chunked:
            program = _tensorflow if keras.backend.backend() == "tensorflow" else _jax
            train = program(model, model.train_step, batches, class_weight)
            test = None if validation is None else program(model, model.test_step, validation)
        self.batches, self.every = batches, every
        self.training = _Steps(len(batches), train, int(most))
        self.validating = _Steps(len(validation or ()), test, int(most))

    def __enter__(self) -> "Calls":
        """Let the model run its steps here; leaving gives it back its own functions."""
        model: Any = self.model
        model.make_train_function()
        model.make_test_function()
        self.own = model.train_function, model.test_function
        self.ours = tuple(map(partial, (self.training.run, self.validating.run), self.own))
        model.train_function, model.test_function = self.ours
        return self

    def __exit__(self, *error: object) -> None:
        self.model.train_function, self.model.test_function = self.own

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self.training.begin(self.batches.first)

    def _check(self) -> None:
        """Raise `KzooError` where somebody has put other functions in the model: Keras has no batches for them."""
        if self.training.program and (self.model.train_function, self.model.test_function) != self.ours:
            raise KzooError("The model's own functions were replaced while it trained: pass steps_per_call=1.")

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.training.ask(self.every):
            super().on_train_batch_begin(self.training.done, logs)
        self._check()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(self.training.answered() - 1, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        super().on_test_begin(logs)
        self.validating.begin()

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.validating.ask():
            super().on_test_batch_begin(self.validating.done, logs)
        self._check()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_test_batch_end(self.validating.answered() - 1, logs)


def _looks_at_steps(callback: keras.callbacks.Callback) -> bool:
    """Say whether a callback of somebody else's wants to see each step."""
    hooks = [f"on_{which}batch_{end}" for which in ("", "train_", "test_") for end in ("begin", "end")]
    kind = type(callback)
    if kind.__module__.partition(".")[0] == "kzoo":
        return False
    return any(getattr(kind, name) is not getattr(keras.callbacks.Callback, name) for name in hooks)


class _Steps:
    """The steps of an epoch: in calls of a program, or one by one by the model's own function.

    Args:
        length: steps of a whole epoch.
        program: function of (first, count), and the state before them on JAX, that makes steps: returns their result,
            how many it made, and whether it was compiled for that. None: the model's own function makes each.
        most: steps to a call, at the most.
    """

    def __init__(self, length: int, program: Callable[..., Any] | None, most: int) -> None:
        self.length, self.program, self.most = length, program, most
        self.count = 1  # of the next call: as many as `_SECONDS` let there be
        self.begin()

    def begin(self, first: int = 0) -> None:
        """Begin an epoch with this step."""
        self.first, self.done, self.made = first, 0, 0
        self.wanted: int | None = None  # steps of the call that Keras is about to make; 0: the epoch is over

    def ask(self, every: int | None = None) -> bool:
        """Say whether there is a next call, and let `run` make it: up to the next multiple of `every` steps."""
        at = self.first + self.done
        self.wanted = min(self.count, self.length - at, every - at % every if every else self.length)
        return self.wanted > 0

    def run(self, own: Callable[..., Any], *arguments: Any) -> Any:
        """Make the steps that were asked for; a call that nobody asked for, such as `test_on_batch`, is Keras' own.

        Raises:
            StopIteration: the epoch is over, which Keras takes for the end of its data.
        """
        wanted, self.wanted = self.wanted, None
        if wanted is None:
            return own(*arguments)
        if not wanted:
            raise StopIteration
        if self.program is None:
            self.made = 1
            return own(*arguments)
        began = time.perf_counter()
        result, self.made, compiled = self.program(*arguments[:-1], self.first + self.done, wanted)
        if not compiled:  # which says nothing of the time that its steps take
            seconds = (time.perf_counter() - began) / self.made
            self.count = max(1, min(int(_SECONDS / max(seconds, 1e-9)), 8 * self.count, self.most))
        return result

    def answered(self) -> int:
        """Return how many steps of the epoch are done."""
        self.done, self.made = self.done + (self.made or 1), 0  # or by somebody else's function
        return self.done


def _weights(y: Any, class_weight: dict[int, float] | None) -> list[np.ndarray]:
    """Return an array with a weight of each example where classes have weights; else none."""
    if not class_weight:
        return []
    table = np.array([class_weight[label] for label in range(len(class_weight))], "float32")
    return [table[y]]


class _Held:
    """What lies on the device of the rows of an epoch: those around a step, or all where they lie in memory.

    Args:
        batches: the `Batches`.
        class_weight: as `fit` takes it.
        put: function of an array that puts it there.
    """

    def __init__(self, batches: Any, class_weight: Any, put: Callable[[Any], Any]) -> None:
        self.batches, self.class_weight, self.put = batches, class_weight, put
        self.where: Any = None
        self.arrays: Any = None
        self.places: Any = None

    def around(self, step: int) -> tuple[list[Any], Any, int, int]:
        """Return (arrays, places in them in the order of the epoch, the first step that these are of, and the end)."""
        first, end = self.batches.span(step)
        where = self.batches.epoch, first
        if self.where != where:
            arrays, places = self.batches.part(*where)
            if self.arrays is None or self.batches.parts:
                y = self.batches.split.y if self.batches.parts is None else arrays[1]
                self.arrays = list(map(self.put, [*arrays, *_weights(y, self.class_weight)]))
            self.where, self.places = where, places
        return self.arrays, self.places, first, end


def _tensorflow(model: Any, step: Callable[..., Any], batches: Any, class_weight: Any = None) -> Callable[..., Any]:
    """Return a function of (first, count) that makes steps and returns their logs."""
    if batches.parts:
        return _tensorflow_by_parts(model, step, batches, class_weight)
    tf = import_module("tensorflow")
    arrays = [*batches.constants, *map(tf.constant, _weights(batches.split.y, class_weight))]
    places, size = batches.places(tf), batches.batch_size
    made: set[bool] = set()  # once it is compiled, for any length

    def one(at: Any) -> Any:
        with cheap_steps(model):
            step(batches.gathered(arrays, places[at * size : (at + 1) * size]))
        return at + 1

    @partial(tf.function, autograph=False)
    def loop(first: Any, count: Any) -> Any:
        tf.while_loop(lambda at: at < first + count, lambda at: [one(at)], [first], parallel_iterations=1)
        return model.get_metrics_result()

    def call(first: int, count: int) -> tuple[Any, int, bool]:
        new = not made
        made.add(True)
        return loop(tf.constant(first, "int64"), tf.constant(count, "int64")), count, new

    return call


def _tensorflow_by_parts(model: Any, step: Callable[..., Any], batches: Any, class_weight: Any) -> Callable[..., Any]:
    """Return the same for rows that are read from a file: a call ends where the part that is in memory does."""
    tf, size, made = import_module("tensorflow"), batches.batch_size, set[bool]()

    def put(array: Any) -> Any:
        with tf.device("cpu:0"):
            return tf.constant(array)

    held = _Held(batches, class_weight, put)

    @partial(tf.function, autograph=False, reduce_retracing=True)
    def loop(count: Any, places: Any, *arrays: Any) -> Any:
        def one(at: Any) -> Any:
            with cheap_steps(model):
                step(batches.gathered(arrays, places[at * size : (at + 1) * size]))
            return at + 1

        begin = tf.zeros((), "int64")
        tf.while_loop(lambda at: at < count, lambda at: [one(at)], [begin], parallel_iterations=1)
        return model.get_metrics_result()

    def call(first: int, count: int) -> tuple[Any, int, bool]:
        arrays, places, begin, end = held.around(first)
        at, count, new = first - begin, min(count, end - first), not made
        made.add(True)
        order = put(places[at * size : (at + count) * size])
        return loop(tf.constant(count, "int64"), order, *arrays), count, new

    return call


def _jax(model: Any, step: Callable[..., Any], batches: Any, class_weight: Any = None) -> Callable[..., Any]:
    """Return a function of (state, first, count) that makes steps and returns their logs and the state."""
    jax = import_module("jax")
    held, size = _Held(batches, class_weight, jax.numpy.asarray), batches.batch_size
    known: list[Any] = [None, None]
    longest = min(batches.parts.batches, len(batches.split) // size) if batches.parts else 0
    made = set()

    @partial(jax.jit, donate_argnums=0)
    def loop(state: Any, order: Any, first: Any, count: Any, arrays: Any) -> Any:
        def one(at: Any, state: Any) -> Any:
            with cheap_steps(model):
                _, after = step(state, batches.gathered(arrays, order[at]))
            return tuple(map(list, after))

        state = jax.lax.fori_loop(first, first + count, one, tuple(map(list, state)))
        with keras.StatelessScope(state_mapping=list(zip(model.metrics_variables, state[-1], strict=True))):
            return model.get_metrics_result(), state

    def call(state: Any, first: int, count: int) -> tuple[Any, int, bool]:
        arrays, places, begin, _ = held.around(first)
        at, whole = first - begin, len(places) // size
        if at >= whole:  # the last batch, which is shorter: a program of its own
            order, at, count = places[None, whole * size :].astype("int32"), 0, 1
        else:
            if known[0] != held.where:
                rows = np.zeros((max(whole, longest), size), "int32")  # of one shape: a program takes seconds
                rows[:whole] = places[: whole * size].reshape(whole, size)
                known[:] = held.where, jax.numpy.asarray(rows)
            order, count = known[1], min(count, whole - at)
        new = order.shape not in made
        made.add(order.shape)
        logs, state = loop(state, order, np.int32(at), np.int32(count), arrays)
        jax.block_until_ready(logs)
        return (logs, state), count, new

    return call
