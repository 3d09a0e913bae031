"""Ends of training: NaN in the loss or in the weights, Ctrl-C, a full disk; and the files at any moment."""

import keras
import numpy as np
import pytest
from messages import assert_mentions
from small import At, Weights, fit, network, same

import kzoo
from kzoo.callbacks import BestModel, NanGuard


def the(bundle, kind):
    return next(c for c in bundle if isinstance(c, kind))


def spoil(model):
    """NaN in the first layer: the ReLU behind it hides them from the loss on some backends."""
    first, *rest = model.get_weights()
    model.set_weights([first * np.nan, *rest])


def spoil_all(model):
    model.set_weights([w * np.nan for w in model.get_weights()])


def load(path):
    return keras.saving.load_model(path).get_weights()


def finite(weights):
    return all(np.isfinite(w).all() for w in weights)


def test_a_nan_stops_training_and_both_files_are_of_finite_epochs(tmp_path):
    bundle = kzoo.callbacks.quick(tmp_path / "run")
    seen = Weights()
    the(bundle, BestModel).every = -1.0
    model = network()
    history = fit(model, [*bundle, At(2, spoil), seen], epochs=6)
    best, guard = the(bundle, BestModel), the(bundle, NanGuard)
    assert len(history.epoch) == 3 and guard.tripped
    assert_mentions(best.stopped_because, "epoch 3", "learning_rate", "global_clipnorm=1.0")
    assert same(load(tmp_path / "run" / "last.keras"), seen.ends[1])
    assert best.best_epoch < 2 and same(model.get_weights(), seen.ends[best.best_epoch])
    assert same(load(tmp_path / "run" / "best.keras"), model.get_weights())


def test_nan_weights_with_a_finite_loss_are_detected(tmp_path):
    class HideLoss(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            logs.update(loss=0.5, val_loss=0.1)

    bundle = kzoo.callbacks.long(tmp_path / "run")
    fit(network(), [HideLoss(), *bundle, At(1, spoil)], epochs=6)
    assert the(bundle, NanGuard).tripped and the(bundle, BestModel).best_epoch == 0
    assert_mentions(the(bundle, BestModel).stopped_because, "hidden/kernel", "epoch 2")
    assert sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "epoch-0001.keras"
    ]
    assert finite(load(tmp_path / "run" / "last.keras")) and finite(
        load(tmp_path / "run" / "best.keras")
    )


def test_a_nan_in_the_first_epoch_writes_nothing(tmp_path):
    bundle = kzoo.callbacks.quick(tmp_path / "run")
    fit(network(), [*bundle, At(0, spoil)])
    assert the(bundle, BestModel).best_epoch is None
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["history.csv"]


def test_a_nan_within_a_long_epoch_is_detected_within_about_a_second(monkeypatch):
    clock = iter(np.arange(0, 1e6, 0.4))
    monkeypatch.setattr("kzoo.callbacks.nan.time.monotonic", lambda: next(clock))
    bundle = kzoo.callbacks.quick()
    steps = []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(batch)
    )
    fit(
        network(),
        [*bundle, count, At(1, lambda m: m.set_weights([w * np.nan for w in m.get_weights()]))],
        batch_size=4,
    )
    assert len(steps) < 24 + 8  # 24 steps make an epoch
    assert_mentions(the(bundle, BestModel).stopped_because, "loss", "nan", "epoch 2", "step")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError()], ids=repr)
@pytest.mark.parametrize("batch", [None, 3], ids=["epoch", "batch"])
def test_restored_leaves_the_best_weights_after_any_exception(error, batch, tmp_path):
    model = network()
    bundle = kzoo.callbacks.standard(tmp_path / "run")
    seen = Weights()
    worse = At(1, lambda m: m.set_weights([w + 3 for w in m.get_weights()]))
    with pytest.raises(type(error)), kzoo.callbacks.restored(bundle):
        fit(model, [*bundle, worse, seen, At(2, error, batch=batch)])
    assert the(bundle, BestModel).best_epoch == 0
    assert same(model.get_weights(), seen.ends[0])
    assert same(load(tmp_path / "run" / "best.keras"), seen.ends[0])
    assert finite(load(tmp_path / "run" / "last.keras"))


def test_restored_before_the_end_of_the_first_epoch_writes_nothing(tmp_path):
    bundle = kzoo.callbacks.quick(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt), kzoo.callbacks.restored(bundle):
        fit(network(), [*bundle, At(0, KeyboardInterrupt(), batch=2)])
    assert not (tmp_path / "run").exists()
    with pytest.raises(ZeroDivisionError), kzoo.callbacks.restored(bundle):
        raise ZeroDivisionError  # fit was never called


def test_both_files_exist_from_the_first_epoch_and_writing_takes_a_hundredth_of_the_time(
    tmp_path, monkeypatch
):
    clock, seen, run, model = [0.0], [], tmp_path / "run", network(keras.optimizers.Adam(1e-2))
    monkeypatch.setattr("kzoo.callbacks.saving.time.monotonic", lambda: clock[0])

    def save(path):  # takes half a second
        model.save(path)
        clock[0] += 0.5

    def look(epoch, logs):  # an epoch takes ten
        clock[0] += 10
        seen.append([(run / name).stat().st_mtime_ns for name in ("best.keras", "last.keras")])

    fit(
        model,
        [*kzoo.callbacks.quick(run, save=save), keras.callbacks.LambdaCallback(on_epoch_end=look)],
        epochs=8,
    )
    last = [times[1] for times in seen]
    assert [i for i in range(1, 8) if last[i] != last[i - 1]] == [5]  # 50 s after the first
    # one save for both files where the last epoch is the best: twice, and at the end
    assert clock[0] == 80 + 0.5 * 3
    assert same(load(run / "best.keras"), model.get_weights())


def test_the_best_weights_are_restored_when_the_disk_is_full(tmp_path):
    def save(path):
        if len(seen.ends) > 1:
            raise OSError(28, "No space left on device")
        model.save(path)

    model, seen = network(keras.optimizers.Adam(1e-2)), Weights()
    bundle = kzoo.callbacks.quick(tmp_path / "run", save=save)
    with pytest.raises(OSError, match="No space"), kzoo.callbacks.restored(bundle):
        fit(model, [*bundle, seen], epochs=3)
    assert the(bundle, BestModel).best_epoch == 2 and same(model.get_weights(), seen.ends[2])
    assert finite(load(tmp_path / "run" / "best.keras"))


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("first", [0, 7])
@pytest.mark.parametrize("value", [0.5, np.nan], ids=["finite", "never finite"])
def test_patience_counts_from_the_first_epoch_of_a_fit(first, value):
    bundle = kzoo.callbacks.quick(patience=3)
    flat = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(val_loss=value)
    )
    history = fit(network(), [flat, *bundle], initial_epoch=first, epochs=first + 9, batch_size=96)
    assert len(history.epoch) == (3 if np.isnan(value) else 1 + 3)
    assert_mentions(the(bundle, BestModel).stopped_because, "val_loss", "3 epochs")
