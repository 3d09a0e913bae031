"""A run from anywhere: the recipe in `config.json`, or the model of one's own in `best.keras`."""

from kzoo.loading.archive import check_sha256, open_archive, read_once
from kzoo.loading.foreign import load_bytes
from kzoo.loading.recipe import load_recipe
from kzoo.loading.refused import Refused, naming
from kzoo.run import Run

MAX_CONFIG = 16 << 20  # with the statistics of the data


def load_run(folder, *, trusted=(), expected_sha256=None):
    """Return a run's best model, not compiled. See `kzoo.load_model`; `expected_sha256` is that of `best.keras`."""
    run = Run(folder)
    with naming(run.path / "config.json"):
        read_once(run.path / "config.json", MAX_CONFIG)
    file, spec = run.model_file, run.config["spec"]
    with naming(file):
        raw = read_once(file)
        check_sha256(raw, expected_sha256)
        if not isinstance(spec, dict):
            raise Refused("its config.json does not say what was trained", "Train again")
        if spec.get("family") is None:
            return load_bytes(raw, trusted=trusted)
        return load_recipe(spec, open_archive(raw).weights)
