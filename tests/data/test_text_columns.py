"""Text columns of tables: hashed ids, their vectors, and all that reads such rows."""

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses
from shortcuts import tune_here

import kzoo
from kzoo.inference.kinds.rows.texts import are_texts, encode_texts, hash_texts, learn_texts
from kzoo.training.initial_weights import text_vectors
from kzoo.zoo.registry import rebuild

GOOD = ["lovely", "soft", "warm", "perfect", "great"]
BAD = ["torn", "itchy", "loose", "cheap", "ugly"]
OTHER = [
    "the",
    "dress",
    "that",
    "came",
    "in",
    "a",
    "box",
    "with",
    "blue",
    "stripes",
    "and",
    "long",
    "for",
    "me",
    "was",
]


def reviews(rows=160, seed=0):
    """Return a table whose target depends on a number and on the words of a text; some texts are missing."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 2, rows)
    age = draw.normal(40, 9, rows).round(1)

    def text(is_good, count):
        words = [*draw.choice(OTHER, count), *draw.choice(GOOD if is_good else BAD, 2)]
        return " ".join(draw.permutation(words))

    return pd.DataFrame(
        {
            "age": age,
            "size": draw.choice(["small", "large"], rows),
            "title": [text(good, 2) for good in kind],
            "review": [None if i % 9 == 0 else text(good, 9) for i, good in enumerate(kind)],
            "bought": np.where(
                kind + (age - 40) / 30 + draw.normal(size=rows) / 9 > 0.5, "yes", "no"
            ),
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return kzoo.train(
        "tabular_fnn",
        reviews(),
        target="bought",
        units=(16,),
        epochs=8,
        min_steps=0,
        batch_size=16,
        learning_rate=0.01,
        progress=False,
        out=tmp_path_factory.mktemp("texts") / "run",
    )


# Ids


def test_ids_are_the_same_in_every_process_and_on_every_processor():
    expected = [
        [485, 799, 12, 0, 0, 0],
        [93, 751, 116, 384, 974, 92],
        [261, 773, 452, 139, 866, 955],
    ]
    texts = ["Hello world", "我喜欢这件衣服", "สวัสดีชาวโลก"]
    np.testing.assert_array_equal(hash_texts(texts, 1024, 6), expected)
    np.testing.assert_array_equal(hash_texts(texts[::-1], 1024, 6), expected[::-1])
    np.testing.assert_array_equal(
        hash_texts(["HELLO \n world", "", "  "], 1024, 3), [[485, 799, 12], [0] * 3, [0] * 3]
    )


def test_ids_follow_a_plain_implementation():
    """The same hash in Python's integers: a polynomial of the code points, and the finalizer of splitmix64."""
    full = 2**64

    def mix(value):
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % full
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB % full
        return value ^ (value >> 31)

    def word(text):
        return mix(
            sum(ord(letter) * pow(0x9E3779B97F4A7C15, i, full) for i, letter in enumerate(text, 1))
            % full
        )

    words = [word(text) for text in ["a", "soft", ",", "warm", "and", "soft", ",", "warm", "scarf"]]
    pairs = [
        mix((a * 0xC2B2AE3D27D4EB4F + b * 0x165667B19E3779F9) % full) for a, b in pairwise(words)
    ]
    order = [
        value
        for pair in zip(words, [*pairs, None], strict=True)
        for value in pair
        if value is not None
    ]
    ids = list(dict.fromkeys(1 + (value >> 32) % 499 for value in order))
    (row,) = hash_texts(["A soft, warm and soft, warm scarf"], 500, 32)
    assert row[row > 0].tolist() == ids and not row[len(ids) :].any()


def test_a_long_text_and_half_a_character_are_encoded():
    ids = hash_texts(["word " * 10_000, "x" * 100_000, "\ud800 half"], 64, 8)
    assert (ids[:, 0] > 0).all() and ids.max() < 64


