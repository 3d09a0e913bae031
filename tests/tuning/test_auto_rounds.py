"""What `auto` fits after the first choice: rounds that end without a gain, and that a stopped search goes on with."""

import time
from concurrent.futures import Future
from types import SimpleNamespace
from zlib import crc32

import numpy as np
import pytest

import kzoo
from kzoo.auto import rounds
from kzoo.auto.candidates import Candidate
from kzoo.auto.conclusion import Conclusion
from kzoo.auto.final_fit import FinalFit
from kzoo.auto.mean import MOST_MEMBERS, fitted_weights
from kzoo.auto.parts import Parts
from kzoo.auto.schedule import Schedule
from kzoo.auto.scoring import Answers, PrimaryScore
from kzoo.auto.trainer import TIMED_OUT, Fitted, part_folder, write_answers
from kzoo.training.workers.worker import TrialFailed
from kzoo.tuning.records import Objective
from kzoo.utils.files import read_json

ROWS = 90


class Pool:
    """Workers that train nothing: the answers of a candidate are the truth and errors.

    Args:
        data, parts: the data and its division.
        differ: whether each fit has errors of its own, so that a mean is better than its members.
        slow: number of first fits of baselines that take too long.
        stop_after: number of fits after which the search is stopped, None for never.
    """

    slots = 1

    def __init__(self, data, parts, *, differ, slow=0, stop_after=None):
        self.data, self.parts, self.differ, self.stop_after = data, parts, differ, stop_after
        self.slow = slow
        self.signals = SimpleNamespace(caught=0)
        self.fits = []

    def submit(self, number, *, folder, part, preset, baseline, overrides, seed, **_):
        self.fits.append((preset.name if preset else baseline, str(overrides), seed, part))
        data = self.parts.part(self.data, part)
        truth = np.asarray(data.test.y[:])
        own = crc32(f"{preset}{overrides}{seed}{part}".encode()) if self.differ else 0
        errors = np.random.default_rng(own).normal(size=(ROWS, 1))[data.test.rows]
        scale = 1.0 if preset is None else 0.5
        target = part_folder(folder, part)
        target.mkdir(parents=True, exist_ok=True)
        done = Future()
        if baseline and len(self.fits) <= self.slow:
            done.set_exception(TrialFailed(f"the worker ended with code {TIMED_OUT}"))
            return done
        write_answers(target, truth + scale * errors, truth, data.test.rows, None)
        if len(self.fits) == self.stop_after:
            self.signals.caught = 2
        done.set_result(Fitted(seconds=0.01, length={}))
        return done

    def cancel(self):
        pass


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3)).astype("float32")
    return kzoo.load_data((x, rng.normal(size=(ROWS, 1)).astype("float32")), test=0.0)


@pytest.fixture
def search(data, tmp_path, monkeypatch):
    """Return a function that runs a schedule with a `Pool`, and returns both."""
    monkeypatch.setattr(Schedule, "_preprocessing", lambda *_: "the same")
    monkeypatch.setattr(rounds, "_MOST_VARIANTS", 4)

    def run(
        folder="search",
        folds=3,
        presets=("tabular_fnn", "tabular_resnet"),
        later=(),
        seconds=10_000,
        **options,
    ):
        parts = Parts(folds=folds, rows=ROWS)
        pool = Pool(data, parts, **options)
        (tmp_path / folder).mkdir(exist_ok=True)
        schedule = Schedule(
            tmp_path / folder,
            data=data,
            parts=parts,
            score=PrimaryScore(data, "r2"),
            baselines=[Candidate(name="ridge", label="ridge", is_baseline=True)],
            presets=[Candidate(name=n, label=n) for n in presets],
            later=[Candidate(name=n, label=n) for n in later],
            pool=pool,
            signals=pool.signals,
            deadline=time.monotonic() + seconds,
            report=lambda line: None,
            seed=0,
            objective=Objective("r2", "max"),
        )
        schedule.run()
        return schedule, pool

    return run


