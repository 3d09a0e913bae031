"""A compiled call makes many training steps.

However an epoch is divided into calls, the weights are the same to the bit, and those of Keras' single steps up to
rounding. Callbacks may look at single steps, and training may stop between calls.
"""

import gc
import os
import signal
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from processor import in_units
from shortcuts import pass_on_jax

import kzoo
from kzoo.cli import main
from kzoo.data.pipeline import Batches
from kzoo.training import kernels, multi_step
from kzoo.training.journal import State

pytestmark = pytest.mark.usefixtures("undrawn")

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(130, 5)).astype("float32")
CLASSES = (ROWS[:, 0] > 0.4).astype("int64")
SENTENCES = [
    " ".join(RANDOM.choice(["good", "bad", "film", "play", "long"], size=5)) for _ in range(70)
]
QUICK = dict(progress=False, check=False, epochs=2)
# Dropout, a schedule by the step, class weights, one-hot labels, an average, and 94 rows: the last batch is shorter.
FNN = dict(
    units=(8,),
    dropout=0.3,
    batch_size=10,
    schedule="cosine",
    class_weight="balanced",
    label_smoothing=0.1,
    ema=0.9,
    # traced in half of AdamW's time, which `members` and `series` have
    callbacks="quick",
    optimizer="momentum",
)
GRU = dict(units=(4,), embedding_dim=4, vocabulary_size=12, batch_size=9, callbacks="quick")


class Seen(keras.callbacks.Callback):
    """A user's callback that records the steps; each epoch counts from its first step."""

    def __init__(self, then=None):
        super().__init__()
        self.begun = []
        self.ended = []
        self.then = then

    def on_train_batch_begin(self, batch, logs=None):
        self.begun.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.ended.append(batch)
        if self.then:
            self.then(len(self.ended), logs)


def fnn(out, **options):
    return kzoo.train("tabular_fnn", (ROWS, CLASSES), out=out, **QUICK | FNN | options)


def members(out, **options):
    small = dict(
        units=(8,),
        members=3,
        bins=4,
        bins_dim=2,
        batch_size=10,
        class_weight="balanced",
        callbacks="quick",
    )
    return kzoo.train("tabular_tabm", (ROWS, CLASSES), out=out, **QUICK | small | options)


def gru(out, **options):
    rows = pd.DataFrame(
        dict(
            text=SENTENCES, liked=["yes" if "good" in sentence else "no" for sentence in SENTENCES]
        )
    )
    return kzoo.train("text_gru", rows, target="liked", out=out, **QUICK | GRU | options)


def series(out, **options):
    """Windows, which are cut out of the series on the device."""
    rows = pd.DataFrame(dict(load=np.sin(np.arange(300) / 4)))
    small = dict(
        units=(3,), input_shape=(5, 1), horizon=2, batch_size=16, target="load", callbacks="quick"
    )
    return kzoo.train("series_gru", rows, out=out, **QUICK | small | options)


def images(out, **options):
    """Batch normalisation in bfloat16 is another operation here, of batches whose size the program leaves open."""
    # (130, 4, 6, 1)
    x = np.abs(ROWS[:, :4, None, None] * 60).clip(0, 255).astype("uint8").repeat(6, axis=2)
    small = dict(
        filters=(4,),
        units=(),
        batch_size=10,
        precision="mixed_bfloat16",
        callbacks="quick",
        augment=(),
    )
    return kzoo.train("digits_cnn", (x, CLASSES), out=out, **QUICK | small | options)


def weights(run):
    return np.concatenate([w.ravel() for w in run.model.get_weights()])


