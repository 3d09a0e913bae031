"""The statistics of `kzoo.tune("auto")`: differences, ties, weights of a mean, and parts of the rows."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import quad
from sklearn.metrics import f1_score, log_loss, r2_score

import kzoo
from kzoo.auto.auto import _seconds_used
from kzoo.auto.candidates import Candidate
from kzoo.auto.choice import Difference, choose, mean_difference
from kzoo.auto.conclusion import Conclusion
from kzoo.auto.contender import Contender
from kzoo.auto.cross_fit import answers_of_choice
from kzoo.auto.mean import cross_fitted, fitted_weights, loss_of
from kzoo.auto.measured_leads import _LEADS
from kzoo.auto.model import Model
from kzoo.auto.parts import Parts
from kzoo.auto.scoring import Answers, PrimaryScore, baseline_answers
from kzoo.auto.statement import lead_over
from kzoo.auto.trainer import NO_TIME, Trainer, _cut
from kzoo.data.options import DataOptions
from kzoo.problems.tasks import problems
from kzoo.utils.argument_checks import seconds_like


def test_the_error_of_a_mean_difference_is_that_of_a_paired_test():
    gains = np.random.default_rng(0).normal(0.1, 1, 50)
    difference = mean_difference(gains, np.arange(50))
    assert difference.mean == pytest.approx(gains.mean())
    assert difference.error == pytest.approx(stats.sem(gains))
    # Rows that repeat one another are one observation: each counts twice, and the error stays the same.
    doubled = mean_difference(np.repeat(gains, 2), np.repeat(np.arange(50), 2))
    assert doubled.error == pytest.approx(stats.sem(gains))


def test_the_interval_is_corrected_for_shared_training_rows():
    plain = Difference(mean=0.1, error=0.04)
    # Nadeau and Bengio: 1 / J + n2 / n1 instead of 1 / J
    corrected = plain.corrected(folds=5, judged_share=1 / 4)
    assert corrected.error == pytest.approx(0.04 * np.sqrt((1 / 5 + 1 / 4) / (1 / 5)))
    low, high = plain.interval(0.95)
    assert (low, high) == pytest.approx(stats.norm.interval(0.95, 0.1, 0.04))
    assert plain.interval(0.95)[0] > 0 > Difference(mean=0.1, error=0.06).interval(0.95)[0]


def test_the_simplest_that_ties_with_the_best_is_chosen():
    scores = {0: 0.80, 1: 0.79, 2: 0.81, 3: 0.82}
    complexity = {0: 0, 1: 0, 2: 1, 3: 2}

    def difference(error):
        return lambda first, second: Difference(mean=scores[first] - scores[second], error=error)

    assert choose(scores, complexity, difference(0.001)) == (3, 3)  # each lead is clear
    assert choose(scores, complexity, difference(0.015)) == (2, 3)  # that over 2 is not
    assert choose(scores, complexity, difference(0.03)) == (0, 3)  # the better of two baselines
    assert choose({0: 0.9, 3: 0.8}, complexity, difference(0.001)) == (0, 0)


def conclusion(task, rows, **options):
    """Return the conclusion of a search of some data, whose models have answers for two or more folds."""
    data = SimpleNamespace(task=task, problem=problems()[task], target=None)
    schedule = SimpleNamespace(
        folder=None,
        data=data,
        parts=SimpleNamespace(rows=rows, folds=5),
        score=SimpleNamespace(metric="accuracy", sign=1),
        **options,
    )
    return Conclusion(schedule, None, None, 0)


def model(*names):
    baselines = kzoo.baselines.list_baselines()
    known = {baseline.name for baseline in baselines}
    contenders = [
        Contender(Candidate(name=name, label=name, is_baseline=name in known), None)
        for name in names
    ]
    return Model(contenders, np.ones(len(names)) / len(names), {})


@pytest.mark.parametrize("error", [0.05, 0.005])
@pytest.mark.parametrize(
    ("task", "rows", "names", "wins_ties"),
    [
        ("text_classification", 270, ["text_pretrained"], True),
        ("text_classification", 270, ["text_ngrams"], False),
        ("tabular_classification", 200, ["tabular_tabm"], False),
        ("tabular_classification", 200, ["logistic", "tabular_tabm"], True),
        ("tabular_classification", 30_000, ["logistic", "tabular_tabm"], False),
    ],
)
def test_closed_form_and_means_of_small_tables_win_ties_and_nothing_overturns_a_difference(
    monkeypatch, task, rows, names, wins_ties, error
):
    models = [model("logistic"), model(*names)]

    def chosen(lead):
        scores = {0: 0.60, 1: 0.60 + lead}
        found = conclusion(task, rows, difference=None)
        monkeypatch.setattr(found, "_scores", lambda _: scores)
        gains = Difference(mean=lead, error=error)
        monkeypatch.setattr(
            found,
            "_difference",
            lambda first, _: gains if first is models[1] else replace(gains, mean=-lead),
        )
        return found.choice(models, [0, 1], found._degrees(models))[0]

    assert chosen(0.01) == (1 if wins_ties or error < 0.01 else 0)
    assert chosen(0.2) == 1 and chosen(-0.2) == 0
    assert chosen(-0.01) == (1 if wins_ties and error > 0.01 else 0)


def test_the_probability_of_a_measured_lead_is_that_of_students_prediction():
    for lead in _LEADS:
        assert lead.sets >= 8 and lead.probability > 0.5
        # the difference of another set and the mean has the variance s^2 (1 + 1 / n)
        t = lead.mean / (lead.deviation * np.sqrt(1 + 1 / lead.sets))
        density, _ = quad(stats.t(lead.sets - 1).pdf, -np.inf, t)
        assert lead.probability == pytest.approx(density, abs=1e-6)


def test_a_choice_by_other_folds_has_no_lead_by_chance():
    """The best of 40 guesses is ahead of one on the rows that it was chosen on, and not on others."""
    rng = np.random.default_rng(0)
    rows = np.arange(100)
    truth = rng.integers(2, size=100)
    folds = np.array_split(rng.permutation(100), 5)
    guesses = [rng.integers(2, size=100) for _ in range(40)]

    def judged(guess, division=0):
        return {
            5 * division + fold: answers(np.eye(2)[guess[i]], truth[i], i)
            for fold, i in enumerate(folds)
        }

    def right(model):
        return np.mean(
            np.concatenate([part.outputs.argmax(1) == part.truth for part in model.values()])
        )

    def best(models):
        assert all(set(model) <= set(range(5)) for model in models)
        return int(np.argmax([right(model) for model in models]))

    models = [judged(guess) for guess in guesses]
    best_of_all = max(np.mean(guess == truth) for guess in guesses)
    chosen = answers_of_choice(models, 5, best)
    expected = np.empty(100)
    for i in folds:
        others = np.setdiff1d(rows, i)
        guess = max(guesses, key=lambda guess: np.mean(guess[others] == truth[others]))
        expected[i] = guess[i] == truth[i]
    assert chosen.keys() == models[0].keys()
    assert right(chosen) == pytest.approx(expected.mean())
    assert expected.mean() < best_of_all - 0.05
    # of each division, and of the halves of a single part
    twice = [judged(guess) | judged(guess, 1) for guess in guesses]
    assert right(answers_of_choice(twice, 5, best)) == pytest.approx(expected.mean())
    single = [{0: answers(np.eye(2)[guess], truth, rows)} for guess in guesses]
    (halves,) = answers_of_choice(single, 1, best).values()
    expected = np.empty(100)
    for i, others in ((rows[:50], rows[50:]), (rows[50:], rows[:50])):
        guess = max(guesses, key=lambda guess: np.mean(guess[others] == truth[others]))
        expected[i] = guess[i] == truth[i]
    assert np.array_equal(halves.outputs.argmax(1) == halves.truth, expected)


def classes(count=300, seed=0):
    """Return a data set of three classes, truth, and probabilities of a good and of a useless model."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4)).astype("float32")
    truth = rng.integers(3, size=count)
    data = kzoo.load_data((x, truth), test=0.0)
    good = rng.dirichlet([1, 1, 1], count) * 0.5
    good[np.arange(count), truth] += 0.5
    return data, truth, good, rng.dirichlet([1, 1, 1], count)


