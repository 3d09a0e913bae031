"""Text from language models, and their score in a single pass, compared with a plainly built network and NumPy."""

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from messages import assert_mentions, refuses
from trained import fit

import kzoo
from kzoo.cli import main
from kzoo.data.store.windows import Windows
from kzoo.inference.kinds.text.inference import tokenizer_of
from kzoo.utils.errors import KzooError

VERSES = (
    "the cat sat on the mat and looked at the rat.\n"
    "the rat ran to the hat, and the cat ran after that.\n"
    "a dog came in with a bone; the cat was then alone.\n"
    "to be or not to be, that is the question for me.\n"
)


@pytest.fixture(scope="module")
def verses(tmp_path_factory):
    random = np.random.default_rng(0)
    lines = VERSES.splitlines(keepends=True)
    file = tmp_path_factory.mktemp("verses") / "verses.txt"
    file.write_text("".join(random.choice(lines, 160)))
    return file


@pytest.fixture(scope="module")
def gru(verses):
    settings = dict(
        input_shape=(12,),
        units=(32,),
        embedding_dim=8,
        dropout=0.0,
        learning_rate=0.02,
        batch_size=16,
    )
    return fit("char_gru", verses, verses.parent / "gru", epochs=10, **settings)


@pytest.fixture(scope="module")
def forgetful(verses):
    """Trained on single characters: with earlier ones in its state it answers differently."""
    settings = dict(
        input_shape=(1,),
        units=(32,),
        embedding_dim=8,
        dropout=0.0,
        learning_rate=0.01,
        batch_size=64,
    )
    return fit("char_gru", verses, verses.parent / "forgetful", **settings)


@pytest.fixture(scope="module")
def transformer(verses):
    settings = dict(
        input_shape=(16,), width=16, depth=1, num_heads=2, intermediate_dim=32, learning_rate=0.01
    )
    folder = verses.parent / "transformer"
    return fit("char_transformer", verses, folder, epochs=1, batch_size=64, **settings)


@pytest.fixture(scope="module")
def words(verses):
    settings = dict(input_shape=(5,), units=(16,), embedding_dim=8, dropout=0.0, learning_rate=0.01)
    folder = verses.parent / "words"
    return fit("language_gru", verses, folder, epochs=1, batch_size=64, **settings)


def whole(run, ids):
    """Return p (T, V) after each of T ids, from the network built for T steps, without state."""
    return np.asarray(long_network(run, len(ids)).predict(np.array([ids], "int32"), verbose=0))[
        0
    ].astype("float64")


@cache
def long_network(run, length):
    preset = kzoo.get_preset(run.config["spec"]["preset"])
    config = {
        name: value for name, value in run.config["spec"]["config"].items() if name in preset.config
    }
    model = kzoo.build(preset, compile=False, **config | dict(input_shape=(length,), pooling=None))
    model.set_weights(run.model.get_weights())
    return model


def ids_of(run, text):
    return [run.preprocessing["vocabulary"].index(c) + 2 for c in text]


def test_greedy_generation_picks_the_likeliest_character(gru):
    prompt = "the dog "
    text = kzoo.generate(gru, prompt, length=60, temperature=0)
    assert len(text) == len(prompt) + 60 and text.startswith(prompt)  # many times the window
    p = whole(gru, ids_of(gru, text))
    vocabulary = np.array(["", "", *gru.preprocessing["vocabulary"]])
    p[:, :2] = 0
    assert "".join(vocabulary[p.argmax(1)][len(prompt) - 1 : -1]) == text[len(prompt) :]
    assert text == kzoo.generate(str(gru.path), prompt, length=60, top_k=1, seed=5)
    assert len(set(text[len(prompt) :])) > 4, "a text, not one letter"


