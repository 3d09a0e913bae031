"""Many steps in one compiled call: however an epoch is cut, the same bits; Keras' single step within rounding; and who
looks at single steps, or stops between them, finds what is there."""

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
from processor import in_units
from shortcuts import pass_on_jax

import kzoo
from kzoo.cli import main
from kzoo.data.pipeline import Batches
from kzoo.training import calls, kernels
from kzoo.training.journal import State

pytestmark = pytest.mark.usefixtures("undrawn")

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(130, 5)).astype("float32")
CLASSES = (ROWS[:, 0] > 0.4).astype("int64")
SENTENCES = [" ".join(RANDOM.choice(["good", "bad", "film", "play", "long"], size=5)) for _ in range(70)]
QUICK = dict(progress=False, check=False, epochs=2)
# Dropout, a schedule by the step, class weights, one-hot labels, an average, and 94 rows: the last batch is shorter.
FNN = dict(
    units=(8,), dropout=0.3, batch_size=10, schedule="cosine", class_weight="balanced", label_smoothing=0.1, ema=0.9,
    callbacks="quick", optimizer="momentum",  # traced in half of AdamW's time, which `members` and `series` have
)  # fmt: skip
GRU = dict(units=(4,), embedding_dim=4, vocabulary_size=12, batch_size=9, callbacks="quick")


class Seen(keras.callbacks.Callback):
    """A user's, which looks at the steps: the first is where each epoch begins to count."""

    def __init__(self, then=None):
        super().__init__()
        self.begun, self.ended, self.then = [], [], then

    def on_train_batch_begin(self, batch, logs=None):
        self.begun.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.ended.append(batch)
        if self.then:
            self.then(len(self.ended), logs)


def fnn(out, **options):
    return kzoo.train("tabular_fnn", (ROWS, CLASSES), out=out, **QUICK | FNN | options)


def members(out, **options):
    small = dict(units=(8,), members=3, bins=4, bins_dim=2, batch_size=10, class_weight="balanced", callbacks="quick")
    return kzoo.train("tabular_tabm", (ROWS, CLASSES), out=out, **QUICK | small | options)


def gru(out, **options):
    rows = pd.DataFrame(dict(text=SENTENCES, liked=["yes" if "good" in sentence else "no" for sentence in SENTENCES]))
    return kzoo.train("text_gru", rows, target="liked", out=out, **QUICK | GRU | options)


def series(out, **options):
    """Windows, which are cut out of the series on the device."""
    rows = pd.DataFrame(dict(load=np.sin(np.arange(300) / 4)))
    small = dict(units=(3,), input_shape=(5, 1), horizon=2, batch_size=16, target="load", callbacks="quick")
    return kzoo.train("series_gru", rows, out=out, **QUICK | small | options)


def images(out, **options):
    """Batch normalisation in bfloat16 is another operation here, of batches whose size the program leaves open."""
    x = np.abs(ROWS[:, :4, None, None] * 60).clip(0, 255).astype("uint8").repeat(6, axis=2)  # (130, 4, 6, 1)
    small = dict(filters=(4,), units=(), batch_size=10, precision="mixed_bfloat16", callbacks="quick", augment=())
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


def test_any_cut_gives_the_same_bits(whole, monkeypatch):
    if keras.backend.backend() == "tensorflow":  # which begins an iterator of batches that nobody takes for as long
        monkeypatch.setattr(Batches, "dataset", lambda self: pytest.fail("batches were made beside the loop's"))
    assert_same(whole, fnn("run", steps_per_call=5))


def test_who_looks_at_single_steps_sees_each_and_changes_no_bit(whole):
    seen = Seen()
    assert_same(whole, fnn("run", callbacks=[seen]))
    assert seen.begun == seen.ended == [*range(10), *range(10)]  # 94 rows in tens