def answers(outputs, truth, rows=None, weight=None):
    rows = np.arange(len(truth)) if rows is None else rows
    return Answers(outputs=np.asarray(outputs, np.float32), truth=truth, rows=rows, weight=weight)


def test_the_loss_of_a_mean_and_its_weights():
    data, truth, good, useless = classes()
    weight = np.linspace(0.5, 2, len(truth))
    assert loss_of(data, truth, weight)(good) == pytest.approx(
        log_loss(truth, good, labels=[0, 1, 2], sample_weight=weight), rel=1e-4
    )
    half, other = np.split(np.arange(len(truth)), 2)
    parts = [[answers(p[i], truth[i], i) for i in (half, other)] for p in (useless, good)]
    weights = fitted_weights(parts, data)
    assert weights.sum() == pytest.approx(1) and weights[1] > 0.8
    mean = cross_fitted(parts, data)
    assert [list(part.rows) for part in mean] == [list(half), list(other)]
    single = cross_fitted([[Answers.together(member)] for member in parts], data)
    assert len(single) == 1 and np.allclose(
        single[0].outputs, np.concatenate([part.outputs for part in mean])
    )


def test_scores_and_differences_are_those_of_scikit_learn():
    data, truth, good, useless = classes()
    score = PrimaryScore(data)
    assert score.metric == "accuracy" and score.sign == 1
    assert score.value(answers(good, truth)) == pytest.approx((good.argmax(1) == truth).mean())
    difference = score.difference(
        [answers(good, truth)], [answers(useless, truth)], np.arange(len(truth))
    )
    gains = (good.argmax(1) == truth).astype(float) - (useless.argmax(1) == truth)
    assert (difference.mean, difference.error) == pytest.approx((gains.mean(), stats.sem(gains)))
    with pytest.raises(kzoo.KzooError, match="objective='r3' is not available"):
        PrimaryScore(data, "r3").value(answers(good, truth))
    # Values: a difference of R2 is one of mean squared errors.
    rng = np.random.default_rng(1)
    y = rng.normal(size=(200, 1)).astype("float32")
    data = kzoo.load_data((rng.normal(size=(200, 3)).astype("float32"), y), test=0.0)
    first = y + rng.normal(0, 0.3, y.shape)
    second = y + rng.normal(0, 0.6, y.shape)
    difference = PrimaryScore(data).difference(
        [answers(first, y)], [answers(second, y)], np.arange(200)
    )
    assert difference.mean == pytest.approx(r2_score(y, first) - r2_score(y, second), abs=1e-5)


