"""`kzoo predict RUN TEXT --length 200`: continue a text with a language model, printed token by token."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from kzoo.cli import keras_import, shared
from kzoo.inference.kinds.text.folders import is_file_name
from kzoo.inference.kinds.text.generation import Generation, Sampling
from kzoo.inference.sources.files import read_text
from kzoo.inference.tables.files import is_table
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject, whole_file
from kzoo.utils.formatting import shown
from kzoo.zoo.untracked import as_run

_FOR_PREDICTIONS = ("plot", "tta", "keep", "sheet", "header_row")


def continue_text(args: argparse.Namespace, settings: JsonObject) -> JsonObject:
    """Return the document of `kzoo predict` with a text instead of predictions.

    Without --json it has `pieces`, an iterator over the texts to print, instead of `text`.

    Args:
        args: the arguments of the command.
        settings: the arguments of `Sampling` that the user has set.

    Raises:
        KzooError: an option or an input that does not fit, or a model that is not a language model.
    """
    name, value = next(iter(settings.items()))
    option = f"--{name.replace('_', '-')}"
    others = {name: getattr(args, name) for name in _FOR_PREDICTIONS} | {
        "top": args.top if args.top != 1 else None
    }
    for other, setting in others.items():
        if setting:
            setting = setting[0] if other == "keep" else setting
            raise KzooError(
                f"--{other.replace('_', '-')} {setting} is for predictions, and {option} {value} continues a text: "
                "remove one."
            )
    sampling = Sampling(**settings)
    shared.check_output_file("out", args.out, (".txt",))
    open_model = _export if (Path(args.run) / "kzoo.json").is_file() else _run
    stream = open_model(args, f"{option} {value}")
    prompt = _prompt(args.inputs, option)
    pieces = stream(prompt, sampling)
    document = dict(run=args.run, prompt=prompt, **asdict(sampling))
    if args.out is not None:
        document["out"] = args.out
    if not args.json:
        return document | dict(pieces=_printed(prompt, pieces, args.out))
    text = prompt + "".join(pieces)
    _save(text, args.out)
    return document | dict(text=text)


def _run(args: argparse.Namespace, option: str) -> Callable[[str, Sampling], Iterator[str]]:
    """Return the function from a prompt and a `Sampling` to the texts that each token adds, for a run."""
    if args.format is not None:
        raise KzooError(
            f"--format {args.format} is for exported models, and {args.run} is a run. Remove --format."
        )
    run = as_run(args.run, args.weights)
    if not run.problem.continues_inputs:
        raise _no_language_model(args.run, option)

    def stream(prompt: str, sampling: Sampling) -> Iterator[str]:
        # refuses a prompt before the seconds that Keras takes
        Generation(run.preprocessing, prompt, sampling)
        return keras_import.import_quietly("kzoo.evaluation.generate").stream(run, prompt, sampling)

    return stream


def _export(args: argparse.Namespace, option: str) -> Callable[[str, Sampling], Iterator[str]]:
    """Return the same function for an exported model."""
    if args.weights is not None:
        raise KzooError(
            f"--weights {args.weights} is for presets, and {args.run} is an exported model. Remove --weights."
        )
    with keras_import.silence():
        model = import_module("kzoo.runtime").load(args.run, args.format)
    if not model.continues:
        raise _no_language_model(args.run, option)
    return lambda prompt, sampling: model.stream(prompt, **asdict(sampling))


def _no_language_model(run: str, option: str) -> KzooError:
    return KzooError(
        f"{option} continues a text, and {run} is not a language model. Remove {option.split()[0]}, or train a "
        "language model such as char_gru."
    )


def _prompt(words: Sequence[str], option: str) -> str:
    """Return the text to continue: a word of the command line, a text file, or standard input for -."""
    if len(words) > 1:
        raise KzooError(
            f"{option} continues one text, and {len(words)} were passed. Put the text in quotes, and remove the others."
        )
    (word,) = words
    if word == "-":
        return sys.stdin.read().removesuffix("\n")
    if not is_file_name(word) and not os.path.exists(word):
        return word
    if not os.path.exists(word):
        raise KzooError(
            f"File {shown(word)} does not exist. Pass a text that looks like a file name by -."
        )
    if os.path.isdir(word) or is_table(word):
        noun = "folder" if os.path.isdir(word) else "table"
        raise KzooError(
            f"{shown(word)} is a {noun}, and {option} continues one text. Pass a text or a text file."
        )
    notes: list = []
    text = read_text(word, notes)
    for note in notes:
        warn(note)
    return text.removesuffix("\n")


def _printed(prompt: str, pieces: Iterable[str], out: str | None) -> Iterator[str]:
    """Yield the text as it grows; then write it to a file."""
    text = [prompt]
    yield prompt
    for piece in pieces:
        text.append(piece)
        yield piece
    _save("".join(text), out)
    if out is not None:
        yield f"\nWritten to {out}"


def _save(text: str, out: str | None) -> None:
    if out is None:
        return
    with whole_file(out) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", newline="")
