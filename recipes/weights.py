"""Pretrained weights for the package: train or take a run, round to float16, score, write file and index entry.

python recipes/weights.py digits_cnn-digits                        a named data set: train, score, write
python recipes/weights.py text_ngrams-reviews --data reviews/      data from your own path
python recipes/weights.py cifar_speed-cifar10 --data cifar/ --run runs/cifar_speed-01    a finished run
python recipes/weights.py cifar_speed-cifar10 --data cifar/ --calibrate       the weights in the package, calibrated
python recipes/weights.py --list                                   all weights, and which of them exist

`WEIGHTS` below has the training data, its source and its licence. Licences that forbid or restrict derived works (ND,
SA, NC) are not accepted. The file is written to `kzoo/zoo/weights/`, and a few test examples to `tests/weights/`, where
a test scores them again. Training calibrates, so that only weights of earlier versions need `--calibrate`, which learns
the temperature on validation rows; with `--folds`, on all training rows, each predicted by a network that was trained
on others. An entry may take up to 4 MB, all of them together 16 MB. The test split is scored once more here, with the
rounded weights; nothing is selected by it.
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
from kzoo.data.inputs.text.fitting import read_folder
from kzoo.data.named_loaders import waves
from kzoo.data.pipeline import Batches
from kzoo.data.reload import load_again
from kzoo.data.tables.frame import as_frame
from kzoo.inference.postprocessors import calibration, temperature_scaling
from kzoo.problems.kinds import kind
from kzoo.training.calibration import last_layers
from kzoo.training.score import forward
from kzoo.utils.files import finite, whole_file, write_json, write_text
from kzoo.zoo import weights
from kzoo.zoo.loading import weights_by_name
from kzoo.zoo.weights.packaged import PretrainedWeights

SAMPLES = Path(__file__).parent.parent / "tests" / "weights"
MAX_BYTES, MAX_TOTAL_BYTES = 4_000_000, 16_000_000
EXAMPLES = 48  # of a sample
CHARACTERS = 4_000  # of a sample of plain text

# %% Training data of each entry
_DIGITS = dict(
    data="8x8 handwritten digits",
    source="https://archive.ics.uci.edu/dataset/80",
    licence="CC BY 4.0",
)
_CIFAR = dict(
    data="CIFAR-10, stored as JPEG files",
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated by its makers",
)
_FASHION = dict(
    data="Fashion-MNIST", source="https://github.com/zalandoresearch/fashion-mnist", licence="MIT"
)
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
_SINE = dict(
    data="generated hours, a day and a week of sines with noise", source="kzoo itself makes it"
)
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
def round_array(array):
    """Return the array as float16, or as float32 if a value does not fit into float16."""
    small = np.asarray(array, "float16")
    return small if np.isfinite(small).all() else np.asarray(array, "float32")


def pack(run, name, *, exact=()):
    """Return the content of the file with the weights of a run; layers named in `exact` keep float32."""
    config = {
        key: value
        for key, value in run.config.items()
        if key not in ("machine", "network", "created")
    }
    texts = dict(config=config, preprocessing=run.preprocessing)
    texts = {key: json.dumps(value, ensure_ascii=False).encode() for key, value in texts.items()}
    texts = {key: np.frombuffer(text, "uint8") for key, text in texts.items()}
    content = io.BytesIO()
    np.savez_compressed(
        content,
        **texts,
        **{
            key: array if key.rpartition("/")[0] in exact else round_array(array)
            for key, array in weights_by_name(run.model).items()
        },
    )
    if content.tell() > MAX_BYTES:
        raise kzoo.KzooError(
            f"{name} takes {content.tell():,} bytes; the maximum is {MAX_BYTES:,}."
        )
    return content.getvalue()


# %% Calibrate
def predictions(model, split):
    """Return the outputs of a network for a split, and the truth."""
    batches = Batches(split, batch_size=128)
    outputs = []
    truth = []
    for step in range(len(batches)):
        x, y = batches.batch(0, step)[:2]
        outputs.append(forward(model, x, min(128, len(split))))
        truth.append(np.asarray(y))
    return np.concatenate(outputs), np.concatenate(truth)


def calibration_error(outputs, truth):
    """Return the expected calibration error of probabilities (N, ..., classes)."""
    p = outputs.reshape(-1, outputs.shape[-1])
    return calibration.calibration_scores(p, truth.reshape(-1), labels=False)["ece"]


def held_out(run, data, source, folds, name):
    """Return probabilities and truth of rows that were not trained on: those of the validation split, or of folds."""
    if folds is None:
        return predictions(run.model, data.validation)
    rows = np.sort(np.concatenate([data.train.rows, data.validation.rows]))
    frame = (
        (folder_frame(source) if isinstance(source, str) else as_frame(source))
        .iloc[rows]
        .reset_index(drop=True)
    )
    options = dict(target="label", calibrate="off", baselines=False, progress=False)
    scores = kzoo.cross_validate(
        run.spec.preset, frame, folds=folds, out=f"runs/weights/{name}-folds", **options
    )
    return scores["out_of_fold"]["answers"], scores["out_of_fold"]["truth"]


def calibrate(name, source, folds):
    """Divide the last layer of packaged weights by a temperature, and write them; no label may change."""
    preset, _, short_name = name.partition("-")
    run = PretrainedWeights(preset, short_name)
    data = load_again(run.spec, run.data, source)
    before, truth = predictions(run.model, data.test)
    outputs, known = held_out(run, data, source, folds, name)
    temperature = temperature_scaling.learn(outputs, known, target=data.target, logits=False)[
        "temperature"
    ]
    layers = last_layers(run.model)
    for layer in layers:
        layer.set_weights([array / np.float32(temperature) for array in layer.get_weights()])
    unrounded = numeric_scores(kzoo.evaluate(run, data))
    # rounding again could change labels
    exact = [] if temperature == 1 else [layer.name for layer in layers]
    content = pack(run, name, exact=exact)
    entry = write_content(replace(run.entry, unrounded=unrounded), content)
    after, _ = predictions(PretrainedWeights(preset, short_name).model, data.test)
    changed = int((before.argmax(-1) != after.argmax(-1)).sum())
    assert changed == 0, f"{changed} labels have changed"
    errors = dict(ece_before=calibration_error(before, truth), ece=calibration_error(after, truth))
    entry = replace(
        entry, calibration=dict(temperature=temperature, rows=int(known.size), **errors)
    )
    finish(entry, data, next(SAMPLES.glob(f"{name}.*")))
    print(
        f"{name}: temperature {temperature:.3g}, ECE {errors['ece_before']:.2%} -> {errors['ece']:.2%}"
    )


# %% Evaluate
def numeric_scores(scores):
    """Return the scores that are numbers or lists."""
    return {
        key: value for key, value in finite(scores).items() if isinstance(value, int | float | list)
    }


def baseline_scores(data):
    """Return the name of the metric, and the scores of the baselines on the same split: label -> score."""
    baselines = kzoo.baselines.score(data, seconds=900)  # on all rows, like the network
    return baselines[0].metric, {
        each.label: each.value for each in baselines if each.value is not None
    }


# %% A sample
def write_sample(run, data, source, name):
    """Write a few test examples as a user would provide them, and return the file."""
    SAMPLES.mkdir(exist_ok=True)
    facts = data.problem.facts | kind(data.inputs).facts
    if "pixels" in facts:
        indices = np.linspace(0, len(data.test) - 1, EXAMPLES).astype(int)
        file = SAMPLES / f"{name}.npz"
        with whole_file(file) as temporary, open(temporary, "wb") as stream:
            names = np.array(data.class_names)[np.asarray(data.test.y[indices])]
            np.savez_compressed(stream, x=np.asarray(data.test.x[indices]).astype("uint8"), y=names)
        return file
    if "continues" in facts:
        file = SAMPLES / f"{name}.txt"
        write_text(file, Path(source).read_text(encoding="utf-8")[-CHARACTERS:])
        return file
    is_folder = isinstance(source, str) and Path(source).is_dir()
    frame = folder_frame(source) if is_folder else waves() if source == "sine" else as_frame(source)
    if "ordered" in facts:
        rows = frame.iloc[-(data.input_shape[0] + data.config["horizon"] + EXAMPLES - 1) :]
        rows = rows[
            list(
                dict.fromkeys(
                    [run.data.options["time"] or data.feature_names[0], *data.feature_names]
                )
            )
        ]
    else:
        row_numbers = np.asarray(data.test.rows)[
            np.linspace(0, len(data.test) - 1, EXAMPLES).astype(int)
        ]
        columns = [run.preprocessing["column"] or "text", *(data.target_names or ["label"])]
        rows = frame.iloc[np.sort(row_numbers)][columns]
    file = SAMPLES / f"{name}.csv"
    write_text(file, rows.to_csv(index=False, lineterminator="\n"))
    return file


def with_label_names(source, labels):
    """Return a table with names as labels, instead of numbers."""
    frame = as_frame(source)
    return frame.assign(label=frame["label"].map(labels))


def folder_frame(source):
    """Return the texts of a folder as a table."""
    texts, labels, _ = read_folder(Path(source), most=0.0)
    return pd.DataFrame(dict(text=texts, label=labels))


# %% Write
def write(name, run, data, source):
    """Write file, sample and index entry. The scores of the entry are measured with the written file."""
    info, (preset, _, short_name) = WEIGHTS[name], name.partition("-")
    metric, baselines = baseline_scores(data)
    learned = run.summary.get("calibration") or {}
    test = learned.get("test")
    entry = weights.Entry(
        preset=preset,
        name=short_name,
        file=f"{name}.npz",
        sha256="",
        bytes=0,
        data=info["data"],
        source=info["source"],
        licence=info["licence"],
        examples=len(data.train),
        metric=metric,
        scores={},
        unrounded=numeric_scores(run.summary["test"]),
        beside=baselines,
        parameters=run.summary["parameters"],
        command=run.config["command"] or f"python recipes/weights.py {name}",
        versions=run.config["versions"],
        created=run.config["created"][:10],
        sample={},
        elsewhere=info.get("elsewhere", ""),
        tested_by=info.get("tested_by", ()),
        calibration={}
        if test is None
        else dict(
            temperature=learned["temperature"],
            rows=learned["rows"],
            ece_before=test["before"]["ece"],
            ece=test["after"]["ece"],
        ),
    )
    finish(write_content(entry, pack(run, name)), data, write_sample(run, data, source, name))


def write_content(entry, content):
    """Write the file of an entry, and return the entry with its size and checksum, which is in the index."""
    with whole_file(weights.FOLDER / entry.file) as temporary:
        temporary.write_bytes(content)
    entry = replace(entry, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    add_to_index(entry)
    return entry


def finish(entry, data, sample):
    """Score the written file on the test split and on the sample, and write the index entry."""
    scores, of_sample = (
        numeric_scores(kzoo.evaluate(PretrainedWeights(entry.preset, entry.name), part))
        for part in (data, sample)
    )
    add_to_index(replace(entry, scores=scores, sample=of_sample))
    metric = entry.metric
    print(
        f"{entry.file}: {entry.bytes:,} bytes, {metric} {entry.unrounded.get(metric)} -> {scores.get(metric)}"
    )


def add_to_index(entry):
    """Add an entry to the index, in the order of `WEIGHTS`, and drop entries that are not in `WEIGHTS`."""
    rows = {f"{each.preset}-{each.name}": asdict(each) for each in (*weights.entries(), entry)}
    rows = [rows[name] for name in WEIGHTS if name in rows]
    if (size := sum(row["bytes"] for row in rows)) > MAX_TOTAL_BYTES:
        raise kzoo.KzooError(
            f"All weights take {size:,} bytes; the maximum is {MAX_TOTAL_BYTES:,}."
        )
    write_json(weights.FOLDER / "index.json", rows)
    weights.clear_index_cache()


# %% Command line
def main():
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", choices=list(WEIGHTS), help="PRESET-DATA")
    parser.add_argument(
        "--data", help="training data; default: the named data set, if there is one"
    )
    parser.add_argument("--run", help="a finished run; default: train in runs/weights/NAME")
    parser.add_argument(
        "--calibrate", action="store_true", help="calibrate the weights in the package"
    )
    parser.add_argument(
        "--folds", type=int, help="with --calibrate: folds of the training rows of texts"
    )
    parser.add_argument("--list", action="store_true", help="list all weights")
    args = parser.parse_args()
    if args.list or args.name is None:
        entries = {f"{each.preset}-{each.name}": each for each in weights.entries()}
        for name in WEIGHTS:
            entry = entries.get(name)
            print(f"{name}: {f'{entry.bytes:,} bytes, {entry.score}' if entry else 'not made'}")
        return
    info = WEIGHTS[args.name]
    source = args.data or info.get("named")
    if source is None:
        raise kzoo.KzooError(f"{args.name} has no named data set: use --data.")
    if "labels" in info:
        source = with_label_names(source, info["labels"])
    if args.calibrate:
        calibrate(args.name, source, args.folds)
        return
    if args.run is None:
        preset = args.name.partition("-")[0]
        run = kzoo.train(
            preset, source, out=Path("runs/weights") / args.name, **info.get("options", {})
        )
    else:
        run = kzoo.Run(args.run)
    write(args.name, run, load_again(run.spec, run.data, source), source)


if __name__ == "__main__":
    try:
        main()
    except kzoo.KzooError as error:
        sys.exit(f"recipes/weights.py: error: {error}")
