"""`kzoo predict EXPORTED FOLDER --out FOLDER`: a file of predictions for each partition, equal to those of one file."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec

import library
import pandas as pd
import pytest

from kzoo.cli import main
from kzoo.scoring import job as job_module
from kzoo.scoring import pools

PARTS = ["a.csv", "b.csv", "deep/c.csv"]


@pytest.fixture(scope="module")
def exported():
    return library.folder("customer_table_exported")


def table():
    return pd.read_csv(library.folder("data") / "customers.csv", dtype=str, keep_default_na=False)


@pytest.fixture
def parts(tmp_path):
    """The rows of a table as CSV parts."""
    rows = table()
    for start, name in zip((0, 50, 100), PARTS, strict=True):
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        rows.iloc[start : start + 50].to_csv(file, index=False)
    return tmp_path / "in"


def predict(*words):
    return main(["predict", *map(str, words)])


def refusal(capsys, *words):
    """Return the only line of a refused command."""
    capsys.readouterr()
    assert predict(*words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "_kzoo" not in path.parts
    }


KEEP = ("--keep", "code", "--keep", "town")


@pytest.mark.parametrize(
    "options",
    [(), ("--min-probability", ".7", "--spreadsheet-safe"), ("--confidence", ".8")],
)
def test_csv_parts_give_the_files_of_single_predictions(exported, parts, tmp_path, capsys, options):
    out = tmp_path / "out"
    assert predict(exported, parts, "--out", out, *KEEP, *options, "--workers", 1) == 0
    *promise, line = capsys.readouterr().out.splitlines()
    assert line.startswith("3 partitions (150 rows) written to") and "rows/s by 1 worker" in line
    assert len(promise) == ("--confidence" in options)
    for name in PARTS:
        assert predict(exported, parts / name, "--out", tmp_path / "one.csv", *KEEP, *options) == 0
        assert (tmp_path / "one.csv").read_bytes() == (out / name).read_bytes()
        *rows, _ = capsys.readouterr().out.splitlines()
        assert rows[len(rows) - len(promise) :] == promise
    assert set(files_of(out)) == {*PARTS, "_SUCCESS"}
    assert json.loads((out / "_SUCCESS").read_text(encoding="utf-8"))["rows"] == 150


def test_parquet_parts_have_the_cells_of_single_predictions(exported, tmp_path):
    rows = table()
    rows["size"] = pd.to_numeric(rows["size"])
    rows["number"] = range(len(rows))
    (tmp_path / "in/day=3").mkdir(parents=True)
    rows[:90].to_parquet(tmp_path / "in/day=3/x.parquet")
    rows[90:].to_parquet(tmp_path / "in/y.pq")
    out = tmp_path / "out"
    words = ("--keep", "number", "--keep", "since")
    assert predict(exported, tmp_path / "in", "--out", out, *words, "--workers", 1) == 0
    for name in ("day=3/x.parquet", "y.pq"):
        assert predict(exported, tmp_path / "in" / name, "--out", tmp_path / "1.csv", *words) == 0
        one = pd.read_csv(tmp_path / "1.csv")
        scored = pd.read_parquet(out / name, partitioning=None)
        pd.testing.assert_frame_equal(scored, one, check_dtype=False, rtol=1e-5)


def test_columns_in_names_of_folders_are_read(exported, tmp_path):
    rows = table()
    for code, part in rows.groupby("code"):
        (tmp_path / "in" / f"code={code}").mkdir(parents=True)
        part.drop(columns="code").to_csv(tmp_path / "in" / f"code={code}" / "x.csv", index=False)
        part.to_csv(tmp_path / f"{code}.csv", index=False)
    out = tmp_path / "out"
    words = ("--keep", "code")
    assert predict(exported, tmp_path / "in", "--out", out, *words, "--workers", 1) == 0
    for code in rows["code"].unique():
        assert (
            predict(exported, tmp_path / f"{code}.csv", "--out", tmp_path / "whole.csv", *words)
            == 0
        )
        assert (out / f"code={code}/x.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_second_command_does_what_is_missing(exported, parts, tmp_path, capsys):
    out = tmp_path / "out"
    words = (exported, parts, "--out", out, "--workers", 1)
    assert predict(*words) == 0
    first = {name: (out / name).stat().st_mtime_ns for name in PARTS}
    (out / PARTS[0]).unlink()
    (parts / PARTS[1]).write_text(
        (parts / PARTS[1]).read_text(encoding="utf-8").partition("\n")[0] + "\nA,,1,,True,3,no\n",
        encoding="utf-8",
    )
    capsys.readouterr()
    assert predict(*words) == 0
    assert "2 partitions (51 rows)" in capsys.readouterr().out
    changed = {name for name in PARTS if (out / name).stat().st_mtime_ns != first[name]}
    assert changed == set(PARTS[:2])
    assert len(pd.read_csv(out / PARTS[1])) == 1
    assert predict(*words) == 0
    assert "3 partitions (101 rows) are already in" in capsys.readouterr().out
    (parts / PARTS[2]).unlink()
    assert predict(*words) == 0
    assert not (out / PARTS[2]).exists()
    assert "another keep" in refusal(capsys, *words, "--keep", "code")


def test_a_table_without_rows_gives_a_file_without_rows(exported, parts, tmp_path):
    header = (parts / "a.csv").read_text(encoding="utf-8").partition("\n")[0]
    (parts / "empty.csv").write_text(header + "\n", encoding="utf-8")
    table().iloc[:0].to_parquet(tmp_path / "none.parquet")
    (tmp_path / "pq").mkdir()
    (tmp_path / "none.parquet").rename(tmp_path / "pq" / "none.parquet")
    for source in (parts, tmp_path / "pq"):
        out = tmp_path / f"out-{source.name}"
        assert predict(exported, source, "--out", out, *KEEP, "--workers", 1) == 0
    empty = pd.read_csv(tmp_path / "out-in" / "empty.csv")
    assert not len(empty)
    assert list(empty) == list(pd.read_csv(tmp_path / "out-in" / "a.csv"))
    assert list(pd.read_parquet(tmp_path / "out-pq" / "none.parquet")) == list(empty)


def test_what_cannot_be_scored_is_refused_in_one_line(exported, parts, tmp_path, capsys):
    out = tmp_path / "out"

    def refused(*words, out=out):
        return refusal(capsys, exported, *words, "--out", out, "--workers", 1)

    (tmp_path / "void").mkdir()
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed/a.csv").write_text("a\n1\n", encoding="utf-8")
    table().to_parquet(tmp_path / "mixed/b.parquet")
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("", encoding="utf-8")
    assert "contains no partitions" in refused(tmp_path / "void")
    assert "does not exist" in refused(tmp_path / "nowhere")
    assert "several types" in refused(tmp_path / "mixed")
    assert "is a file" in refused(parts / "a.csv")
    assert "is a file" in refused(parts, out=tmp_path / "file")
    assert "is the folder of the data" in refused(parts, out=parts)
    assert "overlap" in refused(parts, out=parts / "scores")
    assert "has other files" in refused(parts, out=tmp_path / "other")
    assert "--top 3 is not for partitions" in refused(parts, "--top", 3)
    assert "name one folder" in refused(parts, parts)
    assert "'nothing'" in refused(parts, "--keep", "nothing")
    assert "--workers" in refusal(capsys, exported, parts, "--out", out, "--workers", 0)
    words = (exported, parts, "--out", out)
    assert "Remove one" in refusal(capsys, *words, "--workers", 1, "--scheduler", "tcp://h:1")
    assert "is invalid" in refusal(capsys, *words, "--scheduler", "http://h")
    words = (exported, parts / "a.csv", "--out", tmp_path / "a.csv", "--workers", 2)
    assert "Add --out FOLDER" in refusal(capsys, *words)
    assert not files_of(out) if out.exists() else True


def test_the_others_go_on_where_one_cannot_be_read(exported, parts, tmp_path, capsys):
    table().drop(columns="price").to_csv(parts / "b.csv", index=False)
    out = tmp_path / "out"
    line = refusal(capsys, exported, parts, "--out", out, "--workers", 1)
    assert "'b.csv'" in line and "'price' is missing" in line and "2 of 3" in line
    assert set(files_of(out)) == {"a.csv", "deep/c.csv"}
    (parts / "b.csv").write_bytes(b"\x00\x01")
    assert "'b.csv'" in refusal(capsys, exported, parts, "--out", out, "--workers", 1)
    table().to_csv(parts / "b.csv", index=False)
    assert predict(exported, parts, "--out", out, "--workers", 1) == 0
    assert set(files_of(out)) == {*PARTS, "_SUCCESS"}


def test_images_are_refused(parts, tmp_path, capsys):
    series = library.folder("dated_series_exported")
    line = refusal(capsys, series, parts, "--out", tmp_path / "out")
    assert "does not predict rows" in line
    run = library.folder("customer_table")
    assert "Export it first" in refusal(capsys, run, parts, "--out", tmp_path / "out")


def killer(pool, times):
    """Kill workers of a pool while they work; return a thread, started."""

    def kill():
        for _ in range(times):
            while not (processes := list(pool._processes)):
                time.sleep(0.005)
            time.sleep(0.3)
            for process in processes:
                process.kill()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def test_a_killed_worker_loses_nothing(exported, parts, tmp_path, monkeypatch):
    killers = []

    class Pool(pools.LocalPool):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            killers.append(killer(self, 2))

    monkeypatch.setattr(job_module, "LocalPool", Pool)
    assert predict(exported, parts, "--out", tmp_path / "out", "--workers", 1) == 0
    monkeypatch.undo()
    assert predict(exported, parts, "--out", tmp_path / "again", "--workers", 1) == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "again")
    assert not (tmp_path / "out/_kzoo/temporary").exists()


def test_a_partition_that_ends_every_worker_fails_alone(exported, parts, tmp_path, capsys):
    class Pool(pools.LocalPool):
        def _new_process(self, log):
            process = super()._new_process(log)
            process.kill()
            return process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_module, "LocalPool", Pool)
        line = refusal(capsys, exported, parts, "--out", tmp_path / "out", "--workers", 1)
    assert "ended 6 workers" in line
    assert files_of(tmp_path / "out") == {}


IMPORTS = """
import json, sys
from kzoo.cloud.storage import storage_of
from kzoo.runtime import load
from kzoo.scoring import worker
from kzoo.scoring.partition import ScoringJob, score
worker.prepare_process()
source, out, model = sys.argv[1:]
source = storage_of(source)
outcome = score(load(model, threads=1), ScoringJob(source=source, out=storage_of(out)), source.list()[0])
packages = ("tensorflow", "keras", "pandas", "sklearn", "jax", "torch")
print(json.dumps([outcome.error, outcome.rows, [name for name in packages if sys.modules.get(name)]]))
"""


def test_a_worker_imports_no_keras_and_no_pandas(exported, parts, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, parts, tmp_path / "out", exported],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["", 50, []]


@pytest.fixture(scope="module")
def cluster():
    """The address of a Dask scheduler with two workers in processes of their own."""
    if find_spec("distributed") is None:
        pytest.skip("Dask is not installed")
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as local:
        yield local


def test_dask_gives_the_same_files(exported, parts, tmp_path, cluster, capsys):
    words = (exported, parts, *KEEP)
    address = cluster.scheduler_address
    assert predict(*words, "--out", tmp_path / "dask", "--scheduler", address) == 0
    assert "by 2 workers" in capsys.readouterr().out
    assert predict(*words, "--out", tmp_path / "local", "--workers", 1) == 0
    assert files_of(tmp_path / "dask") == files_of(tmp_path / "local")


def test_a_killed_dask_worker_loses_nothing(exported, parts, tmp_path, cluster):
    pids = [each["pid"] for each in _workers(cluster)]
    thread = threading.Timer(0.5, lambda: [os.kill(pid, signal.SIGKILL) for pid in pids[:1]])
    thread.start()
    words = (exported, parts, "--out", tmp_path / "out")
    assert predict(*words, "--scheduler", cluster.scheduler_address) == 0
    thread.join()
    assert set(files_of(tmp_path / "out")) == {*PARTS, "_SUCCESS"}


def _workers(cluster):
    from distributed import Client

    with Client(cluster.scheduler_address, set_as_default=False) as client:
        return [{"pid": pid} for pid in client.run(os.getpid).values()]


def test_a_cluster_that_cannot_score_is_refused(
    exported, parts, tmp_path, cluster, capsys, monkeypatch
):
    words = (exported, parts, "--out", tmp_path / "out", "--scheduler")
    monkeypatch.setattr("kzoo.utils.dask_cluster._PATIENCE", 1)
    assert "cannot connect" in refusal(capsys, *words, "tcp://127.0.0.1:9")
    monkeypatch.setattr(pools, "__version__", "99.0")
    assert "this is kzoo 99.0" in refusal(capsys, *words, cluster.scheduler_address)
