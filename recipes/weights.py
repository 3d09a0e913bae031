"""Trained weights for the package: train or take a run, round to float16, score again, write file and index entry.

python recipes/weights.py digits_cnn-digits                        a named set: trained, scored, written
python recipes/weights.py text_ngrams-reviews --data reviews/      data of a place of its own
python recipes/weights.py cifar_speed-cifar10 --data cifar/ --run runs/cifar_speed-01    a run that is finished
python recipes/weights.py --list                                   what there may be, and what there is

`WEIGHTS` below says what each is trained on, where that comes from and under which licence: none that forbids or binds
what is made of the data (ND, SA, NC). The file goes to
`kzoo/weights/`, a few test examples to `tests/weights/`, where a test scores them again. An entry has to take at most
4 MB, all of them 16 MB. The test split is scored here once more, by the rounded weights, and nothing is chosen by it.
"""

# %%
import argparse
import hashlib
import io
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

import kzoo
from kzoo import weights
from kzoo.data.named_loaders import waves
from kzoo.data.reload import load_again
from kzoo.kinds import kind
from kzoo.kinds.text.fitting import read_folder
from kzoo.loading import weights_by_name
from kzoo.sources.tables.frame import as_frame
from kzoo.utils.files import finite, whole_file, write_json, write_text
from kzoo.weights.packaged import PretrainedWeights

SAMPLES = Path(__file__).parent.parent / "tests" / "weights"
MOST, MOST_IN_ALL = 4_000_000, 16_000_000  # bytes
EXAMPLES = 48  # of a sample
CHARACTERS = 4_000  # of a sample of plain text

# %% What is trained on what
_DIGITS = dict(data="8x8 handwritten digits", source="https://archive.ics.uci.edu/dataset/80", licence="CC BY 4.0")
_CIFAR = dict(
    data="CIFAR-10, stored as JPEG files",
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated by its makers",
)
_FASHION = dict(data="Fashion-MNIST", source="https://github.com/zalandoresearch/fashion-mnist", licence="MIT")
_REVIEWS = dict(
    data="English sentences of film reviews",
    source="https://www.cs.cornell.edu/people/pabo/movie-review-data/",
    licence="none stated by its makers",
    elsewhere="On 958 English reviews of clothes its accuracy was 50%, where the most frequent class has 81%.",
)
_WAIMAI = dict(
    data="Chinese reviews of delivered meals",
    source="https://github.com/SophonPlus/ChineseNlpCorpus",
    licence="none stated by its makers",
    elsewhere="On Chinese reviews of another trade its accuracy was 54%, where the most frequent class has 70%.",
    options=dict(target="label"),
    labels={0: "negative", 1: "positive"},
)
_SINE = dict(data="generated hours, a day and a week of sines with noise", source="kzoo itself makes it")
_SHAKESPEARE = dict(
    data="40,000 lines of Shakespeare",
    source="https://github.com/karpathy/char-rnn/tree/master/data/tinyshakespeare",
    licence="public domain",
)
WEIGHTS = {
    "digits_cnn-digits": _DIGITS | dict(named="digits"),
    "fashion_cnn-fashion_mnist": _FASHION | dict(named="fashion_mnist"),
    "cifar_speed-cifar10": _CIFAR,
    "cifar_resnet-cifar10": _CIFAR,
    "text_ngrams-reviews": _REVIEWS,
    "text_ngrams-waimai": _WAIMAI,
    "series_linear-sine": _SINE | dict(named="sine", licence="Apache-2.0"),
    "char_gru-shakespeare": _SHAKESPEARE,
    "char_gru_deep-shakespeare": _SHAKESPEARE,
    "char_gpt-shakespeare": _SHAKESPEARE,
}


# %% Round
def rounded(array):
    """Return float16, or float32 where float16 cannot hold what is there."""
    small = np.asarray(array, "float16")
    return small if np.isfinite(small).all() else np.asarray(array, "float32")


def packed(run, name):
    """Return the bytes of the file with a run's weights."""
    config = {key: value for key, value in run.config.items() if key not in ("machine", "network", "created")}
    texts = dict(config=config, preprocessing=run.preprocessing)
    texts = {key: json.dumps(value, ensure_ascii=False).encode() for key, value in texts.items()}
    texts = {key: np.frombuffer(text, "uint8") for key, text in texts.items()}
    content = io.BytesIO()
    np.savez_compressed(content, **texts, **{key: rounded(array) for key, array in weights_by_name(run.model).items()})
    if content.tell() > MOST:
        raise kzoo.KzooError(f"{name} takes {content.tell():,} bytes, and {MOST:,} is the most.")
    return content.getvalue()


# %% Score
def whole(scores):
    """Return the scores that are numbers or lists of them."""
    return {key: value for key, value in finite(scores).items() if isinstance(value, int | float | list)}


def tabled(data):
    """Return what needs no network on the same split: label -> score, and the name of that score."""
    found = kzoo.baselines.score(data, seconds=900)  # of all rows, as the network
    return found[0].metric, {one.label: one.value for one in found if one.value is not None}


