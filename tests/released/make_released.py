"""Store runs, exports, a search and a preset of this version, with their answers.

    python tests/released/make_released.py OUT

OUT gets VERSION.zip and VERSION.json, with the major and minor number. Those of a release are never made again.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import released_files as files

import kzoo
import kzoo.baselines

LEFT_OUT = ("tensorboard", "curves.png", "last.keras")  # not needed to open a run, and larger


def make(home):
    """Write everything into the current folder."""
    files.write_data(home / "data")
    for name in files.RUNS:
        files.train(name, f"runs/{name}")
    kzoo.baselines.train(
        "trees", "data/flats.csv", target="kind", drop="grade", out="runs/baseline"
    )
    kzoo.export("runs/classes", "exports/classes", list(files.EXPORT_FORMATS), progress=False)
    files.search("searches/flats")
    Path("preset.toml").write_text(files.PRESET, encoding="utf-8")


def pack(home, file):
    """Write a folder to a zip file, whose entries have no times."""
    with ZipFile(file, "w") as archive:
        for path in sorted(home.rglob("*")):
            if path.is_file() and not set(path.relative_to(home).parts) & set(LEFT_OUT):
                name = path.relative_to(home).as_posix()
                archive.writestr(ZipInfo(name), path.read_bytes(), ZIP_DEFLATED, 9)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out.absolute()
    version = ".".join(kzoo.__version__.split(".")[:2])
    if list(out.glob(f"{version}.*")):
        sys.exit(f"{out} has files of {version} already. Remove them only if it was not released.")
    with tempfile.TemporaryDirectory() as home:
        os.chdir(home)
        make(Path(home))
        pack(Path(home), out / f"{version}.zip")
        answers = {name: files.plain(ask()) for name, ask in files.questions().items()}
        os.chdir(out)
    text = json.dumps(answers, ensure_ascii=False, sort_keys=True, indent=1)
    (out / f"{version}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
