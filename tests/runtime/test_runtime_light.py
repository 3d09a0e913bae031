"""From cold to the first answer: time, memory, and packages that are never imported."""

import csv
import json
import os
import resource
import subprocess
import sys

import pytest

import kzoo

HEAVY = ("tensorflow", "keras", "pandas", "sklearn", "matplotlib", "scipy", "rich", "jax", "torch")
# getrusage counts the memory of the process that forked as well; VmHWM begins with the new program.
MEASURE = """
import sys, json
{code}
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
imported = sorted(set({heavy}) & set(sys.modules))
print(json.dumps(dict(heavy=imported, pillow="PIL" in sys.modules, mib=int(peak) / 1024)))
"""
pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="peak memory is read from /proc"
)


def cold(code):
    """Run code in a fresh process; return its imports, MiB at the peak, and seconds of processor time."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONSTARTUP", "COVERAGE_PROCESS_START")
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(code=code, heavy=HEAVY)],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured = json.loads(done.stdout.splitlines()[-1])
    return measured | {
        "seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    }


ANSWER = "import kzoo.runtime; kzoo.runtime.load({exported!r}, {format!r}).predict({inputs}).labels"
COMMAND = "import kzoo.cli; assert kzoo.cli.main(['predict', {exported!r}, {inputs}]) == 0"


def check(measured, *, pillow):
    assert measured["heavy"] == [] and measured["pillow"] == pillow
    assert 10 < measured["mib"] <= 150
    # Processor time, for other processes may have the clock's; tests/benchmarks/runtime.py measures the whole.
    assert measured["seconds"] <= max(1.0, 5 * importing())


def importing():
    """Return the processor seconds of importing NumPy and ONNX Runtime, measured now."""
    code = "import time, numpy, onnxruntime; print(time.process_time())"
    return float(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
    )


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_an_image_from_cold(images, format, sources):
    photo = str(sources / "photos" / "dark" / "0.png")
    check(
        cold(ANSWER.format(exported=str(images.exported), format=format, inputs=repr(photo))),
        pillow=True,
    )


def test_arrays_of_the_right_shape_need_no_pillow(images):
    inputs = "__import__('numpy').zeros((1, 12, 12, 3), 'uint8')"
    check(
        cold(ANSWER.format(exported=str(images.exported), format="onnx", inputs=inputs)),
        pillow=False,
    )


def test_rows_texts_and_series_from_cold(rows, texts, series, sources):
    for pair, format, inputs in (
        (rows, "onnx", str(sources / "customers.csv")),
        (texts, "litert", "the goal"),
        (series, "onnx", str(sources / "dated.csv")),
    ):
        check(
            cold(ANSWER.format(exported=str(pair.exported), format=format, inputs=repr(inputs))),
            pillow=False,
        )


def test_the_command_from_cold(images, sources):
    photo = str(sources / "photos" / "dark" / "0.png")
    check(cold(COMMAND.format(exported=str(images.exported), inputs=repr(photo))), pillow=True)


def test_the_command_answers_alike_for_a_run_and_its_exported_model(
    rows, sources, capsys, tmp_path
):
    from kzoo.cli import main

    documents, written = [], []
    for number, source in enumerate((rows.run.path, rows.exported)):
        out = tmp_path / f"{number}.csv"
        words = [
            "predict",
            str(source),
            str(sources / "customers.csv"),
            "--top",
            "2",
            "--json",
            "--out",
            str(out),
        ]
        assert main(words) == 0
        documents.append(json.loads(capsys.readouterr().out)["predictions"])
        with open(out, encoding="utf-8-sig", newline="") as file:
            written.append(list(csv.DictReader(file)))
    assert len(documents[0]) == len(documents[1]) == len(written[0]) == len(written[1]) == 160
    for row, other in zip(*documents, strict=True):
        assert row["label"] == other["label"] and row["input"] == other["input"]
        assert row["classes"][0]["probability"] == pytest.approx(
            other["classes"][0]["probability"], abs=1e-5
        )
    for row, other in zip(*written, strict=True):
        assert row.keys() == other.keys() and row["label"] == other["label"]
        assert float(row["p_yes"]) == pytest.approx(float(other["p_yes"]), abs=1e-5)
    assert list(written[0][0]) == list(
        kzoo.predict(rows.run, sources / "customers.csv").to_frame().columns
    )