def test_a_recurrent_model_remembers_more_than_its_window(forgetful):
    """Its text is likelier after all the characters before than after the last character alone."""
    ids = np.array(ids_of(forgetful, kzoo.generate(forgetful, "the ", length=300)))
    drawn = ids[4:]
    each = np.arange(300)
    remembered = whole(forgetful, ids)[3:-1][each, drawn]
    alone = np.asarray(forgetful.model(ids[3:-1, None], training=False))[:, 0][each, drawn]
    assert np.log(remembered / alone).sum() > 5


def test_a_second_text_uses_the_same_network_with_its_current_weights(gru, monkeypatch):
    run = kzoo.Run(gru.path)
    options = dict(length=20, temperature=0)
    text = kzoo.generate(run, "the ", **options)
    weights = run.model.get_weights()
    monkeypatch.delattr(sys.modules["kzoo.evaluation.generate"], "rebuild")
    assert kzoo.generate(run, "the ", **options) == text
    # all tokens are equally likely: the first is drawn
    run.model.set_weights([np.zeros_like(w) for w in weights])
    assert len(set(kzoo.generate(run, "the ", **options)[4:])) == 1 < len(set(text[4:]))
    run.model.set_weights(weights)
    assert kzoo.generate(run, "the ", **options) == text


def test_the_same_seed_gives_the_same_text(gru):
    first, same, other = (kzoo.generate(gru, "a ", length=40, seed=seed) for seed in (3, 3, 4))
    assert first == same != other


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, None, None), (2.0, None, None), (1.5, 4, None), (1.5, None, 0.7), (2, 6, 0.8)],
)
def test_draws_follow_the_softmax_of_the_scaled_logits(gru, temperature, top_k, top_p):
    """The sum of log q over the text drawn lies within four deviations of its expectation under q alone."""

    def q(p, temperature, top_k):
        logits = np.log(p[:, 2:]) / temperature
        if top_k:
            least = np.sort(logits, axis=1)[:, -top_k, None]
            logits = np.where(logits >= least, logits, -np.inf)
        e = np.exp(logits - logits.max(1, keepdims=True))
        e /= e.sum(1, keepdims=True)
        if top_p:
            for row in e:  # token by token, the likeliest first, until they have the share
                order = np.argsort(-row)
                share = 0.0
                for token in order:
                    share, row[token] = share + row[token], row[token] * (share < top_p)
        return e / e.sum(1, keepdims=True)

    def deviations(q):
        log = np.log(np.maximum(q, 1e-300))
        mean = (q * log).sum(1)
        variance = (q * log**2).sum(1) - mean**2
        return (log[np.arange(len(drawn)), drawn] - mean).sum() / np.sqrt(variance.sum())

    text = kzoo.generate(gru, "the ", length=500, temperature=temperature, top_k=top_k, top_p=top_p)
    ids = ids_of(gru, text)
    p, drawn = whole(gru, ids)[3:-1], np.array(ids[4:]) - 2
    assert abs(deviations(q(p, temperature, top_k))) < 4
    assert abs(deviations(q(p, temperature * 2, top_k))) > 4, (
        "the test must see another temperature"
    )


@pytest.mark.parametrize("kind", ["transformer", "words"])
def test_a_fixed_window_slides_over_the_text(kind, request):
    """The text is longer than the window; `predict` cuts and pads by itself, in front."""
    run = request.getfixturevalue(kind)
    space = " " if kind == "words" else ""
    prompt = "the cat"
    length = 2 * run.preprocessing["length"]
    text = prompt
    for _ in range(length):
        answer = kzoo.predict(run, text)
        text += space + answer.class_names[2 + answer.probabilities[0, 2:].argmax()]
    assert kzoo.generate(run, prompt, length=length, temperature=0) == text


def test_an_empty_prompt_begins_a_new_text(gru, words):
    begun = kzoo.generate(gru, "\n", length=20, temperature=0)
    assert kzoo.generate(gru, length=20, temperature=0) == begun[1:]
    frequent = words.preprocessing["vocabulary"][0]
    begun = kzoo.generate(words, frequent, length=5, temperature=0)
    assert kzoo.generate(words, length=5, temperature=0) == begun.removeprefix(frequent + " ")


