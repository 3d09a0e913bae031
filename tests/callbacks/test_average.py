"""Averaged weights are validated and saved, and training continues with the weights themselves."""

import keras
import pytest
from messages import assert_mentions
from small import VALIDATION, Weights, best_epoch, fit, network, same

import kzoo


def averaged(rate=0.05, **options):
    return keras.optimizers.SGD(rate, use_ema=True, ema_momentum=0.9, **options)


def slots(model):
    return [keras.ops.convert_to_numpy(v) for v in model.optimizer._model_variables_moving_average]


class Slots(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(slots(self.model))


@pytest.mark.parametrize("validation", [VALIDATION, None], ids=["validated", "not validated"])
def test_the_average_is_validated_and_saved_and_training_is_unchanged(validation, tmp_path):
    plain = network(averaged())
    seen = Weights()
    fit(plain, [seen], validation_data=validation)
    model = network(averaged())
    looking = Weights()
    average = Slots()
    bundle = kzoo.callbacks.long(tmp_path / "run", keep=9)
    history = fit(model, [*bundle, looking, average], validation_data=validation).history
    assert not same(seen.ends[0], average.seen[0])
    for epoch in range(4):
        # Training begins each epoch with the weights it would have had without any callback ...
        assert same(looking.begins[epoch], seen.begins[epoch])
        # ... and the callbacks at its end, the bundle's and ours, saw the average.
        assert same(looking.ends[epoch], average.seen[epoch])
        checkpoint = keras.saving.load_model(
            tmp_path / "run" / "checkpoints" / f"epoch-{epoch + 1:04d}.keras"
        )
        assert same(checkpoint.get_weights(), average.seen[epoch])
        if validation is not None:
            loss, _ = checkpoint.evaluate(*validation, batch_size=16, verbose=0)
            assert loss == pytest.approx(history["val_loss"][epoch], rel=1e-5)
    best = best_epoch(bundle)
    assert same(model.get_weights(), average.seen[best])
    assert same(
        keras.saving.load_model(tmp_path / "run" / "best.keras").get_weights(), average.seen[best]
    )


def test_stopping_early_leaves_the_best_average():
    rising = averaged(rate=0.0)
    model = network(rising)
    average = Slots()
    bundle = kzoo.callbacks.long(patience=2)
    assert len(fit(model, [*bundle, average], epochs=9).epoch) == 3
    assert same(model.get_weights(), average.seen[best_epoch(bundle)])


def test_last_is_the_average_after_the_last_epoch(tmp_path):
    model = network(averaged())
    average = Slots()
    fit(model, [*kzoo.callbacks.quick(tmp_path / "run"), average])
    assert same(
        keras.saving.load_model(tmp_path / "run" / "last.keras").get_weights(), average.seen[-1]
    )


def test_without_an_average_a_single_line_is_printed(capsys):
    bundle = kzoo.callbacks.long()
    seen = Weights()
    model = network()
    fit(model, [*bundle, seen])
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert_mentions(message, "optimizer", "use_ema=True")
    assert same(model.get_weights(), seen.ends[best_epoch(bundle)])


def test_evaluating_with_the_bundle_later_changes_nothing():
    model = network(averaged())
    bundle = kzoo.callbacks.quick()
    fit(model, bundle)
    before = model.get_weights()
    model.evaluate(*VALIDATION, callbacks=bundle, verbose=0)
    assert same(model.get_weights(), before)


@pytest.mark.usefixtures("undrawn", "untraced")
def test_train_averages_with_the_long_bundle_and_with_ema(tmp_path, capsys):
    options = dict(
        epochs=2,
        units=(4,),
        progress=True,
        check=False,
        learning_rate=0.05,
        schedule="constant",
        warmup=0,
    )
    options |= dict(batch_size=36)
    run = kzoo.train("iris_fnn", "iris", out=tmp_path / "a", callbacks="long", **options)
    assert run.config["spec"]["training"]["ema"] == 0.99
    assert capsys.readouterr().err.count("ema=0.99") == 1
    assert len(list((tmp_path / "a" / "checkpoints").glob("epoch-000?.keras"))) == 2
    off = kzoo.train(
        "iris_fnn",
        "iris",
        out=tmp_path / "b",
        callbacks="long",
        **options | dict(ema=0, progress=False),
    )
    quick = kzoo.train(
        "iris_fnn", "iris", out=tmp_path / "c", callbacks="quick", ema=0.99, **options
    )
    assert off.config["spec"]["training"]["ema"] == 0.0
    assert same(quick.model.get_weights(), run.model.get_weights())
    assert not same(off.model.get_weights(), run.model.get_weights())
