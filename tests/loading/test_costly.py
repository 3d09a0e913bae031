"""Exports whose files would take too much memory or time are refused by every function that opens them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from costly import LITERT, ONNX, honest
from made import write_manifest
from messages import assert_mentions, refuses

import kzoo
import kzoo.runtime
from kzoo.cli import main

HERE = Path(__file__).parent
# of the processor, of the process that opens a file and of those it starts
SECONDS, MEBIBYTES = 5, 500
HONEST = 25  # times what an honest file takes, where the processor is slow
SOME = (
    "constant_of_any_shape",
    "loop_of_any_length",
    "functions_of_functions",
    "filled",
    "loop_lite",
)

# A small process: what Linux reports of the largest child begins with the memory of its parent.
MEASURE = """
import json, resource, sys, time
import numpy as np
import kzoo, kzoo.runtime


def spent():
    itself, children = (resource.getrusage(process) for process in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = sum(use.ru_utime + use.ru_stime for use in (itself, children))
    lines = open("/proc/self/status").read().splitlines()  # the peak of getrusage begins with that of the parent
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return seconds, (peak + children.ru_maxrss) // 1024


for folder in sys.argv[1:]:
    before, _ = spent()
    try:
        model = kzoo.runtime.load(folder, threads=1)
        model.predict(np.ones((1, 4), "float32"))
        outcome = "answered"
    except kzoo.KzooError as error:
        outcome = str(error)
    after, mebibytes = spent()
    print(json.dumps([folder, outcome, after - before, mebibytes]), flush=True)
"""


def export_of(content, folder, format="onnx"):
    """Write an exported model whose manifest lists these bytes."""
    file = Path(folder, format, "model.tflite" if format == "litert" else "model.onnx")
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    np.savez(
        Path(folder, "golden.npz"),
        **{f"{name}_{n}": np.ones((n, 4), "float32") for name in "xy" for n in (1, 7)},
    )
    ends = [
        dict(name=name, shape=[None, 4], dtype="float32", kind="values")
        for name in ("rows", "values")
    ]
    entry = dict(
        format=format,
        status="ok",
        file=file.relative_to(folder).as_posix(),
        difference=0.0,
        tolerance=1e-4,
    )
    spec = dict(preset="mine", family=None, task=None, config={}, training={})
    write_manifest(Path(folder), spec, exports={format: entry}, inputs=ends[:1], outputs=ends[1:])
    return str(folder)


def opened(folders):
    """Return folder -> (outcome, seconds, mebibytes so far), all opened by the same process."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *folders],
        capture_output=True,
        text=True,
        timeout=900,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == list(folders), done.stderr[-2000:]
    return {name: rest for name, *rest in lines}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits memory")
@pytest.mark.parametrize(
    "names", [SOME, pytest.param((*ONNX, *LITERT), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_a_costly_export_is_refused_or_answers_soon(tmp_path, names):
    folders = [export_of(honest(), tmp_path / "honest")]
    for name in names:
        made, format = (ONNX[name], "onnx") if name in ONNX else (LITERT[name], "litert")
        folders.append(export_of(made(), tmp_path / name, format))
    results = opened(folders)
    outcome, usual, _ = results.pop(folders[0])
    assert outcome == "answered"
    limit = max(SECONDS, HONEST * usual)
    bad = {
        name: (outcome, seconds, mebibytes)
        for name, (outcome, seconds, mebibytes) in results.items()
        if seconds > limit or mebibytes > MEBIBYTES or "\n" in outcome
    }
    assert bad == {}
    answered = {Path(name).name for name, (outcome, *_) in results.items() if outcome == "answered"}
    assert answered <= {"harmless", "nodes_without_number"}


@pytest.mark.parametrize(
    ("name", "limited"), [("constant_of_any_shape", "memory"), ("loop_of_any_length", "time")]
)
def test_costly_exports_are_refused_by_every_function(tmp_path, name, limited, capsys):
    content = ONNX[name]()
    exported = export_of(content, tmp_path / "exported")
    parts = f"{len(content)} bytes", limited
    with refuses("exported/onnx", *parts):
        kzoo.runtime.load(exported)
    (entry,) = kzoo.ExportedModel(exported).check().values()
    assert entry["status"] == "failed" and "\n" not in entry["error"]
    assert_mentions(entry["error"], *parts)
    np.savetxt(tmp_path / "rows.csv", np.ones((1, 4)), delimiter=",")
    assert main(["predict", exported, str(tmp_path / "rows.csv")]) == 2
    assert_mentions(capsys.readouterr().err, *parts)


def test_a_file_that_passed_is_not_tried_again(tmp_path, monkeypatch):
    exported = export_of(honest(), tmp_path / "exported")
    kzoo.runtime.load(exported)
    monkeypatch.setattr(
        "kzoo.utils.child_process.start", lambda *_, **__: pytest.fail("it was tried again")
    )
    kzoo.runtime.load(exported)


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/true", "", None])
def test_an_honest_file_opens_where_no_child_process_can_start(tmp_path, monkeypatch, program):
    exported = export_of(honest(), tmp_path / "exported")
    monkeypatch.setattr("kzoo.export.sandbox._passed", set())
    monkeypatch.setattr(sys, "executable", program)
    assert kzoo.runtime.load(exported).shape == (4,)
