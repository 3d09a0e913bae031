"""Search spaces: the preset is the default point, and every point can be built."""

import json
from dataclasses import replace

import keras
import keras_tuner
import numpy as np
import pytest
from messages import assert_mentions, refuses
from random_points import default_point, random_point
from test_presets import batch, small

import kzoo
from kzoo.tuning import spaces
from kzoo.tuning.spaces.entry import SIZES, Parameter
from kzoo.tuning.spaces.space import Space
from kzoo.zoo.registry import FAMILIES, resolve, with_settings
from kzoo.zoo.registry.family import builder_of

NAMES = [
    name for name in kzoo.list_presets() if not builder_of(kzoo.get_preset(name).family).closed_form
]
EACH_KIND = [
    "iris_fnn",
    "digits_cnn",
    "adding_rnn",
    "text_bilstm",
    "char_gru",
    "tabular_transformer",
]
COVERED = {kzoo.get_preset(name).family for name in EACH_KIND}
OTHERS = [
    name
    for family in FAMILIES
    if family not in COVERED
    for name in kzoo.list_presets(family=family)[:1]
    if name in NAMES
]


def tiny(name):
    """Return a preset with fewer of everything."""
    preset = kzoo.get_preset(name)
    return with_settings(preset, *resolve(preset, small(name)))


@pytest.mark.parametrize("name", NAMES)
def test_the_preset_is_the_default_point_of_every_size(name):
    for size in SIZES:
        space = kzoo.space(name, size)
        hp = default_point(space)
        assert hp.values == space.default()
        assert space.overrides(hp) == space.overrides({}) == {}
        assert [h.name for h in hp.space] == list(space.names)
        for parameter in hp.space:  # KerasTuner accepts a default outside its range
            if not isinstance(parameter, keras_tuner.engine.hyperparameters.Choice):
                assert parameter.min_value <= parameter.default <= parameter.max_value
    preset = kzoo.get_preset(name)
    # no layers to search
    few = 4 if preset.family in COVERED and not preset.config.get("log_ratios") else 2
    assert few <= len(kzoo.space(name, "quick").parameters) <= 6
    assert set(kzoo.space(name, "quick").names) - {"learning_rate"} < set(kzoo.space(name).names)
    assert set(kzoo.space(name).names) < set(kzoo.space(name, "full").names)
    assert "epochs" not in kzoo.space(name, "full").names


@pytest.mark.parametrize("name", NAMES)
def test_every_searched_value_has_an_effect(name):
    """The fault to prevent: a setting without effect because of the value of another."""
    preset = kzoo.get_preset(name)
    for space in (kzoo.space(name, "full"), *_other_spaces(name)):
        for parameter in space.parameters:
            if parameter.when is None:
                values = parameter.values or (parameter.low, parameter.high)
                changed = [space.overrides({parameter.name: value}) for value in values]
                assert any(changed), parameter.name
                for overrides in changed:
                    resolve(preset, overrides)  # refuses settings without effect


def _other_spaces(name):
    space = kzoo.space(name, "full")
    takes = kzoo.get_preset(name).config
    if "block" in takes and takes["inputs"] == "image":
        yield space.fix(block="residual", filters=(8, 16))
        yield space.fix(block="plain").fix(pool_size=1)
    if takes.get("dense_units"):
        yield space.fix(dense_units=())


def test_a_setting_that_a_fixed_setting_enables_can_be_fixed():
    space = kzoo.space("image_cnn", "full").fix(block="plain")
    assert space.overrides({}) == {"block": "plain"}
    assert space.fix(pool_size=3).overrides({}) == {"block": "plain", "pool_size": 3}
    with refuses("image_cnn", "pool_size", "block='plain'", "'residual'"):
        kzoo.space("image_cnn").fix(pool_size=3)
    # Plain stages have a number of pool_size each.
    stages = kzoo.space("mnist_cnn", "full").overrides({"stages": 4, "block": "residual"})
    assert "pool_size" not in stages and len(stages["filters"]) == 4


@pytest.mark.parametrize(
    "name",
    [
        name if name in EACH_KIND + OTHERS else pytest.param(name, marks=pytest.mark.slow)
        for name in NAMES
    ],
)
def test_the_default_point_builds_the_presets_network(name):
    """A preset of each family. The first test covers the default points of the others."""
    space = kzoo.space(name, "full")
    assert space.count_params(default_point(space)) == kzoo.get_preset(name).params
    keras.utils.clear_session(free_memory=False)


