"""Texts that exported models continue, compared with Keras on the same windows."""

import itertools
import json

import library
import numpy as np
import pytest
from messages import refuses
from test_runtime_light import check, cold

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.zoo.untracked import as_run


def by_keras(run, text, start):
    """Return p of the tokens of a text from `start`, by Keras from the last window, without kzoo's code for prompts."""
    ids = [run.preprocessing["vocabulary"].index(c) + 2 for c in text]
    window = run.preprocessing["length"]
    rows = []
    for end in range(start, len(ids)):
        last = ids[max(end - window, 0) : end]
        x = np.array([last + [0] * (window - len(last))], "int32")
        rows.append(np.asarray(run.model.predict_on_batch(x), "float64")[0, len(last) - 1])
    return np.array(rows)


def likeliest(run, p):
    """Return the likeliest token of each row, except padding and unknown."""
    return "".join(run.preprocessing["vocabulary"][i] for i in p[:, 2:].argmax(1))


def recorded(model, prompt, **settings):
    """Return the text that an exported model generates, and p of each token."""
    generation = model.generation(prompt, **settings)
    pieces = [prompt]
    rows = []
    for _ in range(settings["length"]):
        outputs = model.run(generation.window())
        rows.append(generation.last_step(outputs))
        pieces.append(model.next_token(generation, outputs))
    return "".join(pieces), np.array(rows)


def test_an_export_continues_a_text_as_keras_does(language):
    model = kzoo.runtime.load(language.exported)
    length = 3 * language.run.preprocessing["length"]
    for prompt, temperature in (("to be", 0), ("to be or not to be that", 2), ("to be", 2)):
        text, q = recorded(model, prompt, length=length, temperature=temperature)
        p = by_keras(language.run, text, len(prompt))
        assert np.abs(p - q).max() < 1e-5
        assert (likeliest(language.run, p) == text[len(prompt) :]) == (temperature == 0)
        assert model.generate(prompt, length=length, temperature=temperature) == text
    assert list(model.stream("to be", length=4, temperature=2)) == list(text[5:9])


def test_the_same_seed_gives_the_text_of_kzoo_generate_within_a_window(language):
    """A recurrent run keeps its state, which is that of the window until the text is longer."""
    model = kzoo.runtime.load(language.exported)
    window = language.run.preprocessing["length"]
    for settings in (
        dict(seed=3),
        dict(temperature=2.0, top_k=5),
        dict(temperature=1.5, top_p=0.8, seed=7),
    ):
        settings["length"] = window - 5
        assert model.generate("to be", **settings) == kzoo.generate(
            language.run, "to be", **settings
        )
    assert model.generate(seed=1, length=9) == kzoo.generate(language.run, seed=1, length=9)


def test_a_stream_computes_a_token_when_it_is_asked_for(language, monkeypatch):
    model = kzoo.runtime.load(language.exported)
    pieces = model.stream("to be", length=1_000_000)
    assert len(list(itertools.islice(pieces, 7))) == 7


def test_a_text_without_keras_from_cold(language):
    words = [str(language.exported), "to be", "--length", "12"]
    code = f"import kzoo.cli; assert kzoo.cli.main(['predict', *{words!r}]) == 0"
    check(cold(code), pillow=False)


def test_the_command_line_continues_a_text_with_an_export(language, capsys):
    command = ["predict", str(language.exported), "to be", "--length", "12", "--temperature", "0.5"]
    text = kzoo.runtime.load(language.exported).generate("to be", length=12, temperature=0.5)
    assert main(command) == 0
    assert capsys.readouterr().out == text + "\n"
    assert main([*command, "--format", "onnx", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == text


def test_what_is_no_text_to_continue_is_refused(language, rows, capsys):
    model = kzoo.runtime.load(language.exported)
    for settings, parts in (
        (dict(length=0), ("length=0",)),
        (dict(temperature=-1), ("temperature=-1",)),
        (dict(top_k=True), ("top_k=True",)),
        (dict(top_p=0), ("top_p=0",)),
        (dict(seed=0.5), ("seed=0.5",)),
        (dict(prompt=b"to be"), ("prompt=", "string")),
        (dict(prompt="中"), ("'中'", "vocabulary")),
    ):
        with refuses(*parts):
            model.stream(**settings)
    with refuses("language model"):
        kzoo.runtime.load(rows.exported).generate("to be")
    with refuses("kzoo.runtime.load"):
        kzoo.generate(str(language.exported), "to be")
    for words, parts in (
        ([str(rows.exported), "to be", "--length", "5"], ("--length 5", "language model")),
        (
            [str(language.exported), "to be", "--length", "5", "--weights", "w"],
            ("--weights w", "presets"),
        ),
        ([str(language.exported), "to be", "--length", "5", "--format", "litert"], ("litert",)),
    ):
        assert main(["predict", *words]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and all(part in error for part in parts), error


def test_a_vocabulary_is_needed(language, tmp_path):
    library.copied(language.exported, tmp_path / "ids")
    document = json.loads((tmp_path / "ids" / "kzoo.json").read_text())
    (tmp_path / "ids" / "kzoo.json").write_text(json.dumps(document | {"preprocessing": None}))
    with refuses("vocabulary"):
        kzoo.runtime.load(tmp_path / "ids").generate("to be")


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["char_gru", "char_gpt"])
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_a_thousand_tokens_equal_those_of_keras(preset, format, tmp_path):
    run = as_run(preset)
    kzoo.export(preset, tmp_path / "exported", formats=format)
    model = kzoo.runtime.load(tmp_path / "exported")
    for temperature in (0, 1):
        text, q = recorded(model, "ROMEO:\n", length=1000, temperature=temperature, seed=3)
        p = by_keras(run, text, 7)
        assert np.abs(p - q).max() < 1e-5
        assert (likeliest(run, p) == text[7:]) == (temperature == 0)
