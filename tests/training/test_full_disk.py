"""A real file system of a few MB fills up during training: complete files stay complete."""

import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from messages import assert_mentions

import kzoo

# The same command runs twice: on a small file system made by the script, then on the enlarged one.
SCRIPT = """
set -e
mkdir disk && mount -t tmpfs -o size={size} tmpfs disk
train() {{ {python} -m kzoo train digits_cnn --epochs 3 --out disk/run; }}
code=0; train || code=$?
cp -r disk/run full; echo $code > code
mount -o remount,size=50m disk
train
cp -r disk/run whole
"""


def may_mount():
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, capture_output=True).returncode == 0
    )


@pytest.mark.slow
@pytest.mark.skipif(
    not may_mount(), reason="may not mount a file system (unshare -rm mount -t tmpfs)"
)
# About 1.3 MB each: full in the first last.keras, in the first journal, in the second epoch's models.
@pytest.mark.parametrize(
    ("size", "models", "journal"), [("2m", 1, False), ("3m", 2, False), ("4400k", 2, True)]
)
def test_a_full_disk_loses_nothing(size, models, journal, tmp_path):
    script = SCRIPT.format(size=size, python=sys.executable)
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "code").read_text() == "2\n"
    assert_mentions(done.stderr, "disk", "full", "--out")
    assert "Traceback" not in done.stderr
    there = {path.name for path in (tmp_path / "full").iterdir()}
    assert not any(name.startswith(".") and name != ".lock" for name in there), there
    assert ("journal" in there) == journal
    saved = [name for name in ("best.keras", "last.keras") if name in there]
    assert len(saved) == models
    for name in saved:
        keras.saving.load_model(tmp_path / "full" / name, compile=False)
    # of the note that it goes on from the journal
    assert ("--resume never" in done.stderr) == journal
    undisturbed = kzoo.train("digits_cnn", epochs=3, out=tmp_path / "undisturbed", progress=False)
    for a, b in zip(
        undisturbed.model.get_weights(),
        kzoo.Run(tmp_path / "whole").model.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
