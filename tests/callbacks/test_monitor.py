"""The monitored metric: the direction of every metric, and names that are refused before the first epoch."""

import inspect
import re

import keras
import numpy as np
import pytest
from messages import assert_mentions, refuses
from small import VALIDATION, At, Weights, X, Y, best_epoch, fit, network, same

import kzoo
from kzoo.callbacks import BestModel
from kzoo.problems.tasks import METRICS

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

# Larger is better for these classes of keras.metrics, smaller for the rest; the first four have no direction.
CONTAINERS = {"Metric", "Mean", "Sum", "MeanMetricWrapper"}
LARGER = {
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "IoU",
    "MeanIoU",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
}
SMALLER = {
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
}
CLASSES = {name: c for name, c in vars(keras.metrics).items() if inspect.isclass(c)}
REQUIRED = dict(
    num_classes=2, target_class_ids=[0], recall=0.5, precision=0.5, sensitivity=0.5, specificity=0.5
)


def test_the_lists_here_contain_every_metric_of_keras():
    assert set(CLASSES) == CONTAINERS | LARGER | SMALLER


@pytest.mark.parametrize("name", sorted(LARGER | SMALLER))
def test_every_metric_of_keras_has_its_direction(name):
    needed = [
        p.name for p in inspect.signature(CLASSES[name]).parameters.values() if p.default is p.empty
    ]
    metric = CLASSES[name](**{argument: REQUIRED[argument] for argument in needed})
    again = CLASSES[name](**{argument: REQUIRED[argument] for argument in needed})  # precision_1
    snake = keras.src.utils.naming.to_snake_case(name)
    for alias in (metric.name, again.name, snake, f"val_{snake}", f"val_{again.name}"):
        assert kzoo.callbacks.direction(alias) == ("max" if name in LARGER else "min"), alias


def test_aliases_and_metrics_of_kzoo_have_a_direction_and_unknown_names_are_refused():
    larger = {
        "accuracy",
        "acc",
        "auc",
        "top5",
        "f1",
        "f1_score",
        "precision",
        "recall",
        "r2",
        "r2_score",
        "iou",
    }
    smaller = {"loss", "mse", "MSE", "mae", "rmse", "mape", "msle", "bce", "log_cosh"}
    assert set(METRICS) <= larger | smaller
    for name in larger | smaller:
        assert kzoo.callbacks.direction(name) == ("max" if name in larger else "min")
    for unknown in ("val_speed", "", "val_", "mean", "inaccuracy"):
        with refuses(f"monitor={unknown!r}", "mode='max'", "mode='min'"):
            kzoo.callbacks.standard(monitor=unknown)
    assert kzoo.callbacks.standard(monitor="val_speed", mode="max")
    with refuses("mode='min'", "monitor='val_f1'", "'max'"):
        kzoo.callbacks.standard(monitor="val_f1", mode="min")
    with refuses("mode='biggest'", "'max'", "'min'"):
        kzoo.callbacks.standard(monitor="val_f1", mode="biggest")


def never(*args, **options):
    raise AssertionError("an epoch has begun")


@pytest.mark.parametrize(
    ("monitor", "parts"),
    [
        ("val_f1", ("val_loss, val_accuracy",)),
        ("val_accuracy_1", ("'val_accuracy'",)),
    ],
)
@pytest.mark.parametrize("split", [True, False])
def test_a_wrong_name_is_refused_before_the_first_epoch(monitor, parts, split, tmp_path):
    data = dict(validation_split=0.2, validation_data=None) if split else {}
    with refuses(f"monitor={monitor!r}", *parts) as caught:
        fit(
            network(),
            [*kzoo.callbacks.standard(tmp_path / "run", monitor=monitor), At(0, never)],
            **data,
        )
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_with_a_mode_the_name_is_checked_after_the_first_epoch():
    with refuses("monitor='val_acuracy'", "'val_accuracy'"):
        fit(network(), [*kzoo.callbacks.quick(monitor="val_acuracy", mode="max"), At(1, never)])


def test_missing_validation_data_is_reported_before_the_first_epoch(capsys):
    with refuses("monitor='val_accuracy'", "validation_data=", "'accuracy'"):
        fit(
            network(),
            [*kzoo.callbacks.quick(monitor="val_accuracy"), At(0, never)],
            validation_data=None,
        )
    printed = []
    listen = At(0, lambda model: printed.append(capsys.readouterr().err))
    bundle = kzoo.callbacks.quick(reduce_on_plateau=True)
    fit(network(), [*bundle, listen], validation_data=None, epochs=1)
    (message,) = printed
    assert message.count("\n") == 1
    assert_mentions(message, "val_loss", "validation", "loss")
    assert capsys.readouterr().err == ""
    fit(network(), [*bundle, listen], epochs=1)  # the same bundle, now with validation data
    assert printed[1] == ""


