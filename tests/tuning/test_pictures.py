"""What `Search.plot` and `Search.save_preset` make of a search."""

import random
import tomllib
from dataclasses import replace

import matplotlib.figure
import numpy as np
import pytest
from made_search import ACCURACY, LOSS, make_search

import kzoo
from kzoo.tuning import importance
from kzoo.tuning.importance import importance_of
from kzoo.tuning.records import Trial
from kzoo.tuning.spaces.entry import Parameter


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    return make_search(tmp_path_factory.mktemp("made") / "search", 40)


@pytest.fixture(autouse=True, scope="module")
def _fewer_random_splits():
    """A measurement is of ten, each as dear as the others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importance, "REPEATS", 2)
        yield


@pytest.mark.parametrize("kind", ["history", "curves", "importance"])
def test_every_kind_is_a_figure(search, kind, tmp_path):
    figure = search.plot(kind)
    assert isinstance(figure, matplotlib.figure.Figure)
    figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_an_unknown_kind_is_refused_with_the_nearest(search):
    with pytest.raises(kzoo.KzooError, match="Did you mean 'importance'"):
        search.plot("importances")


# ---------------------------------------------------------------- importance


def test_what_decided_comes_first_and_the_rates_of_the_optimizers_are_one(search):
    found = importance_of(search.trials, search.objective, search.parameters)
    scored = [t for t in search.trials if t["score"] is not None]
    assert found.trials == len(scored) < 40 and found.r2 > 0.2
    assert {row.name for row in found.rows[:2]} == {"learning_rate", "units_scale"}
    names = {row.name for row in found.rows} | {name for name, _ in found.left_out}
    assert not any(name.startswith("learning_rate_") for name in names)
    warmup = next(row for row in found.rows if row.name == "warmup")
    assert warmup.trials == sum("warmup" in t["hyperparameters"] for t in scored) < len(scored)
    assert importance_of(search.trials, search.objective, search.parameters) == found


def test_of_a_loss_the_same_is_found(tmp_path):
    search = make_search(tmp_path / "loss", 40, objective=LOSS)
    rows = importance_of(search.trials, LOSS, search.parameters).rows
    assert {row.name for row in rows[:2]} == {"learning_rate", "units_scale"}


def many(count, score, seed=0):
    """Trials in which `momentum` counts for one of two optimizers only."""
    draw, trials = random.Random(seed), []
    for number in range(count):
        values = dict(optimizer=draw.choice(["adam", "sgd"]), size=draw.uniform(1, 9))
        if values["optimizer"] == "sgd":
            values["momentum"] = draw.uniform(0.5, 0.9)
        ended = dict(status="completed", score=score(values, draw), hyperparameters=values)
        trials.append(Trial(number=number, overrides={}, baseline=False, seed=0, **ended))
    return trials


SPACE = [
    Parameter(name="optimizer", meaning="", default="adam", values=("adam", "sgd")),
    Parameter(name="momentum", meaning="", default=0.7, low=0.5, high=0.9, when=("optimizer", ("sgd",))),
    Parameter(name="size", meaning="", default=5, low=1, high=9),
]


def test_momentum_does_not_take_the_credit_of_the_optimizer():
    """With its default filled in where it does not count, it was given 0.43 that belonged to the optimizer."""
    trials = many(100, lambda v, draw: (v["optimizer"] == "adam") + draw.gauss(0, 0.05))
    rows = {row.name: row for row in importance_of(trials, ACCURACY, SPACE).rows}
    assert rows["optimizer"].mean > 0.8
    assert rows["momentum"].mean < 0.2 and rows["momentum"].trials < 100


def test_momentum_has_its_own_credit():
    trials = many(60, lambda v, draw: v.get("momentum", 0.7) + draw.gauss(0, 0.01))
    rows = {row.name: row for row in importance_of(trials, ACCURACY, SPACE).rows}
    assert rows["momentum"].mean > 0.5 and rows["momentum"].r2 > 0.5 and rows["size"].mean < 0.2


def test_noise_is_no_importance():
    found = importance_of(many(40, lambda v, draw: draw.random()), ACCURACY, SPACE)
    assert found.r2 < 0 and all(row.mean < 0.3 for row in found.rows)


def test_below_fifteen_trials_with_a_score_it_is_refused(tmp_path):
    search = make_search(tmp_path / "few", 16)  # some of which have none
    assert 10 < sum(t["score"] is not None for t in search.trials) < 15
    with pytest.raises(kzoo.KzooError, match=r"at least 15 finished trials, and there are 1[0-4]") as caught:
        search.plot("importance")
    assert "\n" not in str(caught.value)
    few = many(15, lambda v, draw: v["size"])
    assert importance_of(few, ACCURACY, SPACE).trials == 15
    assert ("momentum", "counted in") in {(n, why[:10]) for n, why in importance_of(few, ACCURACY, SPACE).left_out}


def test_what_never_varied_is_left_out_and_equal_scores_are_refused():
    trials = [
        replace(t, hyperparameters=t.hyperparameters | {"size": 3}) for t in many(30, lambda v, draw: draw.random())
    ]
    assert ("size", "one value only") in importance_of(trials, ACCURACY, SPACE).left_out
    with pytest.raises(kzoo.KzooError, match="same score"):
        importance_of(many(20, lambda v, draw: 1.0), ACCURACY, SPACE)


def test_hyperbands_rounds_of_a_point_count_once():
    trials = many(20, lambda v, draw: draw.random())
    again = [replace(t, number=20 + i, score=t.score + 0.1) for i, t in enumerate(trials[:6])]
    assert importance_of(trials + again, ACCURACY, SPACE).trials == 20


# ---------------------------------------------------------------- save_preset


def test_the_winner_becomes_a_preset_that_others_can_load(search, tmp_path, registry_as_it_was):
    file = search.save_preset("tuned_iris", tmp_path / "mine.toml")
    kzoo.load_presets(file)
    preset, spec = kzoo.get_preset("tuned_iris"), search.best_spec()
    assert (preset.family, preset.task, preset.dataset) == ("fnn", "tabular_classification", "iris")
    assert preset.config == spec["config"] and preset.training == spec["training"] | {"labels": "onehot"}
    assert spec["training"]["label_smoothing"] > 0  # which kzoo.build refuses with integer labels
    model = kzoo.build("tuned_iris")
    assert preset.params == model.count_params() == kzoo.build("iris_fnn", **search.best_config()).count_params()
    assert preset.params != kzoo.get_preset("iris_fnn").params
    assert f"{search.best_trial()['score']:.4g}, the best of 40 trials" in preset.summary
    for a, b in zip(model.get_weights(), kzoo.build("tuned_iris").get_weights(), strict=True):
        assert np.shape(a) == np.shape(b)


def test_its_place_is_the_searchs_folder(search):
    file = search.save_preset("place_iris")
    assert file == search.path / "place_iris.toml" and list(tomllib.loads(file.read_text())) == ["place_iris"]
    file.unlink()


@pytest.mark.parametrize(
    ("name", "path", "says"),
    [
        ("iris_fnn", None, "'iris_fnn' is there already"),
        ("no good", None, "letters, digits and underscores"),
        (7, None, "letters, digits and underscores"),
        ("new_iris", "x.yaml", "must end in .toml"),
        ("new_iris", "nowhere/x.toml", "there is no folder 'nowhere'"),
        ("new_iris", "taken.toml", "taken.toml is there already"),
    ],
)
def test_a_preset_that_cannot_be_saved_is_one_line(search, tmp_path, name, path, says):
    (tmp_path / "taken.toml").write_text("x = 1\n")
    with pytest.raises(kzoo.KzooError, match=says) as caught:
        search.save_preset(name, path)
    assert "\n" not in str(caught.value)
    assert not (search.path / f"{name}.toml").exists() and (tmp_path / "taken.toml").read_text() == "x = 1\n"


def test_without_a_winner_there_is_no_preset(tmp_path):
    search = make_search(tmp_path / "lost", 4, status=lambda number: "diverged")
    with pytest.raises(kzoo.KzooError, match="no trial with a score"):
        search.save_preset("lost_iris")