@pytest.mark.parametrize(
    "name", ["iris_fnn_wide", "cifar_cnn", "text_cnn", "imdb_lstm", "series_transformer"]
)
def test_random_points_build(name):
    space = kzoo.space(tiny(name), "full")
    for seed in range(6):
        assert space.count_params(random_point(space, seed)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_random_points_of_every_preset_build_and_one_trains_a_batch(name):
    preset = tiny(name)
    for size in SIZES:
        space = kzoo.space(preset, size)
        for seed in range(6):
            overrides = space.overrides(random_point(space, seed))
            model = kzoo.build(preset, **overrides | one_hot(overrides, preset))
            keras.utils.clear_session(free_memory=False)
    model.run_eagerly = True
    x, y = batch_for(name, model)
    assert np.isfinite(model.train_on_batch(x, y)[0]), overrides


def one_hot(overrides, preset):
    wanted = overrides.get("label_smoothing") and preset.config["outputs"] > 1
    return {"labels": "onehot"} if wanted else {}


def batch_for(name, model):
    x, y = batch(name, model)
    if kzoo.spec_of(model)["training"].get("labels") == "onehot":
        y = np.eye(model.output_shape[-1], dtype="float32")[y]
    return x, y


@pytest.mark.parametrize("name", EACH_KIND + OTHERS)
def test_a_random_point_of_every_family_trains_saves_and_opens_again(name, tmp_path):
    preset = tiny(name)
    space = kzoo.space(preset, "full")
    overrides = space.overrides(random_point(space, 1))
    assert len(overrides) > 5
    model = kzoo.build(preset, **overrides | one_hot(overrides, preset))
    model.run_eagerly = True
    x, y = batch_for(name, model)
    assert np.isfinite(model.train_on_batch(x, y)[0])
    model.save(tmp_path / "point.keras")
    again = keras.saving.load_model(tmp_path / "point.keras")
    again.run_eagerly = True
    assert np.abs(again.predict_on_batch(x) - model.predict_on_batch(x)).max() < 1e-6


@pytest.mark.parametrize("size", SIZES)
def test_a_parameter_can_be_stored_as_json(size):
    for name in EACH_KIND:
        for parameter in kzoo.space(name, size).parameters:
            data = json.loads(json.dumps(parameter.to_json()))
            assert Parameter.from_json(data) == replace(parameter, meaning="", alias="")


def test_every_special_space_belongs_to_a_family():
    assert spaces.FAMILIES - {"other"} <= set(FAMILIES)


def test_conditional_values_exist_only_while_their_condition_holds():
    space = kzoo.space("digits_cnn", "full")
    seen = set()
    for seed in range(30):
        values = random_point(space, seed).values
        seen.add(values["optimizer"])
        assert [n for n in values if n.startswith("learning_rate")] == [
            f"learning_rate_{values['optimizer']}"
        ]
        assert ("warmup" in values) == (values["schedule"] in ("cosine", "constant"))
    assert len(seen) > 3


def test_learning_rates_fit_their_optimizer():
    space = kzoo.space("digits_cnn")
    values = {"optimizer": "momentum", "learning_rate_momentum": 0.1, "learning_rate_adamw": 1e-3}
    assert space.overrides(values) == {"optimizer": "momentum", "learning_rate": 0.1}
    assert space.overrides({"optimizer": "momentum"}) == {
        "optimizer": "momentum",
        "learning_rate": 0.02,
    }
    assert kzoo.space("cifar_resnet").overrides({"optimizer": "adamw"})["learning_rate"] == 0.01
    assert (
        kzoo.space("digits_cnn", "quick").fix(optimizer="sgd").overrides({})["learning_rate"] == 0.2
    )


def test_the_settings_that_a_point_overrides():
    space = kzoo.space("cifar_cnn", "full")
    assert space.overrides({"filters_scale": 0.5, "stages": 2}) == {
        "filters": (16, 32),
        "dropout": (0.2, 0.3),
    }
    assert space.overrides({"stages": 4}) == {
        "filters": (32, 64, 128, 256),
        "dropout": (0.2, 0.3, 0.4, 0.4),
    }
    assert space.overrides({"dropout": 0.2})["dropout"] == pytest.approx((0.1, 0.15, 0.2))
    assert space.overrides({"schedule": "plateau"}) == {"schedule": "plateau", "warmup": 0.0}
    assert space.overrides({"norm": "none", "augment": "none"}) == {"norm": None, "augment": ()}
    # a 6 is no 9 mirrored
    assert kzoo.space("digits_cnn").overrides({"augment": "light"}) == {"augment": ("shift",)}
    assert kzoo.space("series_gru").overrides({"global_clipnorm": 0.0}) == {"global_clipnorm": None}
    full = kzoo.space("iris_fnn", "full")
    assert full.overrides({"layers": 3, "units_shape": "funnel"})["units"] == (64, 32, 16)
    assert full.overrides({"residual": "true"}) == {"residual": True, "units": (64, 64)}
    wide = kzoo.space("iris_fnn_wide")
    assert wide.overrides({"layers": 1}) == {"units": (128,), "dropout": (0.2,)}
    vit = kzoo.space("cifar_vit")
    assert vit.overrides({"width_scale": 0.25, "num_heads": 8}) == {
        "width": 32,
        "num_heads": 8,
        "intermediate_dim": 64,
    }


def test_a_stack_of_stages_never_outgrows_the_image():
    space = kzoo.space("mnist_cnn", "full")  # three valid convolutions on 28 pixels
    deepest = space.overrides({"stages": 3, "kernel_size": 7, "depth": 3})
    assert kzoo.build("mnist_cnn", compile=False, **deepest).count_params() > 0
    assert len(deepest["filters"]) < 3
    assert next(p for p in kzoo.space("digits_cnn").parameters if p.name == "stages").high == 3
    pooled = kzoo.space("cifar_speed", "full")  # 31 pixels behind its white patches
    (stages,) = (p for p in pooled.parameters if p.name == "stages")
    assert stages.high == 4 and kzoo.build(
        "cifar_speed", **pooled.overrides({"stages": 4, "filters_scale": 0.25})
    )
    with refuses(
        "cifar_speed",
        "1x1",
        "block5_pool",
        "filters",
        "pool_size",
        "padding='same'",
        error=ValueError,
    ):
        kzoo.build("cifar_speed", filters=(8,) * 5)


def test_fix_narrow_only_and_limit():
    space = kzoo.space("cifar_cnn").fix(optimizer="adamw").narrow(learning_rate=(1e-4, 3e-3))
    space = space.only("learning_rate", "dropout").limit(params=1e6)
    assert space.names == ("learning_rate", "dropout") and space.max_params == 1_000_000
    rate = default_point(space).space[0]
    assert (rate.min_value, rate.max_value, rate.default) == (1e-4, 3e-3, 2e-3)
    assert space.overrides({}) == {}
    fixed = kzoo.space("cifar_cnn").fix(filters=[8, 16, 32], stages=3, batch_size=7)
    assert {"filters_scale", "stages", "batch_size"}.isdisjoint(fixed.names)
    assert fixed.overrides({}) == {"filters": (8, 16, 32), "batch_size": 7}


def test_a_fixed_hyperparameter_that_is_no_setting_counts_in_every_point():
    space = kzoo.space("iris_fnn").fix(layers=3, units_scale=0.5)
    assert {"layers", "units_scale"}.isdisjoint(space.names)
    assert space.overrides({}) == {"units": (32, 16, 16)}


def test_a_narrowed_space_without_the_preset_begins_at_its_nearest_value():
    space = kzoo.space("cifar_cnn", "quick").narrow(
        learning_rate=(1e-4, 1e-3), batch_size=[32, 128], dropout=(0.5, 0.6)
    )
    assert space.default() == {
        "learning_rate": 1e-3,
        "batch_size": 32,
        "filters_scale": 1.0,
        "dropout": 0.5,
        "units_dropout": 0.5,
    }
    overrides = space.overrides(default_point(space))
    assert overrides == {
        "learning_rate": 1e-3,
        "batch_size": 32,
        "dropout": pytest.approx((0.25, 0.375, 0.5)),
    }


def test_finite_size_is_the_number_of_points():
    assert kzoo.space("iris_fnn").finite_size() is None
    two = kzoo.space("iris_fnn").only("optimizer", "learning_rate", "schedule", "warmup")
    assert two.finite_size() is None
    rates = {f"learning_rate_{name}": [0.01] for name in ("adam", "momentum", "rmsprop")}
    rates["learning_rate_momentum"] = [0.01, 0.02]
    assert two.narrow(**rates).finite_size() == (1 + 2 + 1) * (3 + 3 + 1)  # plateau has no warm-up
    assert kzoo.space("iris_fnn", "quick").only("batch_size", "layers").finite_size() == 3 * 3


@pytest.mark.parametrize("name", EACH_KIND)
def test_json_round_trip(name):
    space = (
        kzoo.space(name, "full")
        .narrow(batch_size=[32, 64], dropout=(0.1, 0.4))
        .fix(learning_rate=1e-3)
    )
    space = space.limit(params=1e5)
    data = json.loads(json.dumps(space.to_json()))
    again = Space.from_json(data)
    assert again.to_json() == space.to_json() == data
    assert again.parameters == space.parameters and str(again) == str(space)
    point = random_point(space, 5)
    assert again.overrides(point) == space.overrides(point.values)
    assert Space.from_json(data).only("batch_size").to_json() != data


def test_the_table_lists_every_hyperparameter():
    text = str(kzoo.space("iris_fnn").fix(l2=0.0).limit(params=1e4))
    lines = text.splitlines()
    assert_mentions(lines[0], "iris_fnn", "standard", "14 hyperparameters")
    assert lines[1].split() == ["name", "values", "default", "meaning"]
    assert [line.split()[0] for line in lines[2:16]] == list(
        kzoo.space("iris_fnn").fix(l2=0.0).names
    )
    (warmup,) = (line for line in lines if line.split()[0] == "warmup")
    assert_mentions(warmup, "schedule", "constant", "cosine")
    assert_mentions(lines[-2], "l2=0.0")
    assert_mentions(lines[-1], "10,000 parameters")
    assert len(lines) == 2 + 14 + 2


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda s: kzoo.space("digits_cn"), ("'digits_cn'", "'digits_cnn'")),
        (
            lambda s: kzoo.space("digits_cnn", "quik"),
            ("size", "'quik'", "'quick'", "quick, standard, full"),
        ),
        (
            lambda s: s.narrow(learning_rat=(1, 2)),
            ("'learning_rat'", "digits_cnn", "'standard'", "'learning_rate'"),
        ),
        (lambda s: s.narrow(units_scale=(1, 2)), ("'units_scale'", "size='full'")),
        (lambda s: s.narrow(dropout=(0.4, 0.1)), ("narrow(dropout=(0.4, 0.1))", "smaller")),
        (lambda s: s.narrow(dropout=()), ("narrow(dropout=())", "range", "list", "0 to 0.6")),
        (lambda s: s.narrow(dropout=[]), ("narrow(dropout=[])", "range", "list", "0 to 0.6")),
        (lambda s: s.narrow(dropout=0.3), ("narrow(dropout=0.3)", "range", "list", "0 to 0.6")),
        (lambda s: s.narrow(dropout=(0.1, 0.95)), ("dropout=0.95", "0 to 0.6", ".fix()")),
        (lambda s: s.narrow(dropout=(0.1, float("nan"))), ("dropout=nan", "0 to 0.6", ".fix()")),
        (
            lambda s: s.narrow(batch_size=(50, 60)),
            ("narrow(batch_size=(50, 60))", "8, 16, 32, 64, 128"),
        ),
        (lambda s: s.narrow(batch_size=[50]), ("batch_size=50", "8, 16, 32, 64, 128", ".fix()")),
        (lambda s: s.narrow(stages=[1.5]), ("stages=1.5", "1 to 3")),
        (
            lambda s: s.narrow(optimizer=["adamx"]),
            ("optimizer='adamx'", "adamw, momentum, rmsprop", "'adamw'"),
        ),
        (
            lambda s: s.narrow(optimizer=(1, 2)),
            ("optimizer", "range", "narrow(optimizer=[...])", "adamw, momentum, rmsprop"),
        ),
        (
            lambda s: s.narrow(learning_rate=(1e-4, 1e-3)),
            ("learning_rate_momentum=0.0001", "0.000667 to 0.2", "log", ".fix(optimizer=...)"),
        ),
        (lambda s: s.fix(dropout=0.1).narrow(dropout=(0, 0.1)), ("dropout", "fixed", "0.1")),
        (lambda s: s.fix(stages=2).fix(stages=1), ("stages", "fixed", "2")),
        (lambda s: s.fix(stages=9), ("stages=9", "1 to 3")),
        (lambda s: s.fix(dropout=1.5), ("dropout=1.5", "0", "1")),
        (lambda s: s.fix(optimiser="sgd"), ("'optimiser'", "digits_cnn", "'optimizer'", "fix()")),
        (
            lambda s: s.fix(optimizer="sdg"),
            ("optimizer='sdg'", "adam, adamw, sgd, momentum, rmsprop"),
        ),
        (lambda s: s.only("dropot"), ("'dropot'", "digits_cnn", "'standard'", "'dropout'")),
        (lambda s: s.only(), ("only()", "name", "optimizer, learning_rate, batch_size")),
        (
            lambda s: s.only("dropout").only("batch_size"),
            ("'batch_size'", "only()", "fix()", "dropout"),
        ),
        (lambda s: s.limit(params=0), ("limit(params=0)", "parameters", "1")),
        (lambda s: s.limit(params="1M"), ("limit(params='1M')", "parameters", "1")),
        (lambda s: s.limit(params=True), ("limit(params=True)", "parameters", "1")),
    ],
)
def test_bad_input_is_refused_on_a_single_line(call, parts):
    with refuses(*parts) as caught:
        call(kzoo.space("digits_cnn"))
    assert "\n" not in str(caught.value)