# %% A sample
def sample(run, data, source, name):
    """Write a few test examples as a user would bring them, and return what to evaluate."""
    SAMPLES.mkdir(exist_ok=True)
    facts = data.problem.facts | kind(data.inputs).facts
    if "pixels" in facts:
        some = np.linspace(0, len(data.test) - 1, EXAMPLES).astype(int)
        file = SAMPLES / f"{name}.npz"
        with whole_file(file) as temporary, open(temporary, "wb") as stream:
            names = np.array(data.class_names)[np.asarray(data.test.y[some])]
            np.savez_compressed(stream, x=np.asarray(data.test.x[some]).astype("uint8"), y=names)
        return file
    if "continues" in facts:
        file = SAMPLES / f"{name}.txt"
        write_text(file, Path(source).read_text(encoding="utf-8")[-CHARACTERS:])
        return file
    is_folder = isinstance(source, str) and Path(source).is_dir()
    frame = folder(source) if is_folder else waves() if source == "sine" else as_frame(source)
    if "ordered" in facts:
        rows = frame.iloc[-(data.input_shape[0] + data.config["horizon"] + EXAMPLES - 1) :]
        rows = rows[list(dict.fromkeys([run.data.options["time"] or data.feature_names[0], *data.feature_names]))]
    else:
        some = np.asarray(data.test.rows)[np.linspace(0, len(data.test) - 1, EXAMPLES).astype(int)]
        rows = frame.iloc[np.sort(some)][[run.preprocessing["column"] or "text", *(data.target_names or ["label"])]]
    file = SAMPLES / f"{name}.csv"
    write_text(file, rows.to_csv(index=False, lineterminator="\n"))
    return file


def worded(source, labels):
    """Return a table whose answers are words, which people read, in place of numbers."""
    frame = as_frame(source)
    return frame.assign(label=frame["label"].map(labels))


def folder(source):
    """Return the texts of a folder as a table."""
    texts, labels, _ = read_folder(Path(source), most=0.0)
    return pd.DataFrame(dict(text=texts, label=labels))


# %% Write
def write(name, run, data, source):
    """Write file, sample and the index's entry, whose scores are those of the file that was written."""
    said, (preset, _, word) = WEIGHTS[name], name.partition("-")
    content, (metric, beside) = packed(run, name), tabled(data)
    entry = weights.Entry(
        preset=preset, name=word, file=f"{name}.npz", sha256=hashlib.sha256(content).hexdigest(), bytes=len(content),
        data=said["data"], source=said["source"], licence=said["licence"], examples=len(data.train), metric=metric,
        scores={}, unrounded=whole(run.summary["test"]), beside=beside, parameters=run.summary["parameters"],
        command=run.config["command"] or f"python recipes/weights.py {name}", versions=run.config["versions"],
        created=run.config["created"][:10], sample={}, elsewhere=said.get("elsewhere", ""),
        tested_by=said.get("tested_by", ()),
    )  # fmt: skip
    with whole_file(weights.FOLDER / entry.file) as temporary:
        temporary.write_bytes(content)
    index(entry)
    scores = whole(kzoo.evaluate(PretrainedWeights(preset, word), data))
    few = whole(kzoo.evaluate(PretrainedWeights(preset, word), sample(run, data, source, name)))
    index(replace(entry, scores=scores, sample=few))
    print(f"{name}: {len(content):,} bytes, {metric} {entry.unrounded.get(metric)} -> {scores.get(metric)}")


def index(entry):
    """Put an entry into the index, in the order of `WEIGHTS`; drop those that are no longer there."""
    rows = {f"{one.preset}-{one.name}": asdict(one) for one in (*weights.entries(), entry)}
    rows = [rows[name] for name in WEIGHTS if name in rows]
    if (size := sum(row["bytes"] for row in rows)) > MOST_IN_ALL:
        raise kzoo.KzooError(f"All weights take {size:,} bytes, and {MOST_IN_ALL:,} is the most.")
    write_json(weights.FOLDER / "index.json", rows)
    weights.clear_index_cache()


# %% Do it
def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=list(WEIGHTS), help="which")
    parser.add_argument("--data", help="what it is trained on; default: the named set, where there is one")
    parser.add_argument("--run", help="a finished run of it; default: it is trained in runs/weights/NAME")
    parser.add_argument("--list", action="store_true", help="what there is")
    args = parser.parse_args()
    if args.list or args.name is None:
        there = {f"{one.preset}-{one.name}": one for one in weights.entries()}
        for name in WEIGHTS:
            print(f"{name}: {f'{there[name].bytes:,} bytes, {there[name].score}' if name in there else 'not made'}")
        return
    said = WEIGHTS[args.name]
    source = args.data or said.get("named")
    if source is None:
        raise kzoo.KzooError(f"{args.name} is trained on no named set: say --data.")
    if "labels" in said:
        source = worded(source, said["labels"])
    if args.run is None:
        preset = args.name.partition("-")[0]
        run = kzoo.train(preset, source, out=Path("runs/weights") / args.name, **said.get("options", {}))
    else:
        run = kzoo.Run(args.run)
    write(args.name, run, load_again(run.spec, run.data, source), source)


if __name__ == "__main__":
    try:
        main()
    except kzoo.KzooError as error:
        sys.exit(f"recipes/weights.py: error: {error}")