def test_who_looks_at_the_steps_of_a_validation_sees_each_too():
    class Validated(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            seen.append(batch)

    seen = []
    fnn("run", callbacks=[Validated()], validation=0.4, epochs=3)
    assert seen == [*range(5)] * 3


def test_a_call_is_named_by_its_first_step_and_its_last():
    seen = Seen()
    fnn("run", callbacks=[seen], steps_per_call=4)
    # The first call compiles the program, and the next ones are as long as its steps let them be.
    assert seen.begun[0] == 0 and seen.ended[0] == 0 and seen.ended.count(9) == 2
    assert all(0 <= last - first < 4 for first, last in zip(seen.begun, seen.ended, strict=True))
    assert [first for first in seen.begun if first] == [last + 1 for last in seen.ended if last < 9]


@pytest.mark.parametrize("train", [fnn, members, pytest.param(gru, marks=pytest.mark.slow), series])
def test_ten_steps_are_keras_own_to_rounding(train):
    """The weights of a step are compared, not those of training: the paths of two roundings part in the long run."""
    after = {}

    def note(name):
        def then(count, logs):
            if count == 10:
                raise RuntimeError("enough")

        return Seen(then), name

    for most in (1, "auto"):
        seen, _ = note(most)
        kept = []
        seen.on_train_begin = lambda logs=None, kept=kept, seen=seen: kept.append(seen.model)
        with pytest.raises(RuntimeError):
            train(f"run{most}", callbacks=[seen], steps_per_call=most)
        after[most] = np.concatenate([keras.ops.convert_to_numpy(w).ravel() for w in kept[0].trainable_variables])
    np.testing.assert_allclose(after["auto"], after[1], atol=1e-5, rtol=0)
    assert len(set(np.round(after[1], 3))) > 10  # it did train


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only there it is another operation")
def test_any_cut_of_batch_normalisation_in_bfloat16_gives_the_same_bits(monkeypatch):
    ran, run = [], kernels._normalise
    monkeypatch.setattr(kernels, "_normalise", lambda *given: ran.append(given) or run(*given))
    whole, cut = (images(f"run{most}", steps_per_call=most, seed=3) for most in ("auto", 3))
    assert ran
    assert_same(whole, cut)


def test_killed_between_calls_it_goes_on_to_the_same_bits(whole):
    def cut_power(count, logs):
        if count == 5:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fnn("run", callbacks=[Seen(cut_power)], steps_per_call=4, journal_steps=3)
    run = fnn("run", callbacks=[Seen()], steps_per_call=5)
    assert run.summary["resumed"] == 1
    assert_same(whole, run)


def test_what_began_step_by_step_goes_on_so(whole):
    def cut_power(count, logs):
        if count == 14:
            raise RuntimeError("power cut")

    single = fnn("single", steps_per_call=1)
    with pytest.raises(RuntimeError):
        fnn("run", callbacks=[Seen(cut_power)], steps_per_call=1, journal_steps=4)
    assert_same(single, fnn("run", callbacks=[Seen()]))


def test_what_has_to_go_on_step_by_step_says_so(capsys):
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
        return kzoo.train(made, data, out="run", check=False, callbacks=list(callbacks), batch_size=8, **options)

    with pytest.raises(RuntimeError):
        train(model(), Seen(cut_power), epochs=2, journal_steps=2)
    run = train(model(run_eagerly=True), Seen(), epochs=2)
    assert run.summary["resumed"] == 1
    assert "and now one does, because the model was compiled with run_eagerly" in capsys.readouterr().err


def test_a_signal_ends_a_training_where_a_call_ends():
    """Nobody looks at single steps here: the journal is written where the call ended."""
    x = RANDOM.normal(size=(40_000, 5)).astype("float32")
    data, options = (
        (x, (x[:, 0] > 0).astype("int64")),
        QUICK | dict(epochs=2000, units=(8,), batch_size=8, patience=2000),
    )
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
    assert in_units(time.process_time() - sent[0]) < 2000  # scores and curves of the best epoch among them
    state, _ = State.newest(Path("run"))
    assert state.epoch >= 1 and state.chunked


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (dict(preset="image_cnn", augment=("flip",)), "batches are made in Python"),
        (dict(run_eagerly=True), "the model was compiled with run_eagerly or steps_per_execution"),
        (dict(steps_per_execution=2), "the model was compiled with run_eagerly or steps_per_execution"),
    ],
)
@pytest.mark.usefixtures("untraced")
def test_a_number_that_cannot_be_kept_is_said(options, why, capsys):
    if "preset" in options:
        data, what = (RANDOM.integers(0, 255, (12, 8, 8, 3)), np.arange(12) % 2), options.pop("preset")
        options |= dict(filters=(2,), units=())
    else:
        data = ROWS[:40], CLASSES[:40]
        what = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
        what.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
        options = {}
    kzoo.train(what, data, out="run", check=False, epochs=1, steps_per_call=8, **options)
    assert f"steps_per_call=8: one step at a time, because {why}" in capsys.readouterr().err


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many", None])
def test_what_is_no_number_of_steps_is_refused(value):
    with pytest.raises(kzoo.KzooError, match=r"steps_per_call=.* must be 'auto' or a whole number of steps"):
        kzoo.train("iris_fnn", steps_per_call=value)


