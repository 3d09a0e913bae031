"""Every attack file is refused before Keras opens it, nothing runs, and memory stays small."""

import subprocess
import sys
from pathlib import Path

import attacks
import keras
import pytest
from attacks import ATTACKS
from messages import refuses

import kzoo

HERE = Path(__file__).parent
# Refused as broken: no model at all, or a model that contradicts itself.
UNREADABLE = (
    "open_named_pipe",
    "open_pickle_called_keras",
    "open_bytes_before_the_zip",
    "bomb_zip_understates_its_size",
    "bomb_architecture_by_its_build_config",
    "bomb_json_of_as_many_lists_as_fit",
)


@pytest.fixture
def keras_opens_nothing(monkeypatch):
    def opened(*args, **options):
        raise AssertionError("Keras opened the file")

    monkeypatch.setattr(keras.saving, "load_model", opened)
    monkeypatch.setattr(keras.models, "load_model", opened)


@pytest.fixture(autouse=True)
def _registry():
    before = dict(keras.saving.get_custom_objects())
    yield
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(before)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(name, keras_opens_nothing):
    path = ATTACKS[name]()
    Path("canary").unlink(missing_ok=True)  # making some of the files writes it, too
    with refuses(path) as caught:
        kzoo.load_model(path)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, kzoo.UnsafeModelError) is (name not in UNREADABLE), str(
        caught.value
    )
    assert not Path("canary").exists()


def test_there_are_at_least_25_attacks():
    assert len(ATTACKS) >= 25


MEASURE = """
import gc, sys
gc.set_threshold(200_000, 20, 100)
import keras, kzoo
sys.path.insert(0, {here!r})
from attacks import dense
dense().save("good.keras")
kzoo.load_model("good.keras")  # what loading any model takes


def memory(name):  # not getrusage, whose peak a child inherits from its parent
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


for path in sys.argv[1:]:
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
    before = memory("VmRSS")
    try:
        kzoo.load_model(path)
    except kzoo.KzooError:
        print(path, memory("VmHWM") - before)
"""


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="Linux reports the peak of memory"
)
@pytest.mark.usefixtures("warm_children")
def test_no_attack_uses_much_memory(tmp_path):
    """Files are made here and opened in one process."""
    files = []
    for name in (name for name in ATTACKS if name.startswith(("bomb_", "cve_2026_0897"))):
        file = tmp_path / f"{name}.keras"
        Path(ATTACKS[name]()).rename(file)
        files.append(str(file))
    script = MEASURE.format(here=str(HERE))
    done = subprocess.run(
        [sys.executable, "-c", script, *files], capture_output=True, text=True, check=True
    )
    grown = {Path(line.split()[0]).stem: int(line.split()[1]) for line in done.stdout.splitlines()}
    assert len(grown) == len(files)
    assert max(grown.values()) < 200, grown


@pytest.mark.parametrize(
    "name",
    [
        "open_lambda_with_a_named_keras_function",
        "open_class_that_another_package_registered",
        "open_folder_form_with_a_symlink_as_vocabulary",
        "cve_2026_12481_lambda_in_a_nested_model",
        "bomb_zip_asset",
    ],
)
def test_keras_opens_files_that_kzoo_refuses(name):
    """The attacks are real: Keras opens these in safe mode. A failure here is good news."""
    keras.saving.load_model(ATTACKS[name](), safe_mode=True)


def test_the_optimizer_and_loss_of_a_file_are_not_loaded():
    """Optimizer, loss and metrics of the file, and of models inside it, are never made."""
    keras.saving.register_keras_serializable("bird")(attacks.Canary)
    evil = attacks.layer("Canary", {}, module="bird", registered_name="bird>Canary")
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    inner.compile("sgd", "mse")

    def change(config):
        config["compile_config"] = {"optimizer": evil}
        config["config"]["layers"][1]["compile_config"] = {"optimizer": evil}

    path = attacks.with_config(change, keras.Sequential([keras.Input((4,)), inner]))
    with pytest.raises(ValueError):
        keras.saving.load_model(path, compile=False)  # Keras makes the optimizer of the inner model
    assert Path("canary").exists()
    Path("canary").unlink()
    model = kzoo.load_model(path)
    assert not model.compiled and not Path("canary").exists()


def test_unrolled_layers_are_rolled_up():
    """A short file may ask for a graph of a million steps; the answers are the same without."""
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.GRU(4, unroll=True)])
    path = attacks.with_text("3, 2]", "3000000, 2]", model)
    assert kzoo.load_model(path).layers[0].unroll is False
