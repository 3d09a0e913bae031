"""Warnings and tracebacks show the user's line that called kzoo, and no line of kzoo."""

import linecache
import traceback
import warnings
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions
from PIL import Image

import kzoo
from kzoo.utils.errors import KzooWarning

pytestmark = pytest.mark.usefixtures("registry_as_it_was")


@pytest.fixture
def photos(tmp_path):
    for number in range(3):
        Image.fromarray(np.full((8, 8), 80 * number, "uint8")).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    return sorted(tmp_path.glob("*.png"))


def load_an_idle_setting(photos):
    file = photos[0].with_name("vain.toml")
    file.write_text(
        '[idle_gru]\nbase = "text_gru"\nconfig = { dense_dropout = 0.5, dropout = 0.1 }\n'
    )
    kzoo.load_presets(file)


def evaluate_with_a_target_of_letters(photos):
    table = pd.DataFrame(np.random.default_rng(0).random((30, 4))).assign(y=list("abc") * 10)
    kzoo.evaluate(kzoo.build("iris_fnn"), table, target="y")


WARNS = {
    "build": lambda photos: kzoo.build("iris_fnn", batch_size=4),
    "predict": lambda photos: kzoo.predict("digits_cnn", photos),
    "dark pixels": lambda photos: kzoo.predict("digits_cnn", np.eye(8)[None]),
    "load_presets": load_an_idle_setting,
    "evaluate": evaluate_with_a_target_of_letters,
}


@pytest.mark.parametrize("call", WARNS.values(), ids=WARNS)
def test_a_warning_names_the_line_that_called_kzoo(photos, call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(photos)
    ours = [warning for warning in caught if issubclass(warning.category, KzooWarning)]
    assert ours
    assert {warning.filename for warning in ours} == {__file__}
    assert "kzoo." in linecache.getline(__file__, ours[0].lineno)


def test_a_warning_from_a_callback_names_the_line_that_called_keras(photos):
    class Predicts(keras.callbacks.Callback):  # a user's callback, which holds the line
        def on_epoch_end(self, epoch, logs=None):
            kzoo.predict("digits_cnn", photos)

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.warns(KzooWarning) as caught:
        model.fit(np.ones((2, 1)), np.ones(2), callbacks=[Predicts()], verbose=0)
    line = linecache.getline(caught[0].filename, caught[0].lineno)
    assert 'kzoo.predict("digits_cnn", photos)' in line


def frames_of(error):
    """Return the files of a traceback below the test itself, those of the package relative to it."""
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)][1:]
    package = Path(kzoo.__file__).parent
    return [
        (file.relative_to(package) if file.is_relative_to(package) else file).as_posix()
        for file in files
    ]


REFUSED = {
    "train": lambda: kzoo.train("iris_fnn", "nowhere.csv"),
    "build": lambda: kzoo.build("iris_fnn", dropout=-1),
    "get_preset": lambda: kzoo.get_preset("cifar_cn"),
    "space": lambda: kzoo.space("iris_fnn", "huge"),
    "tune": lambda: kzoo.tune("iris_fnn", "iris", trials=0),
    "predict": lambda: kzoo.predict("digits_cnn", "none.png"),
    "explain": lambda: kzoo.explain("nowhere"),
    "compare": lambda: kzoo.compare("nowhere"),
    "load_data": lambda: kzoo.load_data("nowhere.csv"),
    "standard": lambda: kzoo.callbacks.standard(stop_early=3),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_an_error_shows_the_call_and_no_frames_inside_kzoo(call, monkeypatch):
    with pytest.raises(kzoo.KzooError) as refused:
        call()
    assert frames_of(refused.value) == [__file__, "utils/errors.py"]
    shown = "".join(traceback.format_exception(refused.value))
    assert len(shown) < 1500 + len(str(refused.value))
    monkeypatch.setenv("KZOO_DEBUG", "1")
    with pytest.raises(kzoo.KzooError) as refused:
        call()
    assert len(frames_of(refused.value)) > 2


def test_user_functions_that_kzoo_calls_stay_in_the_traceback():
    def model(hp):
        hp.Int("units", 1, 4)
        return kzoo.build("iris_fnn", dropout=-1)

    with pytest.raises(kzoo.KzooError) as refused:
        kzoo.tune(model, "iris", trials=1, progress=False)
    shown = "".join(traceback.format_exception(refused.value))
    assert 'return kzoo.build("iris_fnn", dropout=-1)' in shown
    assert frames_of(refused.value) == ["utils/errors.py", __file__]


def test_a_fault_of_kzoo_keeps_its_whole_traceback(monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("a fault")

    monkeypatch.setattr("kzoo.training.plan.TrainingPlan.ready", broken)
    with pytest.raises(RuntimeError) as failed:
        kzoo.train("iris_fnn", "iris", progress=False)
    assert "training/train.py" in frames_of(failed.value)


def test_notebooks_show_the_cell_and_the_message(tmp_path, monkeypatch):
    # IPython asks an exception for its lines; of a class, whose frames no function trims.
    with pytest.raises(kzoo.KzooError) as refused:
        kzoo.Search(tmp_path).retrain()
    lines = refused.value._render_traceback_()
    assert "kzoo.Search(tmp_path).retrain()" in "\n".join(lines)
    assert_mentions(lines[-1], str(tmp_path), "search.json", "kzoo.tune")
    assert "search.py" not in "\n".join(lines[:-1])
    assert len(lines) < 8
    monkeypatch.setenv("KZOO_DEBUG", "1")
    assert "search.py" in "\n".join(refused.value._render_traceback_())