def test_unknown_characters_are_read_but_never_generated(verses, gru):
    small = dict(units=(4,), learning_rate=0.05, batch_size=128, epochs=3)
    few = fit(
        "char_gru", verses, verses.parent / "few", input_shape=(12,), vocabulary_size=5, **small
    )
    vocabulary = set(few.preprocessing["vocabulary"])
    p = kzoo.predict(few, "xyz the").probabilities[0]
    assert p.argmax() == 1, "here the unknown is the likeliest"
    for settings in (dict(temperature=0), dict(temperature=3.0)):
        text = kzoo.generate(few, "xyz the", length=80, **settings)
        assert text.startswith("xyz the") and set(text[7:]) <= vocabulary
    with refuses("'中', 'Z'", "prompt"):
        kzoo.generate(gru, "中ZZ")
    assert kzoo.generate(gru, "中ZZ the", length=3).startswith("中ZZ the")


def test_stateful_scores_equal_those_of_a_long_forward_pass(gru, verses):
    settings = {part: gru.config["spec"][part] for part in ("family", "task", "config", "training")}
    data = kzoo.load_data(verses, preset=kzoo.Preset(name="toy", summary="", **settings))
    ids = data.test.x.values
    p = whole(gru, ids[:-1])
    nats = -np.log(p[np.arange(len(p)), ids[1:]])
    scores = kzoo.evaluate(gru, data, stateful=True)
    assert len(ids) > 600 and scores["tokens"] == len(ids) - 1
    assert scores["loss"] == pytest.approx(nats.mean(), rel=1e-5)
    assert scores["bits_per_token"] == pytest.approx(nats.mean() / np.log(2), rel=1e-5)
    assert scores["accuracy"] == pytest.approx((p.argmax(1) == ids[1:]).mean())
    windowed = kzoo.evaluate(gru, data)
    assert scores["loss"] < windowed["loss"] == pytest.approx(gru.summary["test"]["loss"])
    assert kzoo.evaluate(gru.model, data, stateful=True) == scores
    longer = kzoo.evaluate(gru, data, stateful=True, split="train")
    assert longer["tokens"] == len(data.train.x.values) - 1


def test_stateful_scores_of_words(words, verses, tmp_path):
    copy = shutil.copy(verses, tmp_path / "more.txt")
    ids = tokenizer_of(words.preprocessing).ids(verses.read_text())
    p = whole(words, ids[:-1])
    scores = kzoo.evaluate(words, copy, stateful=True)
    assert scores["tokens"] == len(ids) - 1
    assert scores["loss"] == pytest.approx(-np.log(p[np.arange(len(p)), ids[1:]]).mean(), rel=1e-4)


@pytest.mark.parametrize("family", ["rnn", "lstm"])
def test_stateful_scores_with_every_recurrent_cell(family, verses):
    base = kzoo.get_preset("char_gru")
    small = dict(input_shape=(7,), units=(6, 5), embedding_dim=4, layer_norm=True, dense_units=(8,))
    preset = replace(base, name="deep", family=family, config=base.config | small)
    data = kzoo.load_data(verses, preset=preset)
    ids = data.test.x.values
    sizes = {name: data.config[name] for name in ("outputs", "vocabulary_size")}
    model = kzoo.build(preset, compile=False, seed=1, **sizes)
    longer = kzoo.build(preset, compile=False, **sizes | dict(input_shape=(len(ids) - 1,)))
    longer.set_weights([1.5 * w for w in model.get_weights()])
    model.set_weights(longer.get_weights())
    p = longer.predict(ids[None, :-1], verbose=0)[0]
    nats = -np.log(p[np.arange(len(p)), ids[1:]]).mean()
    assert kzoo.evaluate(model, data, stateful=True)["loss"] == pytest.approx(nats, rel=1e-5)


