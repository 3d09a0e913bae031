"""A small exported model with its weights, and an empty download cache for each test."""

import json
import shutil
import tempfile
from pathlib import Path

import library
import pytest

from kzoo.export.training_rows import manifest_counts
from kzoo.hub.push import prepared
from kzoo.hub.push import push as push_prepared
from kzoo.inference.exported import ExportedModel, Manifest, files_below
from kzoo.utils.files import described


def export_of(name, folder, **changes):
    """Write the exported model of a run of the library, complete as `kzoo.export` writes it.

    Args:
        name: of the run.
        folder: the new folder.
        changes: values of its manifest.
    """
    run = library.run(name)
    shutil.copytree(library.folder(f"{name}_exported"), folder)
    (folder / "kzoo.json").chmod(0o644)
    shutil.copyfile(weights_of(name) / "model.weights.h5", folder / "model.weights.h5")
    document = json.loads((folder / "kzoo.json").read_text(encoding="utf-8")) | changes
    document["spec"] = run.spec.json()
    for entry in document["exports"].values():
        entry["bytes"] = (folder / entry["file"]).stat().st_size
    document["counts"] = manifest_counts(
        run.config["statistics"], run.config["data"], run.preprocessing, len(run.class_names)
    )
    document["files"] = {
        name: described(folder / name) for name in files_below(folder) if name != "kzoo.json"
    }
    Manifest.read(document).write(folder)
    return ExportedModel(folder)


_WEIGHTS = {}


def weights_of(name):
    """Return a folder with the weights of a run."""
    if name not in _WEIGHTS:
        _WEIGHTS[name] = Path(tempfile.mkdtemp(prefix="kzoo-hub-"))
        library.run(name).model.save_weights(_WEIGHTS[name] / "model.weights.h5")
    return _WEIGHTS[name]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty download cache, and a folder without other files to work in."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("KZOO_CACHE", str(folder))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


@pytest.fixture(scope="session")
def _first(tmp_path_factory):
    return export_of("customer_table", tmp_path_factory.mktemp("exported") / "shops")


@pytest.fixture
def exported(_first, tmp_path):
    """An exported model that the test may change."""
    return ExportedModel(shutil.copytree(_first.path, tmp_path / "shops"))


def push(exported, word, **options):
    """Push an exported model."""
    with prepared(exported, **options) as outgoing:
        return push_prepared(outgoing, word)


def changed(exported, **changes):
    """Write another manifest of an exported model: another model with the same files."""
    document = {**exported.config, **changes}
    document["exports"] = {key: dict(entry) for key, entry in exported.exports.items()}
    Manifest.read(document).write(exported.path)
    return ExportedModel(exported.path)
