"""Make stored runs, exports, searches and interrupted trainings, with their answers, as files of the suite.

    python tests/kept/make_kept.py OUT

Run it with the version whose files are to be kept, and never again: users have such files on their disks, and
`test_kept.py` shows that later versions open them, give the same answers, and resume. A new kind of file gets a new
name. OUT gets a zip file for each of them, and a JSON file with its answers. The stored ones were made on 1 December
2026 by version 0.1.0, before its packages moved.
"""

import argparse
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import kept
import kept_data
import pandas as pd

import kzoo
import kzoo.baselines
import kzoo.sklearn

LEFT_OUT = (
    "tensorboard",
    "curves.png",
    "last.keras",
)  # not needed to open or resume a run, and larger than the rest
LAST_JOURNAL = 10  # that of the sixth of ten steps in the third epoch


def make(out: Path) -> None:
    """Write all files to a new folder."""
    out.mkdir(parents=True)
    home = out / "home"
    kept_data.write(home)
    os.chdir(home)  # every stored path is relative
    for step in (find_suspects, make_runs, kill_training, kill_search, make_searches, make_exports):
        step()
        print(step.__name__, flush=True)
    for file, asked in kept.questions().items():
        store(file, {question: ask() for question, ask in asked.items()}, out)
    store("ends", kept.ends(Path("whole/training"), Path("whole/search")), out)
    pack(out)
    shutil.rmtree(home)


def find_suspects() -> None:
    """Write suspicious labels of the customers, of which three are accepted."""
    preset, source, _, options = kept.RUNS["costs_and_repairs"]
    options = {k: v for k, v in options.items() if k not in ("repairs", "cost")}
    kzoo.check(
        preset, source, wrong_labels=True, folds=2, out="found", progress=False, epochs=3, **options
    )
    table = pd.read_csv("found/suspects.csv").head(4)
    table["accept"] = ["yes", "yes", "no", "yes"]
    table.to_csv("data/suspects.csv", index=False)
    shutil.rmtree("found")


def make_runs() -> None:
    runs = Path("runs")
    for name in kept.RUNS:
        kept.train(name, runs / name)
    first, second = kept.ENSEMBLE
    preset, source, _, options = kept.RUNS[first]
    kzoo.train(preset, source, out=runs / second, seed=1, **kept.QUICK | options)
    kzoo.ensemble([runs / first, runs / second], data=source, out=runs / "ensemble")
    name, source, options = kept.BASELINE
    kzoo.baselines.train(name, source, out=runs / "baseline", drop_rare=5, **options)
    preset, source, options = kept.CROSS_VALIDATED
    kzoo.cross_validate(preset, source, out=runs / "crossed", epochs=3, progress=False, **options)
    x, y = kept.source_of("arrays")
    estimator = kzoo.sklearn.Classifier("tabular_fnn", epochs=5, units=(8,)).fit(x, y)
    Path("estimator.pickle").write_bytes(pickle.dumps(estimator))


def kill_training() -> None:
    """Train to the end, and once more, killed while a journal is written in the middle of an epoch."""
    train_to_kill(Path("whole/training"))
    _killed("train_to_kill", Path("stopped/training"))


def train_to_kill(out: Path) -> None:
    preset, source, options = kept.KILLED_TRAINING
    kzoo.train(preset, source, out=out, **options)


def kill_search() -> None:
    """Search to the end, and once more, killed while the third trial is trained."""
    search_to_kill(Path("whole/search"))
    _killed("search_to_kill", Path("stopped/search"))


def search_to_kill(out: Path) -> None:
    preset, source, options = kept.KILLED_SEARCH
    kzoo.tune(preset, source, out=out, **options)


def _killed(call: str, out: Path) -> None:
    words = [sys.executable, __file__, "--kill", call, str(out)]
    process = subprocess.Popen(words, start_new_session=True)
    if call == "search_to_kill":
        while not (out / "trials/0002/trial.json").exists() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(0.5)
        process.kill()
    if process.wait() != -signal.SIGKILL:
        sys.exit(f"{call} was not killed.")


def die_at_a_journal() -> None:
    """Kill this process when it opens the journal after the last one."""
    count = 0

    def hear(event: str, arguments: tuple) -> None:
        nonlocal count
        if event == "os.rename" and Path(str(arguments[1])).name == "journal.next":
            count += 1
            if count > LAST_JOURNAL:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hear)


def make_searches() -> None:
    for name, (preset, source, options) in kept.SEARCHES.items():
        kzoo.tune(preset, source, out=Path("searches", name), **options)
    source, options = kept.AUTO
    kzoo.tune("auto", source, out="searches/auto", **options)


def make_exports() -> None:
    for name, formats in kept.EXPORTS.items():
        kzoo.export(Path("runs", name), Path("exports", name), formats, progress=False)


def store(file: str, answers: dict[str, Any], out: Path) -> None:
    (out / f"{file}.json").write_text(
        json.dumps(kept.plain(answers), ensure_ascii=False) + "\n", encoding="utf-8"
    )


def pack(out: Path) -> None:
    """Put the data, the estimator, and each run, export, search and stopped call into a zip file of its own."""
    home = out / "home"
    names = {"data": "data", "estimator": "estimator.pickle"}
    names |= {"stopped-training": "stopped/training", "stopped-search": "stopped/search"}
    for folder, kind in (("runs", "run"), ("exports", "export"), ("searches", "search")):
        names |= {
            f"{kind}-{path.name}": f"{folder}/{path.name}" for path in (home / folder).iterdir()
        }
    for name, path in names.items():
        files = [home / path] if (home / path).is_file() else sorted((home / path).rglob("*"))
        with ZipFile(out / f"{name}.zip", "w") as archive:
            for file in files:
                if file.is_file() and not set(LEFT_OUT) & set(file.parts):
                    info = ZipInfo(file.relative_to(home).as_posix(), (2026, 12, 1, 0, 0, 0))
                    info.external_attr = 0o644 << 16
                    archive.writestr(info, file.read_bytes(), ZIP_DEFLATED, 9)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--kill", choices=("train_to_kill", "search_to_kill"), help="used by the script itself"
    )
    args = parser.parse_args()
    if args.kill == "train_to_kill":
        die_at_a_journal()
    if args.kill:
        globals()[args.kill](args.out)
    else:
        make(args.out.resolve())


if __name__ == "__main__":
    main()
