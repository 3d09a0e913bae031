"""Claims of the practice recipes, from the variables of their smoke runs."""

import numpy as np
import pytest
from messages import assert_mentions

import kzoo


@pytest.mark.slow
def test_only_the_global_norm_keeps_the_direction_of_the_gradient(smoke):
    left = smoke("practice/clipping").left
    large, small = left["gradients"]
    gradient = np.concatenate([large, small])
    ways = {
        "global_clipnorm": gradient / np.linalg.norm(gradient),
        "clipnorm": np.concatenate([large / np.linalg.norm(large), small / np.linalg.norm(small)]),
        "clipvalue": np.clip(gradient, -1, 1),
    }
    for way, step in ways.items():
        expected = step @ gradient / np.linalg.norm(step) / np.linalg.norm(gradient)
        assert left["cosine"][way] == pytest.approx(expected, abs=1e-5)
    assert left["cosine"]["global_clipnorm"] == pytest.approx(1, abs=1e-6)
    assert max(left["cosine"]["clipnorm"], left["cosine"]["clipvalue"]) < 0.9
    # it diverged: without a limit, at a high rate
    assert_mentions(left["outcome"], "loss", "epoch")
    assert {
        run.config["spec"]["training"]["global_clipnorm"] for (run,) in left["runs"].values()
    } == {None, 1.0}


def test_a_learning_curve_draws_from_the_training_split_alone(smoke):
    left = smoke("practice/learning_curve").left
    data, part = left["data"], left["part"]
    (size,) = left["sizes"]
    everything = {x.tobytes() for x in data.train.x}
    assert len(part) == size < len(data.train)
    assert {x.tobytes() for x in part.x} <= everything
    assert len({x.tobytes() for x in part.x}) > 0.95 * size  # not one example over and over
    for (run,) in left["runs"].values():
        counts = run.config["data"]
        assert (counts["train"], counts["validation"], counts["test"]) == (
            size,
            len(data.validation),
            len(data.test),
        )


def test_a_learned_threshold_is_that_of_predict_and_the_networks_of_both_goals_are_the_same(smoke):
    left = smoke("practice/thresholds").left
    (of_f1,), (of_cost,) = left["runs"].values()
    np.testing.assert_allclose(of_f1.answers["answers"], of_cost.answers["answers"], atol=1e-6)
    learned = {goal: threshold for (goal, _), (_, threshold) in left["curves"].items()}
    assert 0 < learned["cost"] != learned["F1"] < 1
    new = left["frame"].drop(columns="churned").head(400)
    for run, goal in ((of_f1, "F1"), (of_cost, "cost")):
        answers = kzoo.predict(run, new)
        assert [label == "yes" for label in answers.labels] == (
            answers.probabilities[:, 1] >= learned[goal]
        ).tolist()
    regret = {
        row["goal"]: row["regret"] for row in left["rows"] if row["threshold"] == "best on test"
    }
    assert regret == {"F1": 0, "cost": 0}


def test_calibration_and_sets_are_those_of_the_test_rows(smoke):
    left = smoke("practice/calibration").left
    ((run,),) = left["runs"].values()
    rows = {row["what"]: row for row in left["rows"]}
    p = run.answers["answers"]
    truth = run.answers["truth"]
    loss = -np.log(p[np.arange(len(p)), truth]).mean()
    assert rows["after calibration"]["log_loss"] == pytest.approx(loss, abs=1e-3)
    limit = next(step["learned"] for step in run.postprocessing if step["name"] == "conformal")[
        "lac"
    ]["values"]
    threshold = np.sort(limit)[int(np.ceil((len(limit) + 1) * 0.9)) - 1]
    inside = 1 - p <= threshold
    covered = inside[np.arange(len(p)), truth].mean()
    assert rows["sets at 90%"]["coverage"] == pytest.approx(covered, abs=0.01)
    assert rows["sets at 90%"]["classes"] == pytest.approx(inside.sum(axis=1).mean(), abs=0.02)


def test_the_weights_of_a_biased_sample_take_the_bias_away(smoke):
    left = smoke("practice/sample_weights").left
    bias = {row["model"]: abs(row["bias"]) for row in left["rows"]}
    assert bias["weighted"] < bias["unweighted"] / 2 and bias["no bias"] < bias["unweighted"] / 2
    counts = {name: run.config["data"]["train"] for (name, _), run in left["runs"].items()}
    assert len(set(counts.values())) == 1, "all learn from the same number of rows"
