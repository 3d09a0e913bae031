"""KerasTuner tunes a `kzoo.hypermodel`."""

import keras
import keras_tuner
import numpy as np
import pytest
from messages import refuses
from random_points import default_point
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.utils.class_weight import compute_class_weight

import kzoo

pytestmark = pytest.mark.usefixtures("untraced_module")

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")


def point(model, **values):
    hp = default_point(model.space)
    hp.values |= values
    return hp


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return x.astype("float32"), y


def test_kerastuner_runs_a_search(iris, tmp_path):
    x, y = iris
    space = kzoo.space("iris_fnn", "full").narrow(
        batch_size=[64], label_smoothing=[0.1], schedule=["cosine"]
    )
    model = kzoo.hypermodel("iris_fnn", space, units=(8,))
    tuner = keras_tuner.RandomSearch(
        model, OBJECTIVE, max_trials=2, seed=1, directory=tmp_path, project_name="a"
    )
    names = [h.name for h in tuner.oracle.get_space().space]
    # all of them before the first trial
    assert names == list(model.space.names) and "layers" not in names
    tuner.search(x, y, validation_data=(x, y), epochs=2, verbose=0)
    trials = tuner.oracle.trials.values()
    assert [t.status for t in trials] == ["COMPLETED"] * 2
    assert all(0 <= t.score <= 1 for t in trials)
    # fit augments nothing
    assert "augment" not in kzoo.hypermodel("digits_cnn", "full").space.names


def test_fit_uses_the_batch_size_of_the_point_and_a_schedule_over_all_steps(iris):
    x, y = iris
    model = kzoo.hypermodel("iris_fnn")
    hp = point(model, batch_size=64, schedule="cosine", label_smoothing=0.1)
    net = model.build(hp)
    batches = []
    counted = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batches.append(batch)
    )
    model.fit(hp, net, x, y, epochs=2, verbose=0, callbacks=[counted])
    assert len(batches) == 2 * 3  # 150 rows in batches of 64
    schedule = net.optimizer._learning_rate
    assert float(schedule(0)) == pytest.approx(3e-3) and float(schedule(6)) == pytest.approx(0)
    assert type(net.loss).__name__ == "CategoricalCrossentropy" and net.loss.label_smoothing == 0.1


def test_no_warning_says_that_fit_ignores_what_the_search_applies(recwarn):
    model = kzoo.hypermodel("iris_fnn", kzoo.space("iris_fnn", "quick").fix(batch_size=8))
    model.build(point(model))
    assert [str(warning.message) for warning in recwarn if "fit" in str(warning.message)] == []


def test_plateau_halves_the_rate_when_nothing_improves(iris):
    x, y = iris
    model = kzoo.hypermodel("iris_fnn", patience=2)
    hp = point(model, schedule="plateau", batch_size=64)
    net = model.build(hp)
    stuck = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(val_loss=1.0)
    )
    model.fit(hp, net, x, y, validation_data=(x, y), epochs=3, verbose=0, callbacks=[stuck])
    assert float(net.optimizer.learning_rate.numpy()) == pytest.approx(3e-3 / 4)


def test_class_weights_are_those_of_the_preset():
    x, y = load_breast_cancer(return_X_y=True)
    x = x.astype("float32")
    y = y
    model = kzoo.hypermodel("cancer_fnn")
    hp = default_point(model.space)
    arguments = {}
    net = model.build(hp)
    net.fit = lambda x, y, **kwargs: arguments.update(kwargs)
    model.fit(hp, net, x, y)
    weights = compute_class_weight("balanced", classes=np.unique(y), y=y)
    assert arguments["class_weight"] == pytest.approx(dict(enumerate(weights)))
    model.fit(hp, net, x, y, class_weight={0: 1, 1: 2})
    assert arguments["class_weight"] == {0: 1, 1: 2}
    with refuses("class_weight=None", "labels", "array", "y"):
        model.fit(hp, net, [(x, y)])
    unweighed = kzoo.hypermodel("cancer_fnn", class_weight=None)
    arguments.clear()
    unweighed.fit(default_point(unweighed.space), net, x, y)
    assert "class_weight" not in arguments
    assert (
        kzoo.hypermodel("iris_fnn", class_weight="balanced").space.fixed["class_weight"]
        == "balanced"
    )


def test_a_network_above_the_limit_is_not_trained():
    model = kzoo.hypermodel("iris_fnn", kzoo.space("iris_fnn").limit(params=3000))
    assert model.build(default_point(model.space)).count_params() == 2499
    with refuses("9,091", "parameters", "3,000", error=keras_tuner.errors.FailedTrialError):
        model.build(point(model, units_scale=2.0))


def test_bad_input(iris):
    x, y = iris
    with refuses("space", "iris_fnn", "wine_fnn"):
        kzoo.hypermodel("wine_fnn", kzoo.space("iris_fnn"))
    for options in (dict(class_weight={"0": 9.0}), dict(epochs=3), dict(max_steps=5)):
        ((name, value),) = options.items()
        with refuses(f"{name}={value!r}", "kzoo.tune"):
            kzoo.hypermodel("iris_fnn", **options)
    model = kzoo.hypermodel("iris_fnn")
    hp = point(model, label_smoothing=0.1)
    with refuses("batch_size", "space.fix(batch_size=...)"):
        model.fit(hp, model.build(hp), x, y, batch_size=3)
    with refuses("labels", "array", "y", "space.fix(label_smoothing=0)"):
        model.fit(hp, model.build(hp), object())
