"""Exports whose files take memory or time out of proportion, by every door that opens them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from costly import LITERT, ONNX, honest
from made import write_manifest

import kzoo
import kzoo.runtime
from kzoo.cli import main

HERE = Path(__file__).parent
SECONDS, MEBIBYTES = 5, 500  # of the processor, of the process that opens a file and of those it starts
HONEST = 25  # times what an honest file takes, where the processor is slow
SOME = ("constant_of_any_shape", "loop_of_any_length", "functions_of_functions", "filled", "loop_lite")

# A process that is small itself: what Linux says of the largest child begins with what its parent had.
MEASURE = """
import json, resource, sys, time
import numpy as np
import kzoo, kzoo.runtime


def spent():
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = sum(use.ru_utime + use.ru_stime for use in (own, children))
    lines = open("/proc/self/status").read().splitlines()  # getrusage's peak begins with that of who started this
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return seconds, (peak + children.ru_maxrss) // 1024


for folder in sys.argv[1:]:
    before, _ = spent()
    try:
        model = kzoo.runtime.load(folder, threads=1)
        model.predict(np.ones((1, 4), "float32"))
        said = "answered"
    except kzoo.KzooError as error:
        said = str(error)
    after, mebibytes = spent()
    print(json.dumps([folder, said, after - before, mebibytes]), flush=True)
"""


def export_of(content, folder, format="onnx"):
    """Write an exported model whose manifest lists these bytes."""
    file = Path(folder, format, "model.tflite" if format == "litert" else "model.onnx")
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    np.savez(Path(folder, "golden.npz"), **{f"{name}_{n}": np.ones((n, 4), "float32") for name in "xy" for n in (1, 7)})
    ends = [dict(name=name, shape=[None, 4], dtype="float32", kind="values") for name in ("rows", "values")]
    entry = dict(format=format, status="ok", file=file.relative_to(folder).as_posix(), difference=0.0, tolerance=1e-4)
    spec = dict(preset="mine", family=None, task=None, config={}, training={})
    write_manifest(Path(folder), spec, exports={format: entry}, inputs=ends[:1], outputs=ends[1:])
    return str(folder)


def opened(folders):
    """Return folder -> (what was said, seconds, mebibytes so far) as one process opens them."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *folders], capture_output=True, text=True, timeout=900,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == list(folders), done.stderr[-2000:]
    return {name: rest for name, *rest in lines}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux bounds memory")
@pytest.mark.parametrize("names", [SOME, pytest.param((*ONNX, *LITERT), marks=pytest.mark.slow)], ids=["some", "all"])
def test_a_costly_export_is_refused_or_answers_soon(tmp_path, names):
    folders = [export_of(honest(), tmp_path / "honest")]
    for name in names:
        made, format = (ONNX[name], "onnx") if name in ONNX else (LITERT[name], "litert")
        folders.append(export_of(made(), tmp_path / name, format))
    found = opened(folders)
    said, usual, _ = found.pop(folders[0])
    assert said == "answered"
    limit = max(SECONDS, HONEST * usual)
    bad = {name: what for name, what in found.items() if what[1] > limit or what[2] > MEBIBYTES or "\n" in what[0]}
    assert bad == {}
    answered = {Path(name).name for name, (said, *_) in found.items() if said == "answered"}
    assert answered <= {"harmless", "nodes_without_number"}


@pytest.mark.parametrize("name", ["constant_of_any_shape", "loop_of_any_length"])
def test_no_door_opens_it(tmp_path, name, capsys):
    exported = export_of(ONNX[name](), tmp_path / "exported")
    says = {"constant_of_any_shape": "of memory for one input", "loop_of_any_length": "in time, if at all"}[name]
    with pytest.raises(kzoo.KzooError, match=says):
        kzoo.runtime.load(exported)
    (entry,) = kzoo.ExportedModel(exported).check().values()
    assert entry["status"] == "failed" and says in entry["error"] and "\n" not in entry["error"]
    np.savetxt(tmp_path / "rows.csv", np.ones((1, 4)), delimiter=",")
    assert main(["predict", exported, str(tmp_path / "rows.csv")]) == 2
    assert says in capsys.readouterr().err


def test_a_file_that_passed_is_not_tried_again(tmp_path, monkeypatch):
    exported = export_of(honest(), tmp_path / "exported")
    kzoo.runtime.load(exported)
    monkeypatch.setattr("kzoo.utils.child_process.start", lambda *_, **__: pytest.fail("it was tried again"))
    kzoo.runtime.load(exported)


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/true", "", None])
def test_where_nothing_can_be_tried_an_honest_file_is_opened(tmp_path, monkeypatch, program):
    exported = export_of(honest(), tmp_path / "exported")
    monkeypatch.setattr("kzoo.export.limited._passed", set())
    monkeypatch.setattr(sys, "executable", program)
    assert kzoo.runtime.load(exported).shape == (4,)
