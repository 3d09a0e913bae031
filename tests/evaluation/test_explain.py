"""`kzoo.explain` on small runs of each kind, `kzoo explain`, and the section of the report."""

import json
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses, warns
from trained import fit

import kzoo
from kzoo.cli import main
from kzoo.problems.kinds import kind_of

WORLD = "This explains the model, not the world"


def planted(n=900, seed=0):
    """A table with a true column, its copy in another unit, and three of noise."""
    random = np.random.default_rng(seed)
    true = random.normal(size=n)
    return pd.DataFrame(
        {
            "true": true,
            "copy": 2 * true + 1,
            "noise": random.normal(size=n),
            "kind": random.choice(["a", "b", "c"], n),
            "size": random.exponential(size=n),
            "bought": np.where(true + 0.4 * random.normal(size=n) > 0, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("explained")


@pytest.fixture(scope="module")
def planted_run(folder):
    planted().to_csv(folder / "planted.csv", index=False)
    options = dict(units=(16,), epochs=30, validation=0.3)
    return fit(
        "tabular_fnn",
        folder / "planted.csv",
        folder / "run",
        target="bought",
        **options,
    )


@pytest.fixture(scope="module")
def rows():
    return planted(4, seed=1).drop(columns="bought")


@pytest.fixture(scope="module")
def eight_run(folder):
    random = np.random.default_rng(2)
    x = random.normal(size=(200, 8)).astype("float32")
    y = (x[:, 0] * x[:, 1] + x[:, 2] > 0).astype(int)
    return (x, y), fit("tabular_fnn", (x, y), folder / "eight", units=(8,), epochs=10)


# Columns


def test_the_true_column_and_its_copy_are_important_and_noise_is_noise(planted_run, folder):
    explanation = kzoo.explain(planted_run, data=folder / "planted.csv")
    best, *others = explanation.importances
    assert best.columns == ("true", "copy") and best.noise is False and best.interval[0] > 0.2
    assert {column for each in others for column in each.columns} == {"noise", "kind", "size"}
    assert all(each.noise is True for each in others)
    assert {each.column for each in explanation.dependences} == {"true", "copy"}
    by_true = explanation.dependences[0]
    means = np.array(by_true.means)
    assert by_true.outputs == ("no", "yes") and np.allclose(means.sum(axis=1), 1, atol=1e-5)
    assert (np.diff(means[:, 1]) > 0).all()
    text = str(explanation)
    assert_mentions(
        text,
        f"{planted_run.data.validation} validation rows",
        "true, copy",
        "no better than noise",
        WORLD,
    )
    assert explanation.score == "accuracy"


def test_the_score_is_that_of_the_run_on_its_validation_rows(planted_run, folder):
    explanation = kzoo.explain(planted_run, data=folder / "planted.csv", repeats=1)
    accuracy = kzoo.evaluate(planted_run, folder / "planted.csv", split="validation")["accuracy"]
    assert_mentions(explanation.about, f"{accuracy:.1%}", "1 time")
    assert [len(each.repeats) for each in explanation.importances] == [1] * 4


def test_the_same_seed_gives_the_same_explanation(planted_run, folder):
    first, same, other = (
        kzoo.explain(planted_run, data=folder / "planted.csv", repeats=2, seed=seed)
        for seed in (3, 3, 4)
    )
    assert first.importances == same.importances != other.importances


def test_other_labelled_rows_are_used_as_a_whole(planted_run, folder):
    planted(80, seed=5).to_csv(folder / "march.csv", index=False)
    explanation = kzoo.explain(planted_run, data=folder / "march.csv", repeats=2)
    assert_mentions(explanation.about, "80 rows of march.csv")


def test_weighted_rows_are_weighted(folder):
    """Rows of weight 0, with other labels, change nothing."""
    table = planted(300).assign(w=1.0)
    table.to_csv(folder / "weighted.csv", index=False)
    run = fit(
        "tabular_fnn",
        folder / "weighted.csv",
        folder / "weighted",
        target="bought",
        sample_weight="w",
        units=(4,),
    )
    fresh = planted(100, seed=6).assign(w=1.0)
    wrong = fresh.assign(bought=np.where(fresh.bought == "yes", "no", "yes"), w=0.0)
    fresh.to_csv(folder / "fresh.csv", index=False)
    pd.concat([fresh, wrong]).to_csv(folder / "both.csv", index=False)
    scores = [
        kzoo.explain(run, data=folder / name, repeats=1).about for name in ("fresh.csv", "both.csv")
    ]
    assert scores[0].partition("fresh.csv")[2] == scores[1].partition("both.csv")[2]


TASKS = {
    "values": dict(target=["value", "double"]),
    "counts": dict(target="count", task="tabular_count"),
    "quantiles": dict(target="value", quantiles=(0.1, 0.5, 0.9)),
    "labels": dict(target=["high", "low"], task="labels"),
}


@pytest.mark.parametrize("task", TASKS)
def test_tables_of_every_task_are_explained(folder, task):
    random = np.random.default_rng(3)
    table = planted(240)[["true", "kind", "size"]]
    answers = table.assign(
        value=table["true"],
        double=20 * table["true"],
        count=random.poisson(np.exp(table["true"])),
        high=(table["true"] > 0.5) * 1,
        low=(table["true"] < -0.5) * 1,
    )
    targets = (
        [TASKS[task]["target"]] if isinstance(TASKS[task]["target"], str) else TASKS[task]["target"]
    )
    data = answers[[*table.columns, *targets]]
    file = folder / f"{task}.csv"
    data.to_csv(file, index=False)
    run = fit(
        "tabular_fnn",
        file,
        folder / task,
        units=(16,),
        epochs=60,
        validation=0.4,
        **TASKS[task],
    )
    explanation = kzoo.explain(run, data=file, repeats=3)
    assert (
        explanation.importances[0].columns == ("true",)
        and explanation.importances[0].noise is False
    )
    local = kzoo.explain(run, table[:2], data=file)
    predicted = kzoo.predict(run, table[:2])
    assert {reasons.output for reasons in local.rows} <= {
        *targets,
        *(f"{name} 0.5" for name in targets),
    }
    for reasons in local.rows:
        assert sum(each.amount for each in reasons.reasons) == pytest.approx(
            reasons.prediction - reasons.base, abs=1e-6
        )
    first = (
        predicted.probabilities[0].max()
        if task == "labels"
        else (predicted.quantiles[0, 0, 1] if task == "quantiles" else predicted.values[0, 0])
    )
    assert local.rows[0].prediction == pytest.approx(float(first), rel=1e-5)
    if task == "quantiles":
        assert kzoo.explain(run, table[:1], of="value 0.9").rows[0].output == "value 0.9"
    if task == "values":
        explanation.plot(), local.plot(1)


def test_a_table_larger_than_memory_is_explained(folder, monkeypatch):
    file = folder / "large.csv"
    planted(400).to_csv(file, index=False)
    with monkeypatch.context() as patch:
        patch.setenv("KZOO_MEMORY", "1KiB")
        run = fit(
            "tabular_fnn",
            file,
            folder / "large",
            target="bought",
            units=(8,),
            epochs=40,
        )
        explanation = kzoo.explain(run, data=file, repeats=2)
    assert explanation.importances[0].columns == ("true", "copy")


# Rows


def test_shapley_values_of_a_run_are_those_of_all_256_coalitions(eight_run):
    (x, y), run = eight_run
    x, y = x[:1], (x, y)
    explanation = kzoo.explain(run, x, data=y, of="1")
    (reasons,) = explanation.rows
    assert_mentions(explanation.about, "100 training rows")
    training = np.asarray(kzoo.load_data(y, preset="tabular_fnn").train.x)
    chosen = np.sort(np.random.default_rng(0).permutation(len(training))[:100])

    def value(columns):
        mixed = training[chosen].copy()
        mixed[:, list(columns)] = x[0, list(columns)]
        return kzoo.predict(run, mixed).probabilities[:, 1].mean(dtype="float64")

    values = {
        columns: value(columns) for size in range(9) for columns in combinations(range(8), size)
    }
    amounts = {reason.name: reason.amount for reason in reasons.reasons}
    assert len(values) == 256
    for column in range(8):
        expected = 0.0
        for columns in (columns for columns in values if column not in columns):
            weight = factorial(len(columns)) * factorial(7 - len(columns)) / factorial(8)
            expected += weight * (values[tuple(sorted((*columns, column)))] - values[columns])
        assert amounts[f"x{column + 1}"] == pytest.approx(expected, abs=1e-6)
    assert sum(amounts.values()) == pytest.approx(reasons.prediction - reasons.base, abs=1e-9)


def test_rows_are_compared_with_training_rows_or_with_a_typical_one(planted_run, folder, rows):
    with_data = kzoo.explain(planted_run, rows, data=folder / "planted.csv")
    alone = kzoo.explain(planted_run, rows)
    assert_mentions(with_data.about, "100 training rows")
    assert_mentions("\n".join([alone.about, *alone.limits]), "medians and most frequent categories")
    predicted = kzoo.predict(planted_run, rows)
    for explanation in (with_data, alone):
        assert [reasons.output for reasons in explanation.rows] == predicted.labels
        for reasons, p in zip(explanation.rows, predicted.probabilities, strict=True):
            assert reasons.prediction == pytest.approx(float(p.max()), abs=1e-6)
            total = sum(reason.amount for reason in reasons.reasons)
            assert total == pytest.approx(reasons.prediction - reasons.base, abs=1e-6)
    # The typical row itself: medians and the most frequent category.
    training = planted_run.preprocessing["columns"]
    shares = planted_run.config["statistics"]["categories"][0]["shares"]
    typical = {
        column["name"]: column["median"]
        if column["kind"] == "number"
        else column["values"][int(np.argmax(shares)) - 1]
        for column in training
    }
    (reasons,) = kzoo.explain(planted_run, [typical]).rows
    assert reasons.base == reasons.prediction and {reason.amount for reason in reasons.reasons} == {
        0.0
    }


def test_another_class_is_explained(planted_run, rows):
    predicted = kzoo.explain(planted_run, rows[:1])
    other = {"yes": "no", "no": "yes"}[predicted.rows[0].output]
    amounts = [
        {
            reason.name: reason.amount
            for reason in kzoo.explain(planted_run, rows[:1], of=name).rows[0].reasons
        }
        for name in (predicted.rows[0].output, other)
    ]
    assert amounts[0] == {reason.name: reason.amount for reason in predicted.rows[0].reasons}
    assert all(
        amounts[0][name] == pytest.approx(-amounts[1][name], abs=1e-6) for name in amounts[0]
    )


def test_many_columns_are_sampled_and_the_sum_still_holds(folder):
    run = fit("cancer_fnn", "breast_cancer", folder / "many", units=(4,))
    row = np.asarray(kzoo.load_data("breast_cancer").test.x[:1])
    explanation = kzoo.explain(run, row)
    (reasons,) = explanation.rows
    assert len(reasons.reasons) == 30 and "sampling" in explanation.method
    assert all(reason.error is not None for reason in reasons.reasons)
    total = sum(reason.amount for reason in reasons.reasons)
    assert total == pytest.approx(reasons.prediction - reasons.base, abs=1e-6)


def test_only_the_first_rows_are_explained_with_a_warning(planted_run):
    with warns("10", "30"):
        explanation = kzoo.explain(planted_run, planted(30).drop(columns="bought"))
    assert len(explanation.rows) == 10


def test_windows_of_a_series_are_explained_by_column_or_by_step(series_run, sources):
    explanation = kzoo.explain(series_run, sources / "waves.csv", data=sources / "waves.csv")
    names = {reason.name for reason in explanation.rows[0].reasons}
    assert names == {"a", "b"} or all("before" in name for name in names)
    assert_mentions(str(explanation), "mean forecast of a")
    columns = kzoo.explain(series_run, data=sources / "waves.csv", repeats=2)
    assert {each.noise for each in columns.importances} <= {None, True, False}
    with refuses("data=", "trained on"):
        kzoo.explain(series_run, sources / "waves.csv")


# Texts and images


@pytest.fixture(scope="module")
def ngrams_run(folder):
    (folder / "texts").mkdir()
    words = {"food": "soup bread salt", "law": "court judge trial", "sport": "goal match team"}
    for name, three in words.items():
        (folder / "texts" / f"{name}.txt").write_text(
            "".join(f"the {three} of day {i}\n" for i in range(30))
        )
    return fit("text_ngrams", folder / "texts", folder / "ngrams", input_shape=(20,), epochs=4)


def centred_logits(run, ids):
    """Return the sums of the network before its softmax, less their mean, with the token weights of its layer."""
    table = run.model.get_layer("log_ratios").get_weights()[0].astype("float64")
    ids = ids[ids > 0]
    logits = table[ids].sum(axis=0) / np.sqrt(len(ids))
    return logits - logits.mean()


def test_weights_of_tokens_are_the_differences_of_logits_when_a_token_is_removed(ngrams_run):
    text = "the soup of the soup, of day 3!"
    (reasons,) = kzoo.explain(ngrams_run, [text], of="law").rows
    inference = kind_of(ngrams_run.preprocessing).inference
    tokenizer = inference.tokenizer_of(ngrams_run.preprocessing)
    ids = tokenizer.encode([text], 20)[0]
    count = np.count_nonzero(ids)
    law = ngrams_run.class_names.index("law")
    whole = centred_logits(ngrams_run, ids)[law]
    amounts = {reason.name: reason.amount for reason in reasons.reasons}
    assert len(amounts) == count
    for name, amount in amounts.items():
        number = 1 if name == "(unknown words)" else tokenizer.id_of(name)
        without = np.where(ids == number, 0, ids)
        # The logits of both texts, times the root of their number of tokens, are sums of weights.
        difference = whole * np.sqrt(count) - centred_logits(ngrams_run, without)[law] * np.sqrt(
            count - 1
        )
        assert amount * np.sqrt(count) == pytest.approx(difference, abs=1e-4)
    assert sum(amounts.values()) == pytest.approx(whole, abs=1e-4)
    assert reasons.prediction == pytest.approx(whole, abs=1e-4) and reasons.base == pytest.approx(
        0, abs=1e-6
    )
    assert "".join(piece for piece, _ in reasons.pieces) == text
    assert sum(amount for _, amount in reasons.pieces) == pytest.approx(
        sum(amounts.values()), abs=1e-6
    )
    assert reasons.scale == "centred logit"


def test_words_of_other_networks_are_left_out(text_run):
    explanation = kzoo.explain(text_run, ["the soup of the day"])
    (reasons,) = explanation.rows
    whole = kzoo.predict(text_run, ["the soup of the day"])
    index = text_run.class_names.index(reasons.output)
    without = kzoo.predict(text_run, ["the of the day"])
    soup = next(reason for reason in reasons.reasons if reason.name == "soup")
    assert soup.amount == pytest.approx(
        float(whole.probabilities[0, index] - without.probabilities[0, index]), abs=1e-6
    )
    assert (
        reasons.base is None
        and "".join(piece for piece, _ in reasons.pieces) == "the soup of the day"
    )
    assert "<mark" in explanation._repr_html_()
    with refuses("inputs", "columns"):
        kzoo.explain(text_run)


def test_a_text_is_shown_as_text_and_never_as_html(text_run):
    explanation = kzoo.explain(text_run, ["<script>soup</script> & bread"])
    assert "<script>" not in explanation._repr_html_()
    assert "&lt;" in explanation._repr_html_()


def test_images_are_explained_by_a_picture(image_run):
    explanation = kzoo.explain(image_run, np.zeros((2, 12, 12, 3)))
    assert len(explanation.rows) == 2 and explanation.method == "Grad-CAM"
    assert_mentions(str(explanation), "image 2", WORLD)
    assert "evidence for" in explanation.plot(1).axes[1].get_title(loc="left")


# Refusals


def test_what_has_no_effect_is_refused(planted_run, text_run, language_run, folder, rows):
    with refuses("repeats=3", "Remove"):
        kzoo.explain(planted_run, rows, repeats=3)
    with refuses("of='yes'", "Remove"):
        kzoo.explain(planted_run, data=folder / "planted.csv", of="yes")
    with refuses("of='yess'", "'yes'"):
        kzoo.explain(planted_run, rows, of="yess")
    with refuses("target='bought'", "data="):
        kzoo.explain(planted_run, rows, target="bought")
    with refuses("data=", "tables and series"):
        kzoo.explain(text_run, ["soup"], data=folder / "planted.csv")
    with refuses("planted.csv", "data="):
        kzoo.explain(planted_run)
    with refuses("language model"):
        kzoo.explain(language_run, ["to be"])
    with refuses("seed=-1"):
        kzoo.explain(planted_run, rows, seed=-1)
    with refuses("repeats=0"):
        kzoo.explain(planted_run, data=folder / "planted.csv", repeats=0)
    explanation = kzoo.explain(planted_run, rows[:1])
    with refuses("row=1", "1 input"):
        explanation.plot(1)


def test_a_run_without_validation_rows_needs_other_rows(folder):
    planted(60).to_csv(folder / "few.csv", index=False)
    run = fit(
        "tabular_fnn", folder / "few.csv", folder / "few", target="bought", units=(4,), validation=0
    )
    with refuses("few.csv", "no validation split", "labelled data"):
        kzoo.explain(run, data=folder / "few.csv")


# The command and the report


def call(capsys, *words):
    code = main(["explain", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_prints_what_the_function_returns(planted_run, folder, rows, capsys):
    file = folder / "rows.csv"
    rows.to_csv(file, index=False)
    code, out, _ = call(capsys, planted_run.path, file, "--data", folder / "planted.csv", "--json")
    expected = kzoo.explain(planted_run, file, data=folder / "planted.csv").to_dict()
    assert code == 0 and json.loads(out) == expected
    code, out, _ = call(
        capsys, planted_run.path, "--data", folder / "planted.csv", "--repeats", 2, "--seed", 1
    )
    assert code == 0
    assert out.rstrip("\n") == str(
        kzoo.explain(planted_run, data=folder / "planted.csv", repeats=2, seed=1)
    )


def test_the_command_writes_files(planted_run, folder, tmp_path, capsys):
    files = [tmp_path / name for name in ("columns.png", "columns.html")]
    words = (
        "--data",
        folder / "planted.csv",
        "--repeats",
        2,
        "--plot",
        files[0],
        "--out",
        files[1],
    )
    code, out, _ = call(capsys, planted_run.path, *words)
    assert code == 0 and files[0].read_bytes()[:4] == b"\x89PNG"
    assert_mentions(files[1].read_text(encoding="utf-8"), "true, copy", WORLD)
    assert_mentions(out, f"Written to {files[0]}")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--plot", "a.txt"), ("--plot", ".png")),
        (("--out", "a.csv"), ("--out", ".json")),
        (("--seed", "-1"), ("--seed -1",)),
        (("--of", "yes"), ("--of", "Remove")),
        (("missing.csv",), ("missing.csv",)),
    ],
)
def test_wrong_words_end_with_one_line_and_code_2(planted_run, folder, capsys, words, parts):
    data = () if words[0] == "missing.csv" else ("--data", folder / "planted.csv")
    code, out, err = call(capsys, planted_run.path, *words, *data)
    assert code == 2 and out == "" and len(err.strip().splitlines()) == 1
    assert_mentions(err, *parts)


def test_an_image_needs_a_file_for_its_picture(image_run, tmp_path, capsys):
    from PIL import Image

    Image.new("RGB", (12, 12)).save(tmp_path / "a.png")
    code, _, err = call(capsys, image_run.path, tmp_path / "a.png")
    assert code == 2
    assert_mentions(err, "--plot FILE")
    code = call(capsys, image_run.path, tmp_path / "a.png", "--plot", tmp_path / "cam.png")[0]
    assert code == 0 and (tmp_path / "cam.png").is_file()


def test_the_report_explains_the_run(planted_run, text_run, folder, tmp_path):
    page = kzoo.report(
        planted_run, out=tmp_path / "a.html", data=folder / "planted.csv", explain=True
    ).read_text()
    assert_mentions(
        page, "Explanation", "Permutation importance", "true, copy", "Shapley values", WORLD
    )
    with refuses("planted.csv", "data="):
        kzoo.report(planted_run, out=tmp_path / "c.html", explain=True)
    page = kzoo.report(text_run, out=tmp_path / "d.html", explain=True).read_text()
    assert_mentions(page, "Words left out", "<mark")


def test_the_report_of_images_has_their_pictures_and_that_of_a_language_model_none(
    image_run, language_run, tmp_path
):
    page = kzoo.report(image_run, out=tmp_path / "a.html", explain=True).read_text()
    assert page.count('alt="Grad-CAM, ') + page.count('aria-label="Grad-CAM, ') == 3
    with refuses("explain=True", "Remove"):
        kzoo.report(language_run, out=tmp_path / "b.html", explain=True)
