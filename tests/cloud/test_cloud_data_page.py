"""The page "cloud_data" runs: data in a bucket of a server that speaks S3. Nothing written or printed has a secret."""

import os
import shlex
from pathlib import Path

import pytest
from cloud.conftest import KEY, SECRET
from cloud.test_data import table
from pages import ROOT, blocks, lines

from kzoo.cli import main

PAGE = ROOT / "docs" / "how_to" / "cloud_data.md"


@pytest.mark.slow
def test_the_page(s3, tmp_path, capfd, undrawn, untraced):
    s3.mkdir("bucket")
    for name in ("churn", "customers", "parts/2024-1", "parts/2024-2"):
        table("table.csv")
        s3.put_file("table.csv", f"bucket/{name}.csv")
    for name in ("good", "bad"):
        for i in range(40):
            s3.pipe_file(f"bucket/reviews/{name}/{i}.txt", f"{name} number {i}".encode())
    for block in blocks(PAGE):
        for line in lines(block) if block.language == "sh" else ():
            words = shlex.split(line)[1:]
            words += ["--epochs", "2"] if words[0] == "train" else []
            assert main(words) == 0, line
        if block.language == "python":
            exec(block.text, {})
    output = capfd.readouterr()
    texts = [output.out.encode(), output.err.encode()]
    texts += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for text in texts:
        assert SECRET.encode() not in text and KEY.encode() not in text
    runs = [path for path in Path("runs").rglob("*") if path.is_file()]
    assert runs and not any(os.fsencode(tmp_path / "cache") in path.read_bytes() for path in runs)
