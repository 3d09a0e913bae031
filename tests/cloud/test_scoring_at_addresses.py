"""`kzoo predict` with the model, the partitions and the scores in a bucket; worker processes open it themselves."""

import csv
import json

import library
from cloud.conftest import KEY, SECRET

from kzoo.cli import main
from kzoo.scoring import job

ROWS = library.folder("data") / "customers.csv"


def test_partitions_of_a_bucket_are_scored_by_a_model_of_the_bucket(s3, tmp_path, capfd):
    header, *rows = ROWS.read_text(encoding="utf-8").splitlines()
    for number in range(3):
        part = "\n".join([header, *rows[number * 40 : (number + 1) * 40]])
        s3.pipe(f"kzoo-test/parts/p{number}.csv", part.encode())
    folder = library.folder("customer_table_exported")
    for path in folder.rglob("*"):
        if path.is_file():
            s3.put_file(str(path), f"kzoo-test/models/c/{path.relative_to(folder).as_posix()}")
    words = ["predict", "s3://kzoo-test/models/c", "s3://kzoo-test/parts/"]
    assert main([*words, "--out", "s3://kzoo-test/scores/"]) == 0
    assert "120 rows" in capfd.readouterr().out
    (tmp_path / "rows.csv").write_text("\n".join([header, *rows[:120]]), encoding="utf-8")
    words = ["predict", str(folder), str(tmp_path / "rows.csv"), "--out", "whole.csv"]
    assert main(words) == 0
    with open("whole.csv", encoding="utf-8-sig", newline="") as file:
        whole = [row["label"] for row in csv.DictReader(file)]
    parts = []
    for number in range(3):
        text = s3.cat(f"kzoo-test/scores/p{number}.csv").decode("utf-8-sig")
        parts += [row["label"] for row in csv.DictReader(text.splitlines())]
    assert parts == whole
    stored = b"".join(s3.cat(path) for path in s3.find("kzoo-test/scores"))
    assert SECRET.encode() not in stored and KEY.encode() not in stored


def test_another_model_that_starts_to_write_to_the_same_address_is_refused(s3, monkeypatch, capfd):
    s3.pipe("kzoo-test/parts/p0.csv", ROWS.read_bytes())
    description = "kzoo-test/scores/_kzoo/job.json"

    def other_command(seconds):
        document = json.loads(s3.cat(description))
        document["model"]["sha256"] = "0" * 64
        s3.pipe(description, json.dumps(document).encode())

    monkeypatch.setattr(job.time, "sleep", other_command)
    words = [str(library.folder("customer_table_exported")), "s3://kzoo-test/parts/"]
    assert main(["predict", *words, "--out", "s3://kzoo-test/scores/"]) == 2
    error = capfd.readouterr().err
    assert "has predictions with another model" in error and error.count("\n") == 1
    assert [path for path in s3.find("kzoo-test/scores")] == [description]