@pytest.mark.parametrize(
    "values", [["one two", None, "NA", 3.5], pd.Series(["one two", None, "one two", "NA"])]
)
def test_missing_cells_have_no_ids_and_numbers_are_texts(values):
    ids = encode_texts(values, 64, 4)
    assert (
        ids.shape == (4, 4)
        and ids[0].any()
        and not ids[1].any()
        and ids[3].any() == isinstance(values, list)
    )


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([f"a lovely soft dress {i}" for i in range(50)], True),
        ([f"这件衣服很好看我很喜欢{i}" for i in range(50)], True),
        ([f"เสื้อตัวนี้สวยมากและนุ่ม{i}" for i in range(50)], True),
        ([f"王小明{i}" for i in range(50)], False),
        ([f"A/5 {i} 21171" for i in range(50)], False),
        ([f"user {i}" for i in range(50)], False),
        (["a lovely soft dress", "a cheap and ugly dress"] * 25, False),
    ],
)
def test_texts_have_several_words_and_rarely_repeat(cells, expected):
    assert are_texts(set(cells), len(cells), 1000) == expected


def test_many_different_texts_that_repeat_are_no_categories():
    cells = [f"a lovely soft dress {i}" for i in range(2_000)]
    assert are_texts(cells, 10_000, 1_000) and not are_texts(cells[:900], 10_000, 1_000)


def test_length_and_buckets_follow_the_training_texts():
    short, long = (
        learn_texts([" ".join(f"w{j}" for j in range(i, i + n)) for i in range(300)])
        for n in (3, 400)
    )
    assert short == {"buckets": 2048, "length": 8} and long["length"] == 512


# Reading


def test_texts_are_inputs_with_a_note_and_the_user_overrides(tmp_path):
    data = kzoo.load_data(reviews(), target="bought")
    (note,) = notes_with(data.notes, "text")
    assert_mentions(note, "'title', 'review'", "drop='title'", "columns={'title': 'category'}")
    lengths = data.config["text_lengths"]
    assert (
        data.train.x.shape[1:]
        == data.input_shape
        == (2 + sum(lengths),)
        == (len(data.feature_names),)
    )
    kinds = {column["name"]: column["kind"] for column in data.overview["columns"]}
    assert kinds == {
        "age": "number",
        "size": "category",
        "title": "text",
        "review": "text",
        "bought": "target",
    }
    assert json.loads(json.dumps(data.preprocessing)) == data.preprocessing
    chosen = kzoo.load_data(
        reviews(),
        target="bought",
        drop="review",
        columns={"title": "category", "size": "text", "age": "text"},
    )
    kinds = {column["name"]: column["kind"] for column in chosen.overview["columns"]}
    assert (kinds["age"], kinds["size"], kinds["title"], kinds["review"]) == (
        "text",
        "text",
        "category",
        "left out",
    )
    assert not notes_with(chosen.notes, "read as text")


def test_a_table_without_texts_has_no_new_settings():
    data = kzoo.load_data(reviews(), target="bought", drop=("title", "review"))
    assert not any(name.startswith("text") for name in data.config)
    assert {"text_buckets", "text_lengths"}.isdisjoint(data.config)


def test_a_table_larger_than_memory_has_the_same_ids(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    files = [tmp_path / f"{seed}.csv" for seed in (0, 1)]
    for seed, file in enumerate(files):
        reviews(seed=seed).to_csv(file, index=False)
    options = dict(target="bought", test=files[1], validation=0)
    expected = kzoo.load_data(files[0], **options)
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    data = kzoo.load_data(files[0], **options)
    assert (
        data.preprocessing == expected.preprocessing
        and data.config["text_lengths"] == expected.config["text_lengths"]
    )
    for part in ("train", "test"):
        rows, others = (np.asarray(getattr(d, part).x[:]) for d in (data, expected))
        np.testing.assert_allclose(
            rows[np.lexsort(rows.T)], others[np.lexsort(others.T)], rtol=1e-6
        )


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        ({"review": "texts"}, ("'review'", "'texts'", "'text'")),
        ({"review": {"kind": "text", "decimal": ","}}, ("'review'", "text", "decimal")),
        ({"bought": "text"}, ("'bought'", "target", "text")),
        ({"reviews": "text"}, ("'reviews'", "'review'")),
    ],
)
def test_invalid_options_of_text_columns_are_refused(columns, parts):
    with refuses(*parts):
        kzoo.load_data(reviews(), target="bought", columns=columns)


# The network