def losses(run):
    return run.history["loss"], run.history["val_loss"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run whose calls were as long as they could be."""
    from shortcuts import undrawn

    with undrawn():
        return fnn(tmp_path_factory.mktemp("whole") / "run")


def assert_same(a, b):
    assert losses(a) == losses(b)
    np.testing.assert_array_equal(weights(a), weights(b))


def test_any_division_into_calls_gives_the_same_bits(whole, monkeypatch):
    if keras.backend.backend() == "tensorflow":  # which would begin an iterator of unused batches
        monkeypatch.setattr(Batches, "dataset", lambda self: pytest.fail("batches were made twice"))
    assert_same(whole, fnn("run", steps_per_call=5))


def test_a_callback_sees_each_step_and_changes_no_bit(whole):
    seen = Seen()
    assert_same(whole, fnn("run", callbacks=[seen]))
    assert seen.begun == seen.ended == [*range(10), *range(10)]  # 94 rows in tens


def test_a_callback_sees_each_step_of_validation():
    class Validated(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            seen.append(batch)

    seen = []
    fnn("run", callbacks=[Validated()], validation=0.4, epochs=3)
    assert seen == [*range(5)] * 3


def test_callbacks_get_the_first_and_the_last_step_of_a_call():
    seen = Seen()
    fnn("run", callbacks=[seen], steps_per_call=4)
    # The first call compiles the program, and the next ones are as long as its steps let them be.
    assert seen.begun[0] == 0 and seen.ended[0] == 0 and seen.ended.count(9) == 2
    assert all(0 <= last - first < 4 for first, last in zip(seen.begun, seen.ended, strict=True))
    assert [first for first in seen.begun if first] == [last + 1 for last in seen.ended if last < 9]


@pytest.mark.parametrize("train", [fnn, members, pytest.param(gru, marks=pytest.mark.slow), series])
def test_ten_steps_equal_those_of_keras_up_to_rounding(train):
    """The weights of a step are compared, not those of training: the paths of two roundings part in the long run."""
    after = {}

    def note(name):
        def then(count, logs):
            if count == 10:
                raise RuntimeError("enough")

        return Seen(then), name

    for most in (1, "auto"):
        seen, _ = note(most)
        models = []
        seen.on_train_begin = lambda logs=None, models=models, seen=seen: models.append(seen.model)
        with pytest.raises(RuntimeError):
            train(f"run{most}", callbacks=[seen], steps_per_call=most)
        after[most] = np.concatenate(
            [keras.ops.convert_to_numpy(w).ravel() for w in models[0].trainable_variables]
        )
    np.testing.assert_allclose(after["auto"], after[1], atol=1e-5, rtol=0)
    assert len(set(np.round(after[1], 3))) > 10  # it did train


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only there it is another operation"
)
def test_any_division_of_batch_normalisation_in_bfloat16_gives_the_same_bits(monkeypatch):
    ran = []
    run = kernels._normalise
    monkeypatch.setattr(
        kernels, "_normalise", lambda *arguments: ran.append(arguments) or run(*arguments)
    )
    whole, cut = (images(f"run{most}", steps_per_call=most, seed=3) for most in ("auto", 3))
    assert ran
    assert_same(whole, cut)


def test_a_run_killed_between_calls_resumes_to_the_same_bits(whole):
    def cut_power(count, logs):
        if count == 5:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fnn("run", callbacks=[Seen(cut_power)], steps_per_call=4, journal_steps=3)
    run = fnn("run", callbacks=[Seen()], steps_per_call=5)
    assert run.summary["resumed"] == 1
    assert_same(whole, run)


def test_a_run_begun_with_single_steps_resumes_with_single_steps(whole):
    def cut_power(count, logs):
        if count == 14:
            raise RuntimeError("power cut")

    single = fnn("single", steps_per_call=1)
    with pytest.raises(RuntimeError):
        fnn("run", callbacks=[Seen(cut_power)], steps_per_call=1, journal_steps=4)
    assert_same(single, fnn("run", callbacks=[Seen()]))


def test_resuming_with_single_steps_is_reported(capsys):
    """The same weights and data; the model was compiled in another way meanwhile, which no request of a run holds."""

    def model(**options):
        keras.utils.set_random_seed(0)
        made = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)], name="own")
        made.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
        return made

    def cut_power(count, logs):
        if count == 5:
            raise RuntimeError("power cut")

    def train(made, *callbacks, **options):
        data = ROWS[:60], CLASSES[:60]
        return kzoo.train(
            made, data, out="run", check=False, callbacks=list(callbacks), batch_size=8, **options
        )

    with pytest.raises(RuntimeError):
        train(model(), Seen(cut_power), epochs=2, journal_steps=2)
    run = train(model(run_eagerly=True), Seen(), epochs=2)
    assert run.summary["resumed"] == 1
    assert_mentions(capsys.readouterr().err, "run_eagerly", "bits")


def test_a_signal_stops_training_at_the_end_of_a_call():
    """No callback looks at single steps here: the journal is written where the call ended."""
    x = RANDOM.normal(size=(40_000, 5)).astype("float32")
    data = (x, (x[:, 0] > 0).astype("int64"))
    options = QUICK | dict(epochs=2000, units=(8,), batch_size=8, patience=2000)
    sent = []

    def send():
        time.sleep(0.5)
        sent.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)

    class Begun(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                threading.Thread(target=send, daemon=True).start()

    with pytest.raises(kzoo.Interrupted):
        kzoo.train("tabular_fnn", data, out="run", callbacks=[Begun()], **options)
    # scores and curves of the best epoch among them
    assert in_units(time.process_time() - sent[0]) < 2000
    state, _ = State.newest(Path("run"))
    assert state.epoch >= 1 and state.chunked


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (dict(preset="image_cnn", augment=("flip",)), ("Python",)),
        (dict(run_eagerly=True), ("run_eagerly", "steps_per_execution")),
        (dict(steps_per_execution=2), ("run_eagerly", "steps_per_execution")),
    ],
)
@pytest.mark.usefixtures("untraced")
def test_steps_per_call_without_effect_is_reported(options, parts, capsys):
    if "preset" in options:
        data = (RANDOM.integers(0, 255, (12, 8, 8, 3)), np.arange(12) % 2)
        model = options.pop("preset")
        options |= dict(filters=(2,), units=())
    else:
        data = ROWS[:40], CLASSES[:40]
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
        model.compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options
        )
        options = {}
    kzoo.train(model, data, out="run", check=False, epochs=1, steps_per_call=8, **options)
    assert_mentions(capsys.readouterr().err, "steps_per_call=8", *parts)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many", None])
def test_invalid_steps_per_call_is_refused(value):
    with refuses(f"steps_per_call={value!r}", "'auto'", "whole number"):
        kzoo.train("iris_fnn", steps_per_call=value)


def test_invalid_steps_per_call_is_refused_on_the_command_line(capsys):
    assert main(["train", "iris_fnn", "--steps-per-call", "none"]) == 2
    assert_mentions(
        capsys.readouterr().err.replace("'none'", "none"),
        "--steps-per-call none",
        "auto",
        "whole number",
    )


def test_a_callback_may_evaluate_other_data_during_training(whole):
    """`evaluate`, `test_on_batch` and `predict` that a callback calls are those of Keras."""
    losses = []

    class Other(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            x = ROWS[:7]
            y = keras.ops.one_hot(CLASSES[:7], 2)
            losses.append(
                [self.model.evaluate(x, y, verbose=0)[0], self.model.test_on_batch(x, y)[0]]
            )
            assert self.model.predict(x, verbose=0).shape == (7, 2)

    run = fnn("run", callbacks=[Other()])
    assert_same(whole, run)
    np.testing.assert_allclose(*np.transpose(losses), rtol=1e-6)


def test_replacing_the_train_function_needs_single_steps(untraced):
    class Meddles(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.make_train_function(force=True)

    with refuses("steps_per_call=1"):
        fnn("run", callbacks=[Meddles()])
    assert fnn("run", callbacks=[Meddles()], steps_per_call=1, epochs=1).finished


def test_a_call_lasts_a_quarter_of_a_second_at_most():
    made = []

    def program(first, count):
        made.append(count)
        time.sleep(0.001 * count)
        return {}, count, len(made) == 1

    steps = multi_step._EpochSteps(1000, program, 10**6)
    steps.begin(3)
    while steps.start_call(every=500):
        steps.run(None, "iterator")
        steps.end_call()
    assert steps.first + steps.done == 1000 and sum(made) == 997
    assert made[0] == 1 and 60 < max(made) <= 250


@pytest.mark.slow
def test_on_jax():
    pass_on_jax(__file__)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="looks at TensorFlow's graphs")
def test_no_graph_outlives_training(tmp_path):
    """Graphs of many steps, of single steps and of other functions that train: TensorFlow would keep each for good."""

    def graphs():
        gc.collect()
        return {id(item) for item in gc.get_objects() if type(item).__name__.endswith("FuncGraph")}

    before = graphs()
    for way, steps in ((gru, "auto"), (fnn, 1)):
        way(tmp_path / way.__name__, steps_per_call=steps, epochs=1)
        assert graphs() - before == set(), way
    kzoo.check("tabular_fnn", (ROWS, CLASSES), units=(8,))
    assert graphs() - before == set()
    kzoo.learning_rate_range("tabular_fnn", (ROWS, CLASSES), units=(8,), steps=20)
    assert graphs() - before == set()