def test_on_the_command_line(capsys):
    assert main(["train", "iris_fnn", "--steps-per-call", "none"]) == 2
    assert "--steps-per-call none must be 'auto' or a whole number" in capsys.readouterr().err.replace("'none'", "none")


def test_a_callback_may_score_other_data_meanwhile(whole):
    """What nobody asked the loop for is Keras' own: `evaluate`, `test_on_batch` and `predict` of a callback."""
    found = []

    class Other(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            x, y = ROWS[:7], keras.ops.one_hot(CLASSES[:7], 2)
            found.append([self.model.evaluate(x, y, verbose=0)[0], self.model.test_on_batch(x, y)[0]])
            assert self.model.predict(x, verbose=0).shape == (7, 2)

    run = fnn("run", callbacks=[Other()])
    assert_same(whole, run)
    np.testing.assert_allclose(*np.transpose(found), rtol=1e-6)


def test_a_model_whose_functions_are_replaced_is_not_miscounted(untraced):
    class Meddles(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.make_train_function(force=True)

    with pytest.raises(kzoo.KzooError, match="replaced while it trained: pass steps_per_call=1"):
        fnn("run", callbacks=[Meddles()])
    assert fnn("run", callbacks=[Meddles()], steps_per_call=1, epochs=1).finished


def test_a_call_takes_as_many_steps_as_a_quarter_of_a_second_lets_it():
    made = []

    def program(first, count):
        made.append(count)
        time.sleep(0.001 * count)
        return {}, count, len(made) == 1

    steps = calls._Steps(1000, program, 10**6)
    steps.begin(3)
    while steps.ask(every=500):
        steps.run(None, "iterator")
        steps.answered()
    assert steps.first + steps.done == 1000 and sum(made) == 997
    assert made[0] == 1 and 60 < max(made) <= 250


@pytest.mark.slow
def test_on_jax():
    pass_on_jax(__file__)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="looks at TensorFlow's graphs")
def test_no_graph_of_a_training_stays(tmp_path):
    """Of many steps in a call, of single ones, and of others who take steps: TensorFlow would keep each for good."""

    def graphs():
        gc.collect()
        return {id(thing) for thing in gc.get_objects() if type(thing).__name__.endswith("FuncGraph")}

    before = graphs()
    for way, steps in ((gru, "auto"), (fnn, 1)):
        way(tmp_path / way.__name__, steps_per_call=steps, epochs=1)
        assert graphs() - before == set(), way
    kzoo.check("tabular_fnn", (ROWS, CLASSES), units=(8,))
    assert graphs() - before == set()
    kzoo.learning_rate_range("tabular_fnn", (ROWS, CLASSES), units=(8,), steps=20)
    assert graphs() - before == set()