def test_the_rounds_end_once_each_sort_has_not_gained(search):
    _, pool = search(differ=False)  # all networks make the same errors: nothing to gain
    first = 3 * 3  # a baseline and two presets on three folds
    settings = 2 * 2  # two other settings of two presets on the first fold
    assert len(pool.fits) == first + settings + 3 * 3  # and all again on another division
    _, longer = search("longer", differ=True)
    assert len(longer.fits) > len(pool.fits) + 4  # a mean of different errors gains


def test_networks_in_closed_form_and_baselines_are_judged_on_ten_divisions(search):
    schedule, pool = search(presets=("series_rocket", "tabular_fnn"), differ=False)
    divisions = {
        each.candidate.text: each.divisions(3)
        for each in schedule.contenders
        if not each.candidate.is_variant
    }
    assert divisions["series_rocket"] == divisions["ridge"] == 10
    assert divisions["tabular_fnn"] == 2
    assert len(set(pool.fits)) == len(pool.fits)


def test_networks_in_closed_form_are_fitted_on_all_folds_before_other_networks_begin(search):
    _, pool = search(presets=("tabular_fnn", "series_rocket"), differ=True)
    first = [(name, part) for name, _, _, part in pool.fits if name != "ridge"][:4]
    assert first == [*(("series_rocket", part) for part in range(3)), ("tabular_fnn", 0)]