def test_names_of_metrics_are_recognised_for_every_way_to_compile():
    def f1(y, p):
        return keras.ops.mean(p)

    for metrics, monitor in (
        ([keras.metrics.SparseCategoricalAccuracy(name="A_1")], "val_A_1"),
        ([f1], "val_f1"),
        (["acc"], "val_acc"),
        ({"head": ["acc"]}, "acc"),
        ([keras.metrics.SparseCategoricalCrossentropy], "val_sparse_categorical_crossentropy"),
    ):
        mode = "max" if monitor == "val_A_1" else None
        bundle = kzoo.callbacks.quick(monitor=monitor, mode=mode)
        fit(
            network(metrics=metrics if isinstance(metrics, list) else metrics["head"]),
            bundle,
            epochs=1,
            batch_size=96,
        )
        assert best_epoch(bundle) is not None
    inputs = keras.Input((4,))
    outputs = [keras.layers.Dense(1, name=name)(inputs) for name in ("a", "b")]
    model = keras.Model(inputs, outputs)
    model.compile("adam", ["mse", "mse"], metrics=[["mae"], ["mae"]])
    x, y = np.ones((8, 4), "float32"), np.ones((8, 1), "float32")
    for monitor in ("b_mae", "val_a_loss"):
        bundle = kzoo.callbacks.quick(monitor=monitor, mode="min")
        model.fit(x, [y, y], validation_data=(x, [y, y]), callbacks=bundle, verbose=0)
        assert best_epoch(bundle) == 0
    with refuses("monitor='val_mae'", "val_a_mae"):
        model.fit(
            x,
            [y, y],
            validation_data=(x, [y, y]),
            callbacks=kzoo.callbacks.quick(monitor="val_mae"),
            verbose=0,
        )