def test_a_lead_is_stated_only_if_its_interval_is_on_one_side_of_zero():
    score = PrimaryScore(classes()[0])
    stated = {
        mean: lead_over("trees", score, Difference(mean=mean, error=0.01))
        for mean in (0.03, -0.03, 0.01)
    }
    assert stated == {
        0.03: "3.0 points (1.0 to 5.0) ahead of trees",
        -0.03: "3.0 points (1.0 to 5.0) behind trees",
        0.01: "no clear lead over trees, 1.0 points (-1.0 to 3.0),",
    }


def test_the_difference_of_labels_counts_their_f1():
    rng = np.random.default_rng(2)
    truth = rng.integers(2, size=(400, 3))
    x = rng.normal(size=(400, 3)).astype("float32")
    data = kzoo.load_data((x, truth), test=0.0, task="tabular_multilabel_classification")
    truth = truth.astype(float)
    good = np.clip(truth * 0.5 + rng.uniform(0, 0.5, truth.shape), 0, 1)
    bad = rng.uniform(0, 1, truth.shape)
    score = PrimaryScore(data)
    target = data.target
    difference = score.difference(
        [answers(good, truth)], [answers(bad, truth)], np.arange(400), targets=(target, target)
    )
    expected = [f1_score(truth, p >= 0.5, average="macro") for p in (good, bad)]
    assert score.metric == "f1_macro" and difference.mean == pytest.approx(
        expected[0] - expected[1]
    )
    draws = []
    for _ in range(300):
        i = rng.integers(400, size=400)
        draws.append(
            f1_score(truth[i], good[i] >= 0.5, average="macro")
            - f1_score(truth[i], bad[i] >= 0.5, average="macro")
        )
    assert difference.error == pytest.approx(np.std(draws), rel=0.3)


