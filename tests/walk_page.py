"""Run every command and every block of code of a page, in order, in the current folder:

python tests/walk_page.py docs/how_to/threshold.md

A block whose output is on the page runs unchanged in a new process, and its output is compared. All others run in this
process, with shorter trainings. Commands that cannot run are in `LEFT_OUT`, with the reason. The first failure ends the
program with exit code 1. `test_pages_run.py` prepares a folder and calls it.
"""

import functools
import linecache
import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from pages import ROOT, blocks, calls, lines

sys.path.append(str(ROOT / "docs" / "_extensions"))
import stored_outputs

STEPS = 20  # of a training whose scores nobody shows
# The beginning of a command -> why it is not run.
LEFT_OUT = {
    "python3 -m venv": "installing: .ci/run runs both of README's commands in a fresh clone",
    "pip install": "installing: tests/runtime/test_light_install.py does it",
    "kzoo serve": "it does not end: tests/serve/test_docs.py starts it, sends requests and stops it",
    "python -m http.server": "it does not end: tests/export/test_html.py serves the folder",
    "kzoo train tabular_fnn --data churn.csv --target churned --repairs": "a person has to accept rows first",
    "dask ": "two machines: tests/tuning/test_dask.py has a scheduler and its workers on this machine",
    "kzoo tune digits_cnn --parallel 4 --scheduler": "two machines, as above",
}
# Text that a reader replaces -> the code for it in this test.
STANDS_FOR = {
    '"9f86d081884c7d65..."': '__import__("hashlib").sha256(open("from_somebody.keras", "rb").read()).hexdigest()',
}
# Presets that are fitted without steps.
CLOSED_FORM = {"series_rocket", "image_frozen", "text_pretrained", "text_pretrained_ngrams"}
# Options that are added to a command: argparse takes the last of a repeated option.
SHORTER = {
    "train": ["--max-steps", str(STEPS)],
    "train auto": ["--max-time", "60s"],  # it may choose a preset without steps
    "tune": ["--trials", "3", "--epochs", "1", "--set", f"max_steps={STEPS}"],
    "tune auto": ["--max-time", "25s"],
}


def main(page):
    namespace = prepared()
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        print(f"== {where}: {block.text.splitlines()[0]}", flush=True)
        if block.language in ("sh", "python") and block.output is not None:
            compare(printed(block), block.output, where)
            if os.environ.get("KZOO_STORE_OUTPUTS"):
                stored_outputs.add(page, block)
        elif block.language == "sh":
            for line in lines(block):
                reason = next(
                    (why for start, why in LEFT_OUT.items() if line.startswith(start)), None
                )
                if reason:
                    print(f"   left out, {reason}: {line}")
                else:
                    command(line, where)
        elif block.language == "python":
            run(block, where, namespace)
        elif block.language == "toml":
            Path("mine.toml").write_text(block.text, encoding="utf-8")
            assert shell("kzoo show mine.toml").returncode == 0, where


def prepared():
    """Write the models that pages open, shorten trainings, and return the names of the first block: none."""
    import kzoo

    train = kzoo.train

    def short_training(preset, *arguments, **options):
        has_steps = isinstance(preset, str) and preset not in CLOSED_FORM
        fewer = dict(max_steps=STEPS) if has_steps else {}
        return train(preset, *arguments, **fewer | options)

    kzoo.train = short_training
    kzoo.cross_validate = functools.partial(kzoo.cross_validate, max_steps=STEPS)
    tune, check = kzoo.tune, kzoo.check

    def short_search(*arguments, **options):
        searches = {"wrong_labels", "learning_curve"} & set(options)
        return check(*arguments, **options | (dict(max_steps=STEPS) if searches else {}))

    kzoo.check = short_search

    def short(preset, *rest, **options):
        if preset == "auto":
            return tune(preset, *rest, **options | dict(max_time=25))
        return tune(
            preset,
            *rest,
            **options | dict(epochs=1) | ({} if callable(preset) else dict(max_steps=STEPS)),
        )

    kzoo.tune = short
    exec(Path("models.py").read_text(encoding="utf-8"), {})
    return {}


def command(line, where):
    """Run a line: kzoo's in this process, unless the shell has a part in it."""
    words = calls(line)
    if (
        len(words) == 1
        and not set("|><&;") & set(line)
        and not {"--backend", "--devices"} & set(words[0])
    ):
        from kzoo.cli import main

        code = main([*words[0], *shorter(words[0])])
    else:
        options = shorter(words[0]) if words else ()
        code = shell(" ".join([line, *map(shlex.quote, options)])).returncode
    assert code == 0, f"{where}: exit code {code} of {line}"


def shorter(words):
    """Return the options that shorten a command."""
    if CLOSED_FORM & set(words):
        return ()
    name = " ".join(words[:2]) if list(words[1:2]) == ["auto"] else words[0]
    if {"--wrong-labels", "--learning-curve"} & set(words):
        name = "train"
    return SHORTER.get(name, ())


def shell(text, **options):
    # several devices on a CPU
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
    environment = os.environ | {
        "PATH": f"{Path('bin').absolute()}{os.pathsep}{os.environ['PATH']}",
        "XLA_FLAGS": flags,
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], env=environment, text=True, **options
    )


def run(block, where, names):
    """Run a block of Python after those before it; its source is a file, which `kzoo.tune(build)` reads."""
    text = block.text
    for placeholder, code in STANDS_FOR.items():
        text = text.replace(placeholder, code)
    file = Path(f"block{block.line}.py").absolute()
    file.write_text(text, encoding="utf-8")
    linecache.checkcache()
    exec(compile(text, file, "exec"), names)


def printed(block):
    """Return the output of an unchanged block."""
    if block.language == "sh":
        return shell(block.text, check=True, stdout=subprocess.PIPE).stdout
    return subprocess.run(
        [sys.executable, "-c", block.text], check=True, text=True, stdout=subprocess.PIPE
    ).stdout


_NUMBER = re.compile(
    r"(?P<free>(?:\d+ h )?\d+(?:\.\d+)? (?:s|min)\b|\d+ of \d+)|(?P<score>-?\d+(?:\.\d+)?(?:e-?\d+)?)"
)


def compare(printed, shown, where):
    """Compare two texts: words exactly, scores within a tenth (processors differ), times and epochs not at all."""
    both = f"{where} shows\n{shown}\nand it prints\n{printed}"
    assert _NUMBER.sub("#", printed).split() == _NUMBER.sub("#", shown).split(), both
    for new, old in zip(_NUMBER.finditer(printed), _NUMBER.finditer(shown), strict=True):
        near = new["free"] or math.isclose(
            float(new["score"]), float(old["score"]), rel_tol=0.1, abs_tol=0.05
        )
        assert near, f"{new[0]} is not {old[0]}: {both}"


if __name__ == "__main__":
    main((ROOT / sys.argv[1]).absolute())
