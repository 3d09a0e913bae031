"""The page "cloud_runs" runs: runs and models in a bucket of a server that speaks S3."""

import json
import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import ROOT, blocks, lines

from kzoo.cli import main
from kzoo.serve.limits import Limits
from kzoo.serve.model_repository import open_repository

PAGE = ROOT / "docs" / "how_to" / "cloud_runs.md"
SECRET = "a-secret-that-nothing-shows"


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A server that speaks S3, with an empty bucket, configured as users configure it."""
    for package in ("moto", "flask", "s3fs"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    server = import_module("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in dict(
        AWS_ENDPOINT_URL=f"http://{host}:{port}",
        AWS_ACCESS_KEY_ID="somebody",
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_DEFAULT_REGION="us-east-1",
        KZOO_CACHE=str(tmp_path / "cache"),
    ).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)
    file_system = import_module("s3fs").S3FileSystem(skip_instance_cache=True)
    file_system.mkdir("bucket")
    yield file_system
    server.stop()


def test_the_page(store, tmp_path, monkeypatch, capfd, undrawn, untraced):
    assert PAGE.name == "cloud_runs.md"
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
    stored = [path for path in store.find("bucket") if ".unfinished" in path]
    assert stored == []
    for path in store.find("bucket"):
        assert SECRET.encode() not in store.cat(path)