def custom_preset(family="fnn", config=None, training=None):
    return kzoo.Preset(
        name="mine",
        family=family,
        task="tabular_classification",
        summary="Mine.",
        config=dict(inputs="rows", input_shape=(3,), outputs=2) | (config or {}),
        training=training or {},
    )


def test_a_custom_preset_may_lack_any_setting():
    bare = kzoo.space(custom_preset(), "full")
    assert {"units_scale", "learning_rate_adam", "ema"} <= set(bare.names) and bare.overrides(
        {}
    ) == {}
    config = dict(units=(7, 5), dropout=(0.0, 0.0))
    some = kzoo.space(custom_preset(config=config, training=dict(learning_rate=1 / 3000)), "full")
    assert some.overrides(default_point(some)) == {}
    assert some.overrides({"dropout": 0.1, "layers": 3})["dropout"] == (0.1, 0.1, 0.1)
    linear = kzoo.space(custom_preset(config=dict(units=())))
    assert "layers" not in linear.names and "units_scale" not in linear.names


def test_the_space_of_a_custom_family_has_the_settings_of_its_presets(monkeypatch):
    monkeypatch.setitem(FAMILIES, "mine", ("kzoo.zoo.families.fnn", {}))
    space = kzoo.space(
        custom_preset("mine", dict(units=(8,), dropout=0.1, norm=None), dict(batch_size=16))
    )
    assert {"units_scale", "layers", "dropout", "norm", "batch_size"} <= set(space.names)
    assert (
        kzoo.build(
            space.preset, compile=False, **space.overrides(random_point(space, 2))
        ).count_params()
        > 0
    )


def test_a_space_adapts_to_a_preset_whose_head_follows_the_data():
    space = kzoo.space("tabular_fnn", "full").narrow(batch_size=[32, 64]).fix(norm=None)
    assert "label_smoothing" in space.names
    preset = kzoo.Preset(
        name="tabular_fnn",
        family="fnn",
        task="tabular_regression",
        summary="",
        config=dict(space.preset.config)
        | dict(outputs=1, input_shape=(9,), output_activation=None),
        training=dict(space.preset.training) | dict(loss="mse", metrics=("mae",)),
    )
    values = space.for_preset(preset)
    assert "label_smoothing" not in values.names
    assert next(p for p in values.parameters if p.name == "batch_size").values == (32, 64)
    assert values.overrides({}) == {"norm": None}
    assert values.count_params({"layers": 1}) == 10 * 128 + 129