def test_vectors_of_ids_are_the_covariance_with_the_target_and_components_of_the_texts():
    from sklearn.feature_extraction.text import TfidfTransformer

    draw = np.random.default_rng(0)
    ids = np.stack([draw.permutation(39)[:6] + 1 for _ in range(600)])
    targets = (draw.random(600) < 0.3).astype(float) - 0.3
    counts = np.zeros((600, 40))
    np.put_along_axis(counts, ids, 1, axis=1)
    frequency = TfidfTransformer(norm=None).fit(counts).idf_
    weighted = counts * frequency / np.sqrt(6)
    covariance = weighted.T @ targets
    vectors = text_vectors(ids, targets[:, None], 40, 8)
    texts = counts @ vectors / np.sqrt(6)
    expected = frequency * covariance
    assert abs(np.corrcoef(vectors[1:, 0], expected[1:])[0, 1]) > 0.9999
    np.testing.assert_allclose(texts[:, 0].std(), 1, rtol=1e-5)
    # a component for 200 texts
    assert texts[:, 1:4].std(axis=0).min() > 0.5 and not vectors[:, 4:].any()
    assert abs(np.corrcoef(texts[:, 1:4].T) - np.eye(3)).max() < 1e-4
    twice = text_vectors(np.repeat(ids, 2, axis=0), np.repeat(targets, 2)[:, None], 40, 1)
    np.testing.assert_allclose(
        text_vectors(ids, targets[:, None], 40, 1, np.full(600, 2.0)), twice, atol=1e-6
    )


def test_the_network_computes_what_numpy_computes(run):
    x = kzoo.load_data(reviews(), target="bought").train.x[:20]
    start = 2
    for number, length in enumerate(run.spec.config["text_lengths"], 1):
        ids = x[:, start : start + length].astype(int)
        layer = run.model.get_layer(f"text{number}")
        (weights,) = layer.get_weights()
        assert weights.any() and not layer.trainable
        expected = np.stack(
            [weights[row[row > 0]].sum(0) / max((row > 0).sum(), 1) ** 0.5 for row in ids]
        )
        columns = run.model.get_layer("columns")
        import keras

        joined = keras.ops.convert_to_numpy(keras.Model(run.model.input, columns.output)(x))
        position = joined.shape[1] - run.spec.config["text_dim"] * (3 - number)
        np.testing.assert_allclose(
            joined[:, position : position + weights.shape[1]], expected, atol=1e-5
        )
        start += length


def test_texts_improve_predictions_and_baselines_use_them(run):
    labels = {row["label"]: row for row in run.summary["baselines"]}
    assert "TF-IDF and logistic regression" in labels and labels["gradient-boosted trees"][
        "notes"
    ] == ["without the texts"]
    new = reviews(80, seed=3)
    assert kzoo.evaluate(run, new)["auc"] > 0.9


@pytest.mark.parametrize("preset", ["tabular_tabm", "tabular_resnet", "tabular_transformer"])
def test_presets_of_tables_build_with_texts(preset):
    data = kzoo.load_data(reviews(60), target="bought")
    model = kzoo.build(preset, data=data)
    x = np.array(data.train.x[:4])
    outputs = np.asarray(model(x))
    changed = x.copy()
    changed[:, -data.config["text_lengths"][1] :] = 0
    assert np.isfinite(outputs).all() and np.abs(np.asarray(model(changed)) - outputs).max() > 1e-6
    assert rebuild(kzoo.spec_of(model)).count_params() == model.count_params()


def test_contradicting_settings_are_refused():
    with refuses("text_buckets", "2", "text_lengths", "1"):
        kzoo.build("tabular_fnn", input_shape=(20,), text_buckets=(64, 64), text_lengths=(8,))
    with refuses("text_lengths", "30", "20"):
        kzoo.build("tabular_fnn", input_shape=(20,), text_buckets=(64,), text_lengths=(30,))


def test_a_table_of_texts_alone_is_learned(tmp_path):
    data = kzoo.load_data(reviews(60)[["review", "bought"]], target="bought")
    assert data.input_shape == data.config["text_lengths"]
    run = kzoo.train(
        "tabular_fnn", data, epochs=1, min_steps=0, progress=False, out=tmp_path / "run"
    )
    assert kzoo.predict(run, [{"review": "soft and warm"}]).labels[0] in ("yes", "no")


# Trained runs


