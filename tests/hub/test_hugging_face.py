"""The Hugging Face Hub: pushes are commits, and pulls are checked as those of other hubs."""

import json
import sys

import pytest
from hub.conftest import changed, push
from hub.hugging_face_server import serving_hub
from messages import assert_mentions, refuses

import kzoo.runtime
from kzoo.cli import main
from kzoo.export.card import card
from kzoo.hub.pull import local_copy
from kzoo.inference.exported import ExportedModel

NAME = "hub:hf://someone/shops"


@pytest.fixture
def server(monkeypatch, tmp_path):
    constants = pytest.importorskip("huggingface_hub.constants")
    with serving_hub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        files = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


def test_pushed_listed_and_pulled(server, exported, capsys):
    assert main(["push", str(exported.path), NAME]) == 0
    (commit, files) = server.at("someone/shops", "main")
    assert set(files) == {".gitattributes", "kzoo.json", *exported.manifest.files}
    assert_mentions(capsys.readouterr().out, f"{NAME}@{commit}")
    assert main(["list", "--hub", "hf://someone", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["revision"]) == ("shops", commit)
    folder = local_copy(NAME)
    assert folder.address.revision == commit
    assert ExportedModel(folder).damage() == [] and ExportedModel(folder).config == exported.config
    assert_mentions(capsys.readouterr().err, f"{NAME}@{commit}: for tabular classification")


def test_commits_and_branches(server, exported, monkeypatch):
    first = push(exported, NAME).address.revision
    assert not push(exported, NAME).is_new
    (exported.path / "onnx" / "model.onnx").rename(exported.path / "onnx" / "net.onnx")
    files = exported.config["files"]
    files["onnx/net.onnx"] = files.pop("onnx/model.onnx")
    second = push(changed(exported, files=files, author="Ann"), NAME).address.revision
    assert "onnx/model.onnx" not in server.at("someone/shops", "main")[1]
    assert local_copy(f"{NAME}@{first[:7]}").address.revision == first
    assert local_copy(f"{NAME}@main").address.revision == second
    with refuses("v9", "no such revision"):
        local_copy(f"{NAME}@v9")
    with refuses("hf://someone/other", "hf auth login"):
        local_copy("hub:hf://someone/other")
    server.http.server_close()
    server.http.shutdown()
    assert local_copy(f"{NAME}@{first}").address.revision == first
    assert local_copy(f"{NAME}@main").address.revision == second
    assert local_copy(NAME).address.revision == second


def test_changed_files_are_refused_with_both_sums(server, exported):
    push(exported, NAME)
    files = server.at("someone/shops", "main")[1]
    content = files["onnx/model.onnx"]
    sha256 = exported.manifest.files["onnx/model.onnx"]["sha256"]
    files["onnx/model.onnx"] = content[:-1] + b"x"
    with refuses("onnx/model.onnx", sha256, "its sha256 is"):
        local_copy(NAME)
    files["onnx/model.onnx"] = content + b"x"
    with refuses("onnx/model.onnx", f"{len(content) + 1} bytes", sha256):
        local_copy(NAME)
    del files["onnx/model.onnx"]
    with refuses("onnx/model.onnx", "None bytes"):
        local_copy(NAME)
    files["onnx/model.onnx"] = content
    assert kzoo.runtime.load(NAME).predict is not None


def test_strangers_repositories(server, exported):
    server.commit("someone/shops", {"model.safetensors": b"x"})
    with refuses("model.safetensors", "Choose another name"):
        push(exported, NAME)
    with refuses("not an exported model", "no kzoo.json"):
        local_copy(NAME)
    server.commit("someone/shops", {"kzoo.json": b"{"})
    with refuses("kzoo.json"):
        local_copy(NAME)


@pytest.mark.parametrize(
    ("status", "part"), [(401, "hf auth login"), (403, "hf auth login"), (418, "418")]
)
def test_refusals_of_the_hub(server, exported, status, part):
    server.refuses = status
    for call in (lambda: local_copy(NAME), lambda: push(exported, NAME)):
        with refuses("someone/shops", part):
            call()


def test_without_the_package(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(["pull", NAME]) == 2
    assert_mentions(capsys.readouterr().err, 'pip install "kzoo[hub]"')


def test_the_card_has_the_front_matter_that_the_hub_reads(exported):
    yaml = pytest.importorskip("yaml")
    name = 'a "name": [x]\n---'
    model = changed(
        exported,
        metrics={"test": {"accuracy": 0.75, "loss": float("1e-5"), "examples": 32}},
        origin={"source": "https://example.org", "licence": "CC0"},
        data=exported.config["data"] | {"name": name},
        predict_ms={"1": 1.0, "32": 2.0},
    )
    front = yaml.safe_load(card(model.manifest).split("---\n")[1])
    assert (front["library_name"], front["pipeline_tag"]) == ("kzoo", "tabular-classification")
    assert front["datasets"] == [name] and front["tags"] == [
        "kzoo",
        "keras",
        "tabular-classification",
    ]
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["name"] == name and result["task"]["type"] == front["pipeline_tag"]
    scores = {each["type"]: float(each["value"]) for each in result["metrics"]}
    assert scores == {"accuracy": 0.75, "loss": 1e-5}
    anonymous = changed(exported, metrics={}, origin={}, predict_ms={"1": 1.0, "32": 2.0})
    unknown = yaml.safe_load(card(anonymous.manifest).split("---\n")[1])
    assert "datasets" not in unknown and "model-index" not in unknown