def test_a_custom_model_may_report_other_metrics():
    class Own(keras.Sequential):
        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return super().compute_metrics(x, y, y_pred, sample_weight) | {
                "r2": keras.ops.mean(y_pred)
            }

    keras.utils.set_random_seed(0)
    model = Own([keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    bundle = kzoo.callbacks.quick(monitor="val_r2")
    fit(model, bundle, epochs=1)
    assert best_epoch(bundle) is not None
    with refuses("monitor='val_f1'", "val_r2"):
        fit(model, kzoo.callbacks.quick(monitor="val_f1"), epochs=2)


def test_epochs_without_validation_do_not_count_against_patience():
    bundle = kzoo.callbacks.quick(reduce_on_plateau=True, patience=3)
    history = fit(
        network(keras.optimizers.Adam(1e-2)), bundle, epochs=6, validation_freq=2, batch_size=96
    ).history
    assert (
        best_epoch(bundle) in (1, 3, 5)
        and best_epoch(bundle) == 2 * int(np.argmin(history["val_loss"])) + 1
    )


@pytest.mark.parametrize("name", ["quick", "long"])
def test_validation_less_often_than_patience(name, tmp_path, traced):
    """Epochs without validation must not count as epochs without improvement."""
    optimizer = keras.optimizers.Adam(0.5, use_ema=name == "long", ema_momentum=0.5)
    bundle = getattr(kzoo.callbacks, name)(tmp_path / "run", patience=2)
    history = fit(network(optimizer), bundle, epochs=60, validation_freq=3, batch_size=48).history
    epochs = len(history["loss"])
    values = history["val_loss"]
    assert epochs < 60 and epochs % 3 == 0 and len(values) - int(np.argmin(values)) - 1 == 2
    assert (
        best_epoch(bundle) == 3 * (int(np.argmin(values)) + 1) - 1
        and (tmp_path / "run" / "best.keras").exists()
    )


@pytest.mark.parametrize("name", ["quick", "long"])
def test_the_last_epoch_is_validated(name, tmp_path):
    model = network(keras.optimizers.Adam(0.05, use_ema=name == "long"))
    seen = Weights()
    bundle = getattr(kzoo.callbacks, name)(tmp_path / "run")
    history = fit(
        model, [*bundle, seen], epochs=3, validation_freq=5, batch_size=48, validation_batch_size=20
    ).history
    assert best_epoch(bundle) == 2 and len(history["loss"]) == 3 and len(history["val_loss"]) == 1
    scores = keras.models.load_model(tmp_path / "run" / "best.keras").evaluate(
        *VALIDATION, verbose=0, return_dict=True
    )
    reported = [history[f"val_{name}"][0] for name in ("loss", "accuracy")]
    np.testing.assert_allclose(reported, [scores["loss"], scores["accuracy"]], rtol=1e-5)
    assert same(seen.ends[-1], model.get_weights())
    assert "val_loss" in (tmp_path / "run" / "history.csv").read_text().splitlines()[0]


def test_patience_of_0_is_as_in_keras(traced):
    stops = keras.callbacks.EarlyStopping("val_loss", patience=0)
    theirs = fit(network(keras.optimizers.Adam(0.2)), [stops], epochs=40).history
    ours = fit(
        network(keras.optimizers.Adam(0.2)), kzoo.callbacks.quick(patience=0), epochs=40
    ).history
    assert 1 < len(ours["loss"]) == len(theirs["loss"]) < 40


def test_metrics_of_several_outputs_have_a_direction():
    inputs = keras.Input((4,))
    outputs = {
        name: keras.layers.Dense(3, "softmax", name=name)(inputs) for name in ("cls", "other_one")
    }
    model = keras.Model(inputs, outputs)
    model.compile(
        "adam",
        "sparse_categorical_crossentropy",
        metrics={"cls": ["accuracy"], "other_one": ["accuracy"]},
    )
    y = {name: Y[:96] for name in outputs}
    for monitor, sign in (("val_cls_accuracy", 1), ("val_other_one_loss", -1)):
        bundle = kzoo.callbacks.quick(monitor=monitor)
        model.fit(X[:96], y, validation_data=(X[:96], y), callbacks=bundle, verbose=0)
        assert (
            next(c for c in bundle if isinstance(c, BestModel)).sign == sign
            and best_epoch(bundle) is not None
        )
    with refuses("monitor='val_not_accuracy'", "mode='max'", "mode='min'"):
        fit(
            network(metrics=[keras.metrics.SparseCategoricalAccuracy(name="not_accuracy")]),
            kzoo.callbacks.quick(monitor="val_not_accuracy"),
        )


def test_two_ways_to_change_the_learning_rate_are_refused(tmp_path):
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 20)
    for callbacks, name in (
        (kzoo.callbacks.standard(tmp_path / "run", reduce_on_plateau=True), "reduce_on_plateau"),
        (
            [*kzoo.callbacks.quick(), keras.callbacks.LearningRateScheduler(lambda e: 0.1)],
            "LearningRateScheduler",
        ),
        ([keras.callbacks.ReduceLROnPlateau(), *kzoo.callbacks.quick()], "ReduceLROnPlateau"),
    ):
        for optimizer in (
            keras.optimizers.SGD(schedule),
            keras.optimizers.SGD(schedule, use_ema=True),
        ):
            with refuses(name, "schedule", "learning_rate"):
                fit(network(optimizer), [*callbacks, At(0, never)])
    assert not (tmp_path / "run").exists()
    both = [
        *kzoo.callbacks.quick(reduce_on_plateau=True),
        keras.callbacks.LearningRateScheduler(lambda e: 0.1),
    ]
    with refuses("reduce_on_plateau", "LearningRateScheduler"):
        fit(network(), [*both, At(0, never)])


def test_a_schedule_has_its_full_length_and_the_best_is_restored():
    for optimizer, epochs in (
        (keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.0, 100)), 5),
        (keras.optimizers.SGD(0.0), 3),
    ):
        bundle = kzoo.callbacks.quick(patience=2)
        assert len(fit(network(optimizer), bundle, epochs=5, batch_size=96).epoch) == epochs
        assert best_epoch(bundle) == 0


# ---------------------------------------------------------------- kzoo.train


def test_train_refuses_and_falls_back_before_it_writes(tmp_path, capsys):
    options = dict(out=tmp_path / "run", epochs=1, units=(4,), callbacks="quick")
    with refuses("monitor='val_accuracy'", "validation=0.1", "'accuracy'"):
        kzoo.train("iris_fnn", "iris", validation=0, monitor="val_accuracy", **options)
    rate = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)
    with refuses("LearningRateScheduler", "schedule", "learning_rate"):
        kzoo.train("iris_fnn", "iris", schedule="cosine", **options | dict(callbacks=[rate]))
    assert not (tmp_path / "run").exists()
    run = kzoo.train("iris_fnn", "iris", validation=0, **options)
    assert run.summary["monitor"] == run.config["spec"]["training"]["monitor"] == "loss"
    (line,) = [
        line for line in capsys.readouterr().err.splitlines() if re.search(r"\bval_loss\b", line)
    ]
    assert_mentions(line, "validation", "loss")


def test_train_monitors_a_custom_metric(tmp_path):
    def luck(y, p):
        return keras.ops.mean(p[:, 0])

    model = network(metrics=[luck])
    options = dict(epochs=2, callbacks="quick", progress=False, monitor="val_luck")
    with refuses("monitor='val_luck'", "mode='max'", "mode='min'"):
        kzoo.train(model, "iris", out=tmp_path / "run", **options)
    run = kzoo.train(model, "iris", out=tmp_path / "run", mode="max", **options)
    assert run.summary["best_value"] == pytest.approx(max(run.history["val_luck"]))