@pytest.mark.parametrize("length, tokens", [(12, 600), (7, 45), (12, 9), (1, 9)])
def test_the_window_of_a_transformer_moves_by_half_its_length(length, tokens, verses):
    """Each position is read from the first window, at a multiple of half the length, that holds it."""
    preset = kzoo.get_preset("char_gpt")
    small = dict(input_shape=(length,), width=8, depth=1, num_heads=2, intermediate_dim=8)
    preset = replace(preset, config=preset.config | small)
    data = kzoo.load_data(verses, preset=preset)
    model = kzoo.build(
        preset, compile=False, seed=1, **{n: data.config[n] for n in ("outputs", "vocabulary_size")}
    )
    model.set_weights([1.2 * w for w in model.get_weights()])
    ids = data.test.x.values[: tokens + 1]
    half = max(length // 2, 1)
    positions = np.arange(tokens)
    starts = np.where(positions < length, 0, -(-(positions - length + 1) // half) * half)
    # what comes after is not seen
    rows = np.pad(ids[:-1], (0, length))[starts[:, None] + np.arange(length)]
    p = np.asarray(model(rows, training=False))[positions, positions - starts]
    part = replace(data.test, x=Windows(ids, [0], length))
    scores = kzoo.evaluate(model, replace(data, test=part), stateful=True)
    assert scores["tokens"] == tokens
    assert scores["loss"] == pytest.approx(-np.log(p[positions, ids[1:]]).mean(), rel=1e-5)


def test_evaluate_stateful_on_the_command_line(gru, verses, capsys):
    assert main(["evaluate", str(gru.path), "--data", str(verses), "--stateful", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert scores == pytest.approx(kzoo.evaluate(gru, verses, stateful=True))


def test_train_suggests_a_command_that_generates_text(gru, verses, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # a longer path would be wrapped
    settings = ["input_shape=12", "units=4", "embedding_dim=2", "epochs=1"]
    command = ["train", "char_gru", "--data", str(verses), "--out", "a run", "--quiet", "--set"]
    assert main([*command, *settings]) == 0
    shown = capsys.readouterr().out
    (line,) = [line for line in shown.splitlines() if "kzoo predict" in line]
    program, *words = shlex.split(line[line.index("kzoo ") :])
    assert program == "kzoo" and line.split()[0] == "generate" and main(words) == 0
    assert len(capsys.readouterr().out) > 150
    assert main(["show", "char_gru"]) == 0
    assert 'kzoo predict char_gru "" --length 200' in capsys.readouterr().out


class Terminal(io.StringIO):
    """What is printed, and how much of it at each flush."""

    def __init__(self):
        super().__init__()
        self.lengths = []

    def flush(self):
        self.lengths.append(len(self.getvalue()))


def test_a_text_is_printed_token_by_token_on_the_command_line(gru, monkeypatch, capsys, tmp_path):
    options = [
        "--length",
        "30",
        "--temperature",
        "0.8",
        "--seed",
        "3",
        "--top-k",
        "9",
        "--top-p",
        "0.9",
    ]
    settings = dict(length=30, temperature=0.8, seed=3, top_k=9, top_p=0.9)
    command = ["predict", str(gru.path), "the dog "]
    text = kzoo.generate(gru, "the dog ", **settings)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal := Terminal())
        assert main([*command, *options]) == 0
    assert terminal.getvalue() == text + "\n" and set(range(8, 39)) <= set(terminal.lengths)
    capsys.readouterr()
    assert main([*command, *options, "--json", "--out", str(tmp_path / "a.txt")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == settings | dict(
        run=str(gru.path), prompt="the dog ", text=text, out=str(tmp_path / "a.txt")
    )
    assert main([*command, *options, "--out", str(tmp_path / "b.txt")]) == 0
    assert capsys.readouterr().out == f"{text}\nWritten to {tmp_path / 'b.txt'}\n"
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b.txt").read_text() == text + "\n"


def test_a_text_from_a_file_or_standard_input_is_continued(gru, monkeypatch, capsys, tmp_path):
    text = kzoo.generate(gru, "the cat\nsat", length=20, temperature=0)
    (tmp_path / "verse.txt").write_text("the cat\nsat\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("the cat\nsat\n"))
    for word in ("-", str(tmp_path / "verse.txt")):
        assert main(["predict", str(gru.path), word, "--length", "20", "--temperature", "0"]) == 0
        assert capsys.readouterr().out == text + "\n"


def test_without_options_a_language_model_predicts_the_next_token(gru, capsys):
    assert main(["predict", str(gru.path), "the ca", "--top", "2", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["predictions"]
    assert row["label"] == "t" and len(row["classes"]) == 2


def test_any_option_of_generation_continues_a_text(gru, capsys):
    for option, value in (("temperature", 0), ("top_k", 1), ("top_p", 0.01), ("seed", 4)):
        assert (
            main(["predict", str(gru.path), "the ", f"--{option.replace('_', '-')}", str(value)])
            == 0
        )
        assert capsys.readouterr().out == kzoo.generate(gru, "the ", **{option: value}) + "\n"


def test_an_interrupted_text_ends_its_line(gru, capsys, monkeypatch):
    def stream(run, prompt, sampling):
        yield "cat"
        raise KzooError("no more")

    monkeypatch.setattr(sys.modules["kzoo.evaluation.generate"], "stream", stream)
    assert main(["predict", str(gru.path), "the ", "--length", "9"]) == 2
    assert capsys.readouterr() == ("the cat\n", "kzoo: error: no more\n")


def test_the_command_line_refuses_options_that_do_not_fit(gru, iris_run, capsys, tmp_path):
    (tmp_path / "table.csv").write_text("text\nthe cat\n")
    command = ["predict", str(gru.path), "the "]
    for words, parts in (
        (
            ["predict", str(iris_run.path), "new.csv", "--length", "9"],
            ("--length 9", "language model", "char_gru"),
        ),
        (["predict", str(iris_run.path), "new.csv", "--seed", "0"], ("--seed 0", "language model")),
        ([*command, "--length", "9", "--top", "5"], ("--top 5", "--length 9")),
        ([*command, "--length", "9", "--tta", "mirror"], ("--tta mirror", "--length 9")),
        (
            [*command, "--temperature", "0.5", "--plot", "a.png"],
            ("--plot a.png", "--temperature 0.5"),
        ),
        ([*command, "--length", "9", "--keep", "id"], ("--keep id", "--length 9")),
        ([*command, "--length", "9", "--header-row", "2"], ("--header-row 2", "--length 9")),
        ([*command, "--length", "9", "--format", "onnx"], ("--format onnx", "run")),
        ([*command, "--length", "9", "--out", "text.csv"], ("text.csv", ".txt")),
        ([*command, "--length", "9", "--out", "missing/text.txt"], ("missing", "folder")),
        ([*command, "a dog", "--length", "9"], ("--length", "2 were passed", "quotes")),
        ([*command, "--length", "0"], ("--length 0", "1")),
        ([*command, "--length", "many"], ("--length", "many")),
        ([*command, "--temperature", "-1"], ("--temperature -1",)),
        ([*command, "--temperature", "nan"], ("--temperature nan",)),
        ([*command, "--top-p", "1.5"], ("--top-p 1.5",)),
        ([*command, "--top-k", "0"], ("--top-k 0",)),
        ([*command, "--seed", "-1"], ("--seed -1",)),
        (["predict", str(gru.path), "中", "--length", "9"], ("'中'", "vocabulary")),
        (
            ["predict", str(gru.path), "missing.txt", "--length", "9"],
            ("missing.txt", "does not exist"),
        ),
        (["predict", str(gru.path), str(tmp_path), "--length", "9"], ("folder", "text")),
        (
            ["predict", str(gru.path), str(tmp_path / "table.csv"), "--length", "9"],
            ("table", "text"),
        ),
    ):
        assert main(words) == 2, words
        out, error = capsys.readouterr()
        assert not out.strip() and error.count("\n") == 1, error
        assert_mentions(error, *parts)


def test_generate_refuses_bad_arguments(gru, transformer, iris_run, verses):
    for call, parts in (
        (
            lambda: kzoo.generate(iris_run),
            (str(iris_run.path), "tabular_classification", "char_gru"),
        ),
        (lambda: kzoo.generate("nowhere"), ("nowhere", "run")),
        (lambda: kzoo.generate(gru, length=0), ("length=0", "1")),
        (lambda: kzoo.generate(gru, length=2.5), ("length=2.5", "1")),
        (lambda: kzoo.generate(gru, temperature=-1), ("temperature=-1",)),
        (lambda: kzoo.generate(gru, temperature=float("nan")), ("temperature=nan",)),
        (lambda: kzoo.generate(gru, temperature="hot"), ("temperature='hot'",)),
        (lambda: kzoo.generate(gru, top_k=0), ("top_k=0", "1")),
        (lambda: kzoo.generate(gru, top_p=0), ("top_p=0", "1")),
        (lambda: kzoo.generate(gru, top_p=1.2), ("top_p=1.2", "0")),
        (lambda: kzoo.generate(gru, seed=-1), ("seed=-1",)),
        (lambda: kzoo.generate(gru, 3), ("prompt=3", "string")),
        (lambda: kzoo.evaluate(iris_run, stateful=True), ("stateful=True", "'iris_fnn'")),
    ):
        with refuses(*parts) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_write_the_same_text(gru, verses, backend):
    script = (
        "import kzoo, sys; run, data = sys.argv[1:];"
        "print(repr([kzoo.generate(run, 'the ', length=30, temperature=0), kzoo.evaluate(run, data, stateful=True)]))"
    )
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", script, gru.path, verses],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    text, scores = eval(done.stdout.splitlines()[-1])
    assert text == kzoo.generate(gru, "the ", length=30, temperature=0)
    assert scores == pytest.approx(kzoo.evaluate(gru, verses, stateful=True), rel=1e-4)


def test_hinge_is_refused_for_language_models(verses, tmp_path):
    with refuses("loss='hinge'", "language_modeling", "auto", "focal", "kl"):
        kzoo.train("char_gru", verses, out=tmp_path / "run", loss="hinge", progress=False)
    assert not (tmp_path / "run").exists()


def test_an_old_run_trained_with_hinge_is_scored_by_accuracy_only(gru, tmp_path):
    (tmp_path / "new.txt").write_text(VERSES[:60] * 2)
    shutil.copytree(gru.path, tmp_path / "old")
    config = json.loads((tmp_path / "old" / "config.json").read_text())
    config["answers"] = "scores"
    config["spec"]["training"]["loss"] = "hinge"
    (tmp_path / "old" / "config.json").write_text(json.dumps(config))
    for more in ({}, {"stateful": True}):
        scores, before = (
            kzoo.evaluate(run, tmp_path / "new.txt", **more) for run in (tmp_path / "old", gru)
        )
        assert (scores["loss"], scores["bits_per_token"], scores["perplexity"]) == (
            None,
            None,
            None,
        )
        assert scores["accuracy"] == before["accuracy"] > 0.3 and before["loss"] > 0
    answer = kzoo.predict(tmp_path / "old", ["the cat sat "])
    assert (
        answer.probabilities is None and answer.labels == kzoo.predict(gru, ["the cat sat "]).labels
    )
    summary = json.loads((tmp_path / "old" / "summary.json").read_text())
    summary["test"] = scores
    (tmp_path / "old" / "summary.json").write_text(json.dumps(summary))
    page, with_loss = (
        kzoo.report(run, out=tmp_path).read_text(encoding="utf-8")
        for run in (tmp_path / "old", gru)
    )
    assert_mentions(
        page,
        f"{scores['accuracy']:.1%}".replace("%", " %"),
        f"{scores['majority']:.1%}".replace("%", " %"),
    )
    bits = re.compile(r"\d bits\b")
    assert bits.search(with_loss) and not bits.search(page)