def test_new_rows_may_lack_texts_and_be_in_another_language(run):
    row = {"age": 40, "size": "small", "title": "", "review": None}
    rows = [
        row,
        row | {"title": "   "},
        row | {"title": "NA"},
        row | {"review": "这件衣服很好"},
        row | {"title": 12},
    ]
    probabilities = kzoo.predict(run, rows).probabilities
    assert np.isfinite(probabilities).all()
    np.testing.assert_array_equal(probabilities[0], probabilities[1])
    np.testing.assert_array_equal(probabilities[0], probabilities[2])
    with refuses("'review'", "missing"):
        kzoo.predict(run, [{"age": 40, "size": "small", "title": "soft"}])


def test_encoded_rows_with_ids_that_no_text_has_are_refused(run):
    x = kzoo.load_data(reviews(), target="bought").train.x[:2].copy()
    kzoo.predict(run, x)
    x[1, -1] = run.spec.config["text_buckets"][1]
    with refuses("'review'", str(run.spec.config["text_buckets"][1])):
        kzoo.predict(run, x)


def test_checks_of_data_and_of_new_rows_understand_texts(run):
    assert not list(kzoo.check("tabular_fnn", reviews(), target="bought", deep=False))
    assert not list(kzoo.check(run, reviews(seed=5)))
    (finding,) = kzoo.check(run, reviews(seed=5).assign(review=None))
    assert_mentions(str(finding), "100%", "'review'", "12%")


def test_weights_follow_the_names_of_text_columns(run, tmp_path):
    renamed = reviews()[["age", "size", "review", "title", "bought"]]
    new = kzoo.train(
        "tabular_fnn",
        renamed,
        target="bought",
        units=(16,),
        epochs=1,
        min_steps=0,
        progress=False,
        weights=run,
        out=tmp_path / "new",
    )
    for old_name, new_name in (("text1", "text2"), ("text2", "text1")):
        (old,), (moved,) = (
            run.model.get_layer(old_name).get_weights(),
            new.model.get_layer(new_name).get_weights(),
        )
        np.testing.assert_array_equal(old, moved)


def test_a_form_and_a_display_have_texts(run):
    from kzoo.inference.kinds.rows import inference

    fields = {field["name"]: field for field in inference.form(run.preprocessing)["columns"]}
    assert fields["review"] == {"name": "review", "kind": "text", "default": ""}
    x = kzoo.load_data(reviews(), target="bought").train.x[:3]
    shown = inference.show(run.preprocessing, x, run.data.feature_names)
    assert shown.heads == ["age", "size", "title", "review"] and "ids" in shown.cells[0][2]


@pytest.mark.slow
def test_exports_and_the_runtime_read_raw_tables(run, tmp_path):
    import kzoo.runtime

    exported = kzoo.export(
        run, tmp_path / "exported", formats=["onnx", "litert"], quantize="int8", progress=False
    )
    rows = reviews(40, seed=7)
    expected = kzoo.predict(run, reviews(40, seed=7)).probabilities
    for format in ("onnx", "litert", "onnx_int8", "litert_int8"):
        probabilities = kzoo.runtime.load(exported.path, format=format).predict(rows).probabilities
        np.testing.assert_allclose(probabilities, expected, atol=0.1 if "int8" in format else 1e-5)


def test_a_search_varies_the_width_of_the_vectors_of_texts(tmp_path):
    frame = reviews(80)
    plain = frame.drop(columns=["title", "review"])
    for table, expected in ((frame, True), (plain, False)):
        plan = kzoo.tune(
            "tabular_fnn", table, target="bought", dry_run=True, units=(4,), progress=False
        )
        assert ("text_dim" in plan.space) == expected
    search = tune_here(
        "tabular_fnn",
        frame,
        target="bought",
        trials=4,
        engine="random",
        epochs=1,
        min_steps=0,
        units=(4,),
        out=tmp_path / "search",
        prune=None,
        progress=False,
    )
    widths = {trial.overrides.get("text_dim", 32) for trial in search.trials}
    assert len(widths) > 1 and widths <= {8, 16, 32, 64}
    best = search.best_model()
    width = search.best_trial().overrides.get("text_dim", 32)
    assert best.get_layer("text1").output.shape[-1] == width