@pytest.mark.parametrize("folds", [3, 1])
def test_time_that_is_left_goes_to_presets_that_were_put_off(search, folds):
    later = "tabular_resnet", "tabular_tabm"
    schedule, pool = search(presets=("tabular_fnn",), later=later, folds=folds, differ=True)
    names = [name for name, *_ in pool.fits if name != "ridge"]
    assert [*dict.fromkeys(names)] == ["tabular_fnn", *later] and not schedule.later
    assert {
        each.candidate.name for each in schedule.contenders if len(each.answers) >= folds
    } >= set(later)
    # a search that is stopped and goes on fits nothing twice
    fits = []
    for stop_after in (len(pool.fits) // 2, len(pool.fits) - 2, None):
        options = dict(folds=folds, differ=True, stop_after=stop_after)
        resumed, again = search("stopped", presets=("tabular_fnn",), later=later, **options)
        fits += again.fits
    assert len(set(fits)) == len(fits) and not resumed.later
    # what was fitted before was begun, also if there is no time now
    options = dict(folds=folds, differ=True, seconds=7)
    ended, _ = search("stopped", presets=("tabular_fnn",), later=later, **options)
    assert [each.name for each in ended.later] == [*later] and not ended.not_begun
    # without time they are not begun, and the verdict names them
    short, pool = search("short", presets=("tabular_fnn",), later=later, seconds=7, differ=True)
    assert [each.name for each in short.later] == [*later] and short.not_begun == short.later
    assert not {name for name, *_ in pool.fits} & set(later)


def test_networks_in_closed_form_get_the_time_that_reading_inputs_takes(search):
    schedule, _ = search(presets=("series_rocket",), differ=False)
    (rocket,) = (each for each in schedule.contenders if not each.candidate.is_baseline)
    rocket.seconds = {0: 20.0}
    assert rocket.part_seconds == 20.0
    rocket.seconds |= {1: 1.0, 2: 2.0}  # the inputs were read on the first part
    assert rocket.part_seconds == 2.0 and rocket.refit_seconds == 4.0


def test_a_baseline_whose_share_of_the_time_was_too_short_is_fitted_once_more(search):
    schedule, pool = search(differ=False, slow=1)
    (ridge,) = (each for each in schedule.contenders if each.candidate.is_baseline)
    assert [part for name, _, _, part in pool.fits if name == "ridge"][:4] == [0, 0, 1, 2]
    assert set(range(3)) <= ridge.answers.keys() and ridge.trial.status == "completed"
    # twice too long: it is not tried for ever
    schedule, pool = search("hopeless", differ=False, slow=2)
    (ridge,) = (each for each in schedule.contenders if each.candidate.is_baseline)
    assert [part for name, *_, part in pool.fits if name == "ridge"] == [0, 0] and ridge.failed


def test_without_folds_the_best_networks_have_further_seeds(search):
    schedule, pool = search(folds=1, differ=True)
    assert {seed for name, _, seed, _ in pool.fits if name == "tabular_fnn"} >= {0, 1}
    assert any("seed=1" in contender.candidate.text for contender in schedule.contenders)
    _, ended = search("same", folds=1, differ=False)
    assert max(seed for _, _, seed, _ in ended.fits) == 1 and len(ended.fits) < len(pool.fits)


@pytest.mark.parametrize("folds", [3, 1])
def test_a_stopped_search_goes_on_without_fitting_again(search, folds):
    whole, complete = search("whole", folds=folds, differ=True)
    fits = []
    for stop_after in (len(complete.fits) // 2, 2, None):
        resumed, pool = search("stopped", folds=folds, differ=True, stop_after=stop_after)
        assert stop_after is None or len(pool.fits) == stop_after
        fits += pool.fits
    assert len(set(fits)) == len(fits)
    names = [{each.candidate.text for each in schedule.contenders} for schedule in (whole, resumed)]
    assert names[0] <= names[1]  # it may go on for a round more
    for contender in resumed.contenders:
        stored = read_json(
            resumed.folder / "trials" / f"{contender.trial.number:04d}" / "trial.json"
        )
        assert stored["hyperparameters"]["model"] == contender.candidate.name


def test_a_network_answers_with_the_mean_of_two_divisions_and_a_baseline_with_each(search):
    schedule, _ = search(differ=True)
    repeated = [each for each in schedule.contenders if each.divisions(3) > 2]
    network = next(each for each in repeated if not each.candidate.is_baseline)
    baseline = next(each for each in repeated if each.candidate.is_baseline)
    assert (schedule.bagged(network), schedule.bagged(baseline)) == (2, 1)
    divisions = np.stack(
        [
            Answers.together([network.answers[3 * division + fold] for fold in range(3)]).outputs
            for division in range(network.divisions(3))
        ]
    )
    answers = schedule.answers_of(network, range(3 * network.divisions(3)))
    for part, judged in answers.items():
        assert np.array_equal(judged.rows, network.answers[part].rows)
        pair = divisions[[part // 3, (part // 3 + 1) % len(divisions)]][:, judged.rows]
        np.testing.assert_allclose(judged.outputs, pair.mean(axis=0), rtol=1e-6)
    of_baseline = schedule.answers_of(baseline, [4])[4]
    np.testing.assert_array_equal(of_baseline.outputs, baseline.answers[4].outputs)


def test_a_mean_has_few_members_whose_weights_are_those_of_several_bags(data):
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(300, 1))
    members = [
        [Answers(outputs=truth + rng.normal(0, 0.5, truth.shape), truth=truth, rows=np.arange(300))]
        for _ in range(12)
    ]
    weights = fitted_weights(members, data)
    assert weights.sum() == pytest.approx(1) and 1 < (weights > 0).sum() <= MOST_MEMBERS
    assert np.array_equal(weights, fitted_weights(members, data))
    clear = [[Answers(outputs=truth, truth=truth, rows=np.arange(300))], *members]
    assert fitted_weights(clear, data)[0] > 0.4  # it is in half of the bags


def test_the_highest_score_wins_if_it_is_preferred(search, monkeypatch):
    schedule, _ = search(differ=True)
    monkeypatch.setattr(FinalFit, "write", lambda *_: SimpleNamespace(answers=None))
    labels = {}
    for prefer in ("simple", "score"):
        conclusion = Conclusion(schedule, None, None, 0, prefer=prefer)
        labels[prefer] = conclusion.result()["label"]
    models = conclusion._models()
    shared = conclusion._shared_parts(models)
    scores = {model.label: conclusion._score(model, shared) for model in models}
    assert labels["score"] == max(scores, key=scores.get) != "ridge"
    assert scores[labels["simple"]] <= scores[labels["score"]]
