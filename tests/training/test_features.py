"""A frozen network sees each example once; the layers above it learn as if it saw each example in every epoch."""

import numpy as np
import pytest
from messages import assert_mentions, missing_from

import kzoo
from kzoo.training import plan

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

SMALL = dict(backbone="efficientnet_lite0", cut="stem_norm")
NOTE = ("backbone", "frozen", "augmentation")  # of the note that each image is seen once


def fit(out, **options):
    random = np.random.default_rng(0)
    y = np.arange(30) % 3
    x = (random.uniform(0, 255, (30, 32, 32, 3)) * (1 + y[:, None, None, None]) / 3).astype("uint8")
    options = (
        dict(
            weights=kzoo.build(
                "image_pretrained",
                seed=3,
                compile=False,
                input_shape=(32, 32, 3),
                outputs=5,
                **SMALL,
            ),
            freeze=True,
            epochs=3,
            batch_size=8,
            learning_rate=0.01,
            callbacks="quick",
            check=False,
            precision="float32",
        )
        | options
    )
    return kzoo.train("image_pretrained", (x, y), out=out, **SMALL | options)


def test_a_frozen_backbone_that_sees_each_image_once_trains_the_same_weights(
    tmp_path, monkeypatch, capsys
):
    once = fit(tmp_path / "once")
    assert_mentions(capsys.readouterr().err, *NOTE)
    assert once.spec.training["augment"] == []
    monkeypatch.setattr(plan, "frozen_below", lambda model: None)  # each image in every epoch
    each = fit(tmp_path / "each")
    for mine, theirs in zip(once.model.get_weights(), each.model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    for name in ("val_loss", "loss"):
        np.testing.assert_allclose(once.history[name], each.history[name], rtol=1e-4)
    assert once.history["loss"][0] != once.history["loss"][-1]  # it did learn
    began = kzoo.build(
        "image_pretrained", seed=3, compile=False, input_shape=(32, 32, 3), outputs=5, **SMALL
    )
    np.testing.assert_array_equal(
        *(m.get_layer("stem").get_weights()[0] for m in (once.model, began))
    )


def test_requested_augmentation_stays(tmp_path, capsys):
    run = fit(tmp_path / "run", augment=("flip",), epochs=1)
    assert run.spec.training["augment"] == ["flip"]
    assert missing_from(capsys.readouterr().err, NOTE) == [*NOTE]


def test_checks_before_training_look_at_the_whole_network(tmp_path):
    assert fit(tmp_path / "run", check=True, progress=False, epochs=1).finished
