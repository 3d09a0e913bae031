"""Explanations of exported models, without Keras and without training rows."""

import json

import numpy as np
import pytest
from messages import assert_mentions, refuses
from small_exports import customers, write_exported

import kzoo
from kzoo import runtime
from kzoo.export.make import _typical


def new_rows(count=2):
    return customers(seed=3)[:count].drop(columns="open")


@pytest.fixture(scope="module")
def explaining(rows, tmp_path_factory):
    """The export of `rows`, whose kzoo.json has the typical row that `kzoo.export` stores."""
    path = write_exported(rows.run, tmp_path_factory.mktemp("explaining"), ("onnx",))
    document = json.loads((path / "kzoo.json").read_text(encoding="utf-8"))
    document["typical"] = _typical(rows.run, rows.run.preprocessing)
    (path / "kzoo.json").write_text(json.dumps(document), encoding="utf-8")
    return path


def test_an_export_explains_rows_as_its_run_does_without_data(rows, explaining):
    expected = kzoo.explain(rows.run, new_rows())
    result = runtime.load(explaining).explain(new_rows())
    assert result.about == expected.about and result.limits == expected.limits
    for first, second in zip(result.rows, expected.rows, strict=True):
        assert (first.output, first.scale) == (second.output, second.scale)
        amounts = {reason.name: reason.amount for reason in second.reasons}
        assert all(
            reason.amount == pytest.approx(amounts[reason.name], abs=1e-5)
            for reason in first.reasons
        )
        total = sum(reason.amount for reason in first.reasons)
        assert total == pytest.approx(first.prediction - first.base, abs=1e-6)
    assert_mentions(str(result), "medians and most frequent categories")


def test_the_typical_row_has_the_most_frequent_categories(rows, explaining):
    row = json.loads((explaining / "kzoo.json").read_text(encoding="utf-8"))["typical"]
    statistics = rows.run.config["statistics"]
    columns = rows.run.preprocessing["columns"]
    codes = [int(np.argmax(category["shares"])) for category in statistics["categories"]]
    assert row[-len(codes) :] == codes
    assert row[0] == pytest.approx(
        next(column["median"] for column in columns if column["kind"] == "number")
    )


def test_an_export_without_a_typical_row_is_refused(rows):
    model = runtime.load(rows.exported, "onnx")
    assert not model.explains
    with refuses("Export again", "kzoo.explain"):
        model.explain(new_rows())


def test_words_are_explained_as_by_the_run(texts):
    text = "the soup of the day"
    model = runtime.load(texts.exported)
    expected = kzoo.explain(texts.run, [text])
    result = model.explain([text])
    assert result.method == expected.method == "words left out"
    pieces, expected_pieces = result.rows[0].pieces, expected.rows[0].pieces
    assert [piece for piece, _ in pieces] == [piece for piece, _ in expected_pieces]
    assert [amount for _, amount in pieces] == pytest.approx(
        [amount for _, amount in expected_pieces], abs=1e-5
    )


def test_other_inputs_are_refused(images, series, language, explaining):
    for pair, inputs in (
        (images, np.zeros((1, 12, 12, 3))),
        (series, np.zeros((8, 2))),
        (language, ["to be"]),
    ):
        model = runtime.load(pair.exported)
        assert not model.explains
        with refuses("kzoo.explain"):
            model.explain(inputs)
    with refuses("of='maybe'", "yes"):
        runtime.load(explaining).explain(new_rows(), of="maybe")


def test_the_command_explains_exports(explaining, tmp_path, capsys):
    from kzoo.cli import main

    new_rows(1).to_csv(tmp_path / "new.csv", index=False)
    assert main(["explain", str(explaining), str(tmp_path / "new.csv")]) == 0
    assert_mentions(capsys.readouterr().out, "Shapley values", "town")
    for words, parts in (
        ([], ("names", "behind")),
        ([str(tmp_path / "new.csv"), "--data", "a.csv"], ("--data",)),
    ):
        assert main(["explain", str(explaining), *words]) == 2
        error = capsys.readouterr().err
        assert len(error.strip().splitlines()) == 1
        assert_mentions(error, *(parts if words else ("exported model",)))