def test_a_baseline_whose_scores_are_no_probabilities_is_judged_by_its_labels(tmp_path):
    words = {"good": "fine great happy bright", "bad": "poor dull sad grim"}
    rng = np.random.default_rng(0)
    rows = [
        (" ".join(rng.choice(words[mood].split(), 3)), mood)
        for mood in rng.permutation(["good", "bad"] * 30)
    ]
    frame = pd.DataFrame(rows, columns=["text", "mood"])
    options = DataOptions(target="mood")
    preset = kzoo.get_preset("text_ngrams")
    data = kzoo.load_data(frame, target="mood", preset=preset)
    trainer = Trainer(
        preset=preset, source=frame, options=options, parts=Parts.of(data, 3, seed=0), seed=0
    )
    fitted = trainer.train(
        folder=tmp_path, preset=None, baseline="nbsvm", overrides={}, part=0, seconds=30.0
    )
    judged = Answers.read(tmp_path / "part-01")
    assert (
        not fitted.has_network
        and not judged.is_probability
        and judged.outputs.shape == (len(judged.truth), 2)
    )
    assert (
        PrimaryScore(data).value(judged) == (judged.outputs.argmax(1) == judged.truth).mean() > 0.9
    )
    with pytest.raises(kzoo.KzooError, match="objective='loss' is not available"):
        PrimaryScore(data, "loss").value(judged)
    # Its test rows are judged in the same way.
    of_test = baseline_answers(kzoo.baselines.fit(data, "nbsvm"), data.test)
    assert of_test.outputs.shape == (len(data.test), 2)
    assert (
        PrimaryScore(data).value(of_test)
        == (of_test.outputs.argmax(1) == np.asarray(data.test.y)).mean()
        > 0.9
    )


def keys(split):
    return {row.tobytes() for row in np.asarray(split.x[:])}


def test_parts_judge_each_row_once_and_never_a_test_row():
    data = kzoo.load_data("breast_cancer")
    parts = Parts.of(data, 5, seed=3)
    assert parts.folds == 5 and parts.rows == len(data.train) + len(data.validation)
    judged = []
    test = keys(data.test)
    for number in range(5):
        part = parts.part(data, number)
        assert not keys(part.test) & (keys(part.train) | keys(part.validation))
        assert not keys(part.train) & keys(part.validation)
        assert not test & (keys(part.test) | keys(part.train) | keys(part.validation))
        judged.append(part.test.rows)
        share = np.mean(part.test.y)
        assert share == pytest.approx(np.mean(data.train.y), abs=0.03)  # stratified
    assert sorted(np.concatenate(judged)) == list(range(parts.rows))
    again, repeat = parts.part(data, 0), parts.part(data, 5)  # the first part of a second division
    assert list(again.test.rows) == list(judged[0]) and list(repeat.test.rows) != list(judged[0])
    assert len({parts.part(data, number).fingerprint for number in range(6)}) == 6


@pytest.mark.parametrize("each", [2, 5])
def test_few_rows_of_many_classes_are_divided(each):
    frame = pd.DataFrame({"x": np.arange(10.0 * each), "label": list("abcdefghij") * each})
    data = kzoo.load_data(frame, target="label", test=0.2)
    parts = Parts.of(data, 3, seed=0)
    # judged on the validation split if all classes have too few rows
    assert parts.folds == (1 if each == 2 else 3)
    part = parts.part(data, 0)
    assert len(part.train) > len(part.validation) > 0 and len(part.test) > 0
    assert not keys(part.train) & keys(part.validation)
    # A rare class is no reason against folds of few rows.
    rare = pd.concat([frame, pd.DataFrame({"x": [-1.0, -2.0], "label": ["rare"] * 2})])
    assert Parts.of(kzoo.load_data(rare, target="label", test=0.2), 3, seed=0).folds == parts.folds


def test_rows_in_order_of_time_are_judged_on_the_validation_split():
    data = kzoo.load_data("sine", preset="series_linear")
    parts = Parts.of(data, 5, seed=0)
    assert parts.folds == 1 and "order of time" in parts.reason
    part = parts.part(data, 0)
    assert keys(part.test) == keys(data.validation)
    # No training target reaches into the targets on which networks stop.
    assert part.train.y.moments.max() + part.train.y.length <= part.validation.y.moments.min()


