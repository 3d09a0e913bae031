"""The page "cloud_runs" runs: runs and models in a bucket of a server that speaks S3."""

import json
import shlex
from pathlib import Path

import pytest
from cloud.conftest import KEY, SECRET
from pages import ROOT, blocks, lines

from kzoo.cli import main
from kzoo.serve.limits import Limits
from kzoo.serve.model_repository import open_repository

PAGE = ROOT / "docs" / "how_to" / "cloud_runs.md"


@pytest.mark.slow
def test_the_page(s3, tmp_path, monkeypatch, capfd, undrawn, untraced):
    s3.mkdir("bucket")
    Path("rows.csv").write_text(
        "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n5.1,3.5,1.4,0.2\n"
    )
    for block in blocks(PAGE):
        for line in lines(block) if block.language == "sh" else ():
            words = shlex.split(line)[1:]
            if words[0] == "serve":
                assert [*open_repository(words[1:], limits=Limits()).models] == ["iris"]
            else:
                assert main([*words, *(["--epochs", "2"] if words[0] == "train" else [])]) == 0, (
                    line
                )
        if block.language == "python":
            exec(block.text, {})
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "other"))
    capfd.readouterr()
    assert main(["predict", "s3://bucket/runs/iris", "rows.csv", "--json"]) == 0
    assert len(json.loads(capfd.readouterr().out)["predictions"]) == 1
    assert not Path("s3:").exists()
    stored = [path for path in s3.find("bucket") if ".unfinished" in path]
    assert stored == []
    for path in s3.find("bucket"):
        content = s3.cat(path)
        assert SECRET.encode() not in content and KEY.encode() not in content
