"""A frozen network sees each example once, and what lies above it learns as if it saw it in every epoch."""

import numpy as np
import pytest

import kzoo
from kzoo.training import road

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

SMALL = dict(backbone="efficientnet_lite0", cut="stem_norm")


def fit(out, **options):
    random, y = np.random.default_rng(0), np.arange(30) % 3
    x = (random.uniform(0, 255, (30, 32, 32, 3)) * (1 + y[:, None, None, None]) / 3).astype("uint8")
    options = dict(
        weights=kzoo.build("image_pretrained", seed=3, compile=False, input_shape=(32, 32, 3), outputs=5, **SMALL),
        freeze=True, epochs=3, batch_size=8, learning_rate=0.01, callbacks="quick", check=False, precision="float32",
    ) | options  # fmt: skip
    return kzoo.train("image_pretrained", (x, y), out=out, **SMALL | options)


def test_what_is_trained_is_the_same_and_the_rest_stays(tmp_path, monkeypatch, capsys):
    found = fit(tmp_path / "once")
    assert "The backbone is frozen, and sees each image once" in capsys.readouterr().err
    assert found.spec.training["augment"] == []
    monkeypatch.setattr(road, "frozen_below", lambda model: None)  # each image in every epoch
    whole = fit(tmp_path / "each")
    for one, other in zip(found.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    for name in ("val_loss", "loss"):
        np.testing.assert_allclose(found.history[name], whole.history[name], rtol=1e-4)
    assert found.history["loss"][0] != found.history["loss"][-1]  # it did learn
    began = kzoo.build("image_pretrained", seed=3, compile=False, input_shape=(32, 32, 3), outputs=5, **SMALL)
    np.testing.assert_array_equal(*(m.get_layer("stem").get_weights()[0] for m in (found.model, began)))


def test_augmentation_that_is_asked_for_is_kept(tmp_path, capsys):
    run = fit(tmp_path / "run", augment=("flip",), epochs=1)
    assert run.spec.training["augment"] == ["flip"]
    assert "sees each image once" not in capsys.readouterr().err


def test_the_checks_before_training_look_at_the_whole_network(tmp_path):
    assert fit(tmp_path / "run", check=True, progress=False, epochs=1).finished