def contender(name, status="completed", *, error="", cut="", parts=3, is_baseline=False):
    trial = SimpleNamespace(status=status, error=error)
    fitted = Contender(Candidate(name=name, label=name, is_baseline=is_baseline), trial, cut=cut)
    fitted.answers.update(dict.fromkeys(range(parts)))
    return fitted


def test_the_verdict_names_networks_that_had_too_little_time():
    contenders = [
        contender("logistic", "failed", error=NO_TIME, is_baseline=True),
        contender("tabular_fnn"),
        contender("tabular_tabm", cut="1 of 200 epochs"),
        contender("tabular_cnn", "pruned", parts=1),
        contender("tabular_resnet", parts=2),
        contender("tabular_mlp", "failed", error=f"{NO_TIME}: none was left", parts=0),
        contender("tabular_rnn", "failed", error="it reads other rows", parts=0),
        contender("tabular_transformer"),
    ]
    contenders[-1].complete = False
    schedule = SimpleNamespace(
        folder=None,
        data=None,
        score=None,
        parts=SimpleNamespace(folds=3),
        contenders=contenders,
        not_begun=[Candidate(name="tabular_ft", label="tabular_ft")],
    )
    assert Conclusion(schedule, None, None, 0)._shortages() == (
        " More time may change the choice, as it was short for tabular_tabm (1 of 200 epochs), tabular_resnet (2 of 3 "
        "folds), tabular_mlp (not fitted), tabular_transformer (stopped by its time), tabular_ft (not begun)."
    )
    schedule.contenders, schedule.not_begun = contenders[:2], []
    assert Conclusion(schedule, None, None, 0)._shortages() == ""


def cut_run(epochs, *, length, longest, because="the last epoch"):
    summary = dict(epochs=epochs, stopped_because=because)
    limit = None if longest is None else dict(seconds=5.0, epochs=longest)
    return SimpleNamespace(
        summary=summary,
        config=dict(max_time=limit),
        spec=SimpleNamespace(training=dict(epochs=length, max_steps=None)),
    )


def test_a_network_is_cut_if_the_clock_left_it_a_few_epochs():
    assert _cut(cut_run(1, length=1, longest=200)) == "1 of 200 epochs"
    assert (
        _cut(cut_run(2, length=50, longest=50, because="the time was up (max_time=5)"))
        == "2 of 50 epochs"
    )
    assert _cut(cut_run(5, length=50, longest=200, because="patience")) == ""  # it ended by itself
    assert _cut(cut_run(3, length=3, longest=3)) == _cut(cut_run(40, length=40, longest=200)) == ""
    assert _cut(cut_run(1, length=1, longest=None)) == ""  # the length of the first part, repeated


def test_a_search_without_a_model_says_how_much_more_time_to_allow():
    schedule = SimpleNamespace(
        folder=None,
        data=None,
        score=None,
        parts=SimpleNamespace(folds=3, rows=0),
        contenders=[contender("tabular_fnn", "failed", error=f"{NO_TIME}: none was left", parts=0)],
    )
    schedule.complete = lambda parts: []
    with pytest.raises(kzoo.KzooError, match="Use max_time='10m' or more"):
        Conclusion(schedule, None, None, 0, seconds_like(600, "5m")).result()


def test_a_search_that_was_killed_before_its_first_fit_has_all_of_its_time(tmp_path):
    (tmp_path / "auto.json").write_text('{"seconds_used": 28.5}')
    assert _seconds_used(tmp_path) == 0
    part = tmp_path / "trials" / "0000" / "part-01"
    part.mkdir(parents=True)
    assert _seconds_used(tmp_path) == 0
    (part / "fitted.json").write_text("{}")
    assert _seconds_used(tmp_path) == 28.5


def test_advice_on_the_time_is_in_the_unit_that_was_used():
    assert [
        seconds_like(42, example) for example in (10, 2.5, "7", "30s", "5m", "1h30m", "5 min")
    ] == [
        "42",
        "42",
        "'42'",
        "'42s'",
        "'1m'",
        "'1m'",
        "'1min'",
    ]
