"""Folders of images and single images in all common formats: how they are read, split and refused."""

import io
import json
import os
import random
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from image_folders import load_images
from messages import assert_mentions, notes_with, refuses, warns
from PIL import Image, ImageFile

import kzoo
from kzoo.data.inputs.image import parallel_reading
from kzoo.data.inputs.image.fitting import image_preprocessing
from kzoo.data.options import DataOptions
from kzoo.inference.encode import encode as encode_images
from kzoo.inference.kinds.image import jpeg
from kzoo.inference.kinds.image.decode import decode
from kzoo.training.command import command_of
from kzoo.utils.errors import KzooWarning

SHAPE = (8, 8, 3)
COLOURS = {"ant": (200, 30, 30), "bee": (30, 200, 30), "cat": (30, 30, 200)}
SUFFIXES = ("jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp", "tif", "tiff")


def paint(path, colour=(120, 60, 20), size=(12, 10), **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **kwargs)
    return path


@pytest.fixture
def photos(tmp_path):
    """Three classes of 20 images each; every image has a colour near its class's."""
    for name, colour in COLOURS.items():
        for i in range(20):
            paint(tmp_path / "photos" / name / f"{i:02}.png", (*colour[:2], colour[2] + i))
    return tmp_path / "photos"


def colours_of(split):
    return np.asarray(split.x[np.arange(len(split))])[:, 4, 4].astype(int)


def check_labels(split):
    for colour, label in zip(colours_of(split), split.y, strict=True):
        assert np.abs(colour - list(COLOURS.values())[label]).max() <= 19


def test_a_folder_with_the_name_of_a_data_set_is_not_that_data_set(photos, monkeypatch):
    digits_cnn = kzoo.get_preset("digits_cnn")
    assert kzoo.load_data(photos, preset=digits_cnn).name == "photos"
    mine = photos.rename(photos.parent / "digits")
    monkeypatch.chdir(photos.parent)
    for path in ("./digits", "digits/", mine, "./digits/"):
        data = kzoo.load_data(path, preset=digits_cnn)
        assert (
            data.name == "digits/" and data.class_names == ("ant", "bee", "cat") and not data.notes
        )
        assert (
            command_of(digits_cnn, path, {}, DataOptions(), seed=0)
            == "kzoo train digits_cnn --data digits/"
        )
    named = kzoo.load_data("digits", preset=digits_cnn)
    assert named.name == "digits" and len(named.class_names) == 10
    assert_mentions(named.notes[-1], "data set", "./digits")
    assert (
        command_of(digits_cnn, "digits", {}, DataOptions(), seed=0)
        == "kzoo train digits_cnn --data digits"
    )


def test_class_folders_are_split_by_class(photos):
    data = load_images(photos, image_shape=SHAPE)
    assert data.class_names == ("ant", "bee", "cat") and data.task == "image_classification"
    assert data.config == {"input_shape": SHAPE, "outputs": 3}
    assert len(data.train) + len(data.validation) + len(data.test) == 60
    assert np.bincount(data.test.y).tolist() == [4, 4, 4] and len(data.validation) == 5
    for split in (data.train, data.validation, data.test):
        check_labels(split)
    every = np.concatenate([colours_of(s) for s in (data.train, data.validation, data.test)])
    assert len(np.unique(every, axis=0)) == 60  # no image in two splits, none lost
    json.dumps(data.preprocessing)
    assert str(photos.parent) not in repr(data.__dict__)


def test_the_split_follows_the_seed_and_the_fingerprint_the_content(photos):
    one, two = (load_images(photos, image_shape=SHAPE) for _ in range(2))
    np.testing.assert_array_equal(colours_of(one.test), colours_of(two.test))
    assert one.fingerprint == two.fingerprint
    other = load_images(photos, image_shape=SHAPE, seed=1)
    assert (
        colours_of(other.test) != colours_of(one.test)
    ).any() and other.fingerprint != one.fingerprint
    moved = photos.rename(photos.with_name("elsewhere"))
    assert load_images(moved, image_shape=SHAPE).fingerprint == one.fingerprint
    paint(moved / "ant" / "00.png", (1, 2, 3))
    assert load_images(moved, image_shape=SHAPE).fingerprint != one.fingerprint


def test_streaming_gives_the_same_as_memory(photos, monkeypatch):
    memory = load_images(photos, image_shape=SHAPE)
    monkeypatch.setenv("KZOO_MEMORY", "1")
    stream = load_images(photos, image_shape=SHAPE)
    assert isinstance(memory.train.x, np.ndarray) and not isinstance(stream.train.x, np.ndarray)
    assert stream.train.x.shape == memory.train.x.shape and stream.fingerprint == memory.fingerprint
    for part in ("train", "validation", "test"):
        left, right = getattr(memory, part), getattr(stream, part)
        np.testing.assert_array_equal(left.y, right.y)
        indices = np.random.default_rng(0).permutation(len(left))
        np.testing.assert_array_equal(left.x[indices], right.x[indices])
        np.testing.assert_array_equal(left.x[-1], right.x[-1])
        np.testing.assert_array_equal(left.x[1:3], right.x[1:3])


def test_the_fingerprint_of_many_images_covers_names_sizes_and_some_contents(photos, monkeypatch):
    monkeypatch.setattr("kzoo.data.inputs.image.fitting._MAX_HASHED", 7)
    fingerprints = []
    for memory in ("1GiB", "1"):
        monkeypatch.setenv("KZOO_MEMORY", memory)
        fingerprints.append(load_images(photos, image_shape=SHAPE).fingerprint)
    with open(photos / "ant" / "01.png", "ab") as file:
        file.write(b" ")
    for memory in ("1GiB", "1"):
        monkeypatch.setenv("KZOO_MEMORY", memory)
        fingerprints.append(load_images(photos, image_shape=SHAPE).fingerprint)
    first, streamed, longer, longer_streamed = fingerprints
    assert first == streamed != longer == longer_streamed


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.parametrize("digested", (10_000, 1))
def test_worker_processes_read_the_same_images_as_this_process(photos, monkeypatch, digested):
    monkeypatch.setattr("kzoo.data.inputs.image.fitting._MAX_HASHED", digested)
    paint(photos / "ant" / "06_broken.png").write_bytes(b"no image")
    # the other process has Pillow's default
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    cut = paint(photos / "ant" / "05.png", size=(64, 64), format="JPEG")
    cut.write_bytes(cut.read_bytes()[:-9])
    paint(
        photos / "bee" / "damaged.jpg",
        COLOURS["bee"],
        exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01\x03\0",
    )
    odd = photos / "cat" / os.fsdecode(b"\xff \xe8.png")
    if sys.platform == "linux":  # a name that is no text
        paint(odd, COLOURS["cat"])
    monkeypatch.setattr("kzoo.data.inputs.image.fitting._CHUNK", 2)
    with pytest.warns(UserWarning, match="Corrupt EXIF data") as warned:
        alone = load_images(photos, image_shape=SHAPE)
    monkeypatch.setattr("kzoo.data.inputs.image.fitting.threads", lambda: 2)
    monkeypatch.setattr("kzoo.data.inputs.image.parallel_reading._MIN_IMAGES", 30)
    started, replies = [], []

    class Recorded(parallel_reading.Reader):
        def __init__(self):
            super().__init__()
            started.append(self._process)

        def _request(self, *args):
            replies.append(super()._request(*args))
            return replies[-1]

    monkeypatch.setattr("kzoo.data.inputs.image.parallel_reading.Reader", Recorded)
    # The thread of this process waits for the other one, which would read nothing else of so few images.
    monkeypatch.setattr(
        "kzoo.data.inputs.image.fitting.read",
        lambda *args: time.sleep(0.3) or parallel_reading.read(*args),
    )
    with pytest.warns(UserWarning, match="Corrupt EXIF data") as warned_again:
        with_workers = load_images(photos, image_shape=SHAPE)
    assert started and replies and all(process.returncode is not None for process in started)
    assert len(warned) == len(warned_again)
    assert with_workers.notes == alone.notes and "06_broken.png" in alone.notes[0]
    assert with_workers.fingerprint == alone.fingerprint
    for part in ("train", "validation", "test"):
        left, right = getattr(alone, part), getattr(with_workers, part)
        np.testing.assert_array_equal(left.x, right.x)
        np.testing.assert_array_equal(left.y, right.y)


def test_a_worker_process_that_dies_changes_no_result(photos, monkeypatch):
    alone = load_images(photos, image_shape=SHAPE)
    reader = parallel_reading.Reader()
    names = [f"{i:02}.png" for i in range(20)]
    pixels = np.zeros((20, *SHAPE), "uint8")
    present = np.ones(20, bool)
    folder = str(photos / "ant") + os.sep
    first = reader.read(folder, names, present, pixels)
    want = pixels.copy()
    reader._process.kill()
    pixels[:] = 0
    assert (
        reader.read(folder, names, present, pixels) == first and len(first[1]) == 20 and want.any()
    )
    np.testing.assert_array_equal(pixels, want)
    reader.close()
    monkeypatch.setattr("kzoo.data.inputs.image.fitting.threads", lambda: 2)
    monkeypatch.setattr("kzoo.data.inputs.image.parallel_reading._MIN_IMAGES", 1)
    for name, value in (
        ("executable", "/usr/sbin/blender"),
        ("executable", None),
        ("executable", "/no/such/python3"),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(sys, name, value)
            assert load_images(photos, image_shape=SHAPE).fingerprint == alone.fingerprint


def test_folders_for_training_validation_and_test_are_the_splits(photos, tmp_path):
    root = tmp_path / "set"
    for part in ("Train", "val", "test"):
        for name in COLOURS:
            for i in range(4):
                (root / part / name).mkdir(parents=True, exist_ok=True)
                (photos / name / f"{i:02}.png").rename(root / part / name / f"{i}.png")
                paint(photos / name / f"{i:02}.png", COLOURS[name])
    data = load_images(root, image_shape=SHAPE)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [
        12,
        12,
        12,
    ] and not data.notes
    for split in (data.train, data.validation, data.test):
        check_labels(split)
    assert_mentions(load_images(root, image_shape=SHAPE, test=0.5).notes[0], "test=0.5")


def test_a_missing_validation_folder_is_cut_from_training(photos, tmp_path):
    photos.rename(tmp_path / "train")
    paint(tmp_path / "test" / "bee" / "a.png", COLOURS["bee"])
    data = load_images(tmp_path, image_shape=SHAPE, validation=0.2)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [48, 12, 1]
    assert data.test.y.tolist() == [1] and np.bincount(data.validation.y).tolist() == [4, 4, 4]
    assert load_images(tmp_path, image_shape=SHAPE, validation=0).validation is None


def test_a_second_folder_is_the_test_set(photos, tmp_path):
    paint(tmp_path / "more" / "cat" / "a.jpg", COLOURS["cat"])
    data = load_images(photos, image_shape=SHAPE, test=tmp_path / "more")
    assert len(data.test) == 1 and len(data.train) == 54
    check_labels(data.test)
    paint(tmp_path / "more" / "kat" / "a.jpg")
    with refuses("'kat'", "test", "'cat'", "ant, bee, cat"):
        load_images(photos, image_shape=SHAPE, test=tmp_path / "more")
    with refuses(f"test={str(photos)!r}", "training"):
        load_images(photos, image_shape=SHAPE, test=str(photos))


def test_hidden_and_other_files_are_ignored(photos):
    paint(photos / ".cache" / "x.png")
    paint(photos / "__MACOSX" / "x.png")
    (photos / "ant" / "._00.png").write_bytes(b"resource fork")
    (photos / "ant" / "notes.txt").write_text("hello")
    (photos / "readme.md").write_text("hello")
    paint(photos / "ant" / "more" / "deep.PNG", COLOURS["ant"])
    data = load_images(photos, image_shape=SHAPE)
    assert data.class_names == ("ant", "bee", "cat")
    assert len(data.train) + len(data.validation) + len(data.test) == 61
    assert not data.notes


def test_notes_name_files_and_folders_that_may_hold_images_and_are_not_read(photos, tmp_path):
    """HEIC and AVIF files, images outside class folders, and folders next to `train/`."""
    before = load_images(photos, image_shape=SHAPE)
    for name in (
        "ant/1.heic",
        "ant/more/2.HEIC",
        "bee/3.avif",
        "bee/noted.txt",
        "bee/Thumbs.db",
        "loose.heic",
        "4",
    ):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(b"of a phone")
    paint(photos / "b.png"), paint(photos / "a.png")
    data = load_images(photos, image_shape=SHAPE)
    loose, unread = data.notes[:2]
    assert_mentions(loose, "2", "class", "a.png, b.png")
    assert_mentions(unread, "3 .heic", "1 .avif", "suffix", *SUFFIXES)
    assert re.findall(r"\d+", unread) == ["3", "1", "1"]
    assert data.fingerprint == before.fingerprint and data.notes[2:] == before.notes
    with warns("2 .heic", *SUFFIXES):
        assert len(encode(photos / "ant", SHAPE)) == 20
    (photos / "new").mkdir()
    (photos / "new" / "x.heic").write_bytes(b"of a phone")
    with refuses("'new'", "3 .heic", "1 .avif", *SUFFIXES):
        load_images(photos, image_shape=SHAPE)
    with refuses(str(photos / "new"), "1 .heic", *SUFFIXES):
        encode_images(image_preprocessing(SHAPE), photos / "new")
    (photos / "new" / "x.heic").unlink()
    (photos / "new").rmdir()
    paint(tmp_path / "split" / "extra" / "x.png")
    photos.rename(tmp_path / "split" / "train")
    assert notes_with(load_images(tmp_path / "split", image_shape=SHAPE).notes, "extra/", "train/")


def test_a_jfif_is_a_jpeg(photos):
    paint(photos / "ant" / "x.jpg")
    (photos / "ant" / "x.jpg").rename(photos / "ant" / "x.jfif")
    data = load_images(photos, image_shape=SHAPE)
    assert len(data.train) + len(data.validation) + len(data.test) == 61 and not data.notes


def test_broken_images_are_named_and_left_out(photos, monkeypatch):
    whole = (photos / "bee" / "03.png").read_bytes()
    (photos / "bee" / "03.png").write_bytes(whole[: len(whole) // 2])
    (photos / "bee" / "04.png").write_bytes(b"")
    (photos / "cat" / "05.png").write_text("not an image")
    for memory in ("1GiB", "1"):
        monkeypatch.setenv("KZOO_MEMORY", memory)
        data = load_images(photos, image_shape=SHAPE)
        (note,) = notes_with(data.notes, "3", "bee/03.png, bee/04.png, cat/05.png", "not an image")
        assert note.count("/") == 3
        assert len(data.train) + len(data.validation) + len(data.test) == 57
        for split in (data.train, data.validation, data.test):
            check_labels(split)
    for i in range(6, 12):
        (photos / "cat" / f"{i:02}.png").write_text("not an image")
    notes = load_images(photos, image_shape=SHAPE).notes
    assert notes_with(notes, "9", "cat/07.png", "4 more")


def break_all(folder):
    for file in folder.rglob("*.png"):
        file.write_text("broken")


def leave_one(folder, name):
    for file in sorted((folder / name).iterdir())[1:]:
        file.unlink()


BAD = {
    "not there": (lambda p: p.with_name("photo"), ("photo'", "'photos'")),
    "a file": (lambda p: p / "ant" / "00.png", ("00.png'", "file", "class")),
    "single class": (lambda p: p / "..", ("'photos'", "..'", "class")),
    "no class folders": (lambda p: p / "ant", ("20", "ant'", "class", *SUFFIXES)),
    "empty class": (lambda p: (p / "dog").mkdir() or p, ("class", "'dog'", *SUFFIXES)),
    "all broken": (lambda p: break_all(p) or p, ("60", "'ant/00.png'")),
    "broken class": (lambda p: break_all(p / "bee") or p, ("class", "'bee'", "broken")),
    "single image": (lambda p: leave_one(p, "bee") or p, ("1 of 3", "'bee'")),
    "a number": (lambda p: 3, ("3", "folder")),
}


@pytest.mark.parametrize("make, parts", BAD.values(), ids=BAD)
def test_a_bad_folder_is_refused_in_a_single_line(photos, make, parts):
    with refuses(*parts) as caught:
        load_images(make(photos), image_shape=SHAPE)
    assert "\n" not in str(caught.value)


def test_bad_arguments_and_empty_folders_are_refused(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    with refuses(str(tmp_path / "empty"), "images", *SUFFIXES):
        load_images(tmp_path / "empty", image_shape=SHAPE)
    for shape in ((8, 8), (8, 8, 2), (0, 8, 3), "8x8x3", (8.5, 8, 3)):
        with refuses(repr(shape), "(height, width, channels)", "1, 3 or 4"):
            load_images(photos, image_shape=shape)
    for wrong in (
        {"validation": 1.5},
        {"validation": -0.1},
        {"validation": 0.9, "test": 0.2},
        {"seed": -1},
    ):
        with refuses(*(f"{name}={value}" for name, value in wrong.items())):
            load_images(photos, image_shape=SHAPE, **wrong)
    with refuses("test=True", "fraction"):
        load_images(photos, image_shape=SHAPE, test=True)
    paint(tmp_path / "odd" / "test" / "ant" / "a.png")
    with refuses("odd'", "test", "train/"):
        load_images(tmp_path / "odd", image_shape=SHAPE)


def encode(source, shape):
    images = encode_images(json.loads(json.dumps(image_preprocessing(shape))), source)
    assert images.dtype == np.float32 and images.shape[1:] == shape
    return images


def test_an_image_of_the_right_size_is_not_changed(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(encode(tmp_path / "a.png", SHAPE)[0], pixels)
    np.testing.assert_array_equal(encode(pixels, SHAPE)[0], pixels)
    np.testing.assert_array_equal(encode(pixels[None] + np.float32(0.25), SHAPE)[0], pixels + 0.25)


def test_training_and_prediction_decode_alike(photos, monkeypatch):
    for memory in ("1GiB", "1"):
        monkeypatch.setenv("KZOO_MEMORY", memory)
        data = load_images(photos, image_shape=SHAPE, validation=0, test=0)
        assert data.validation is None and data.test is None
        files = [photos / name / f"{i:02}.png" for name in COLOURS for i in range(20)]
        np.testing.assert_array_equal(encode(files, SHAPE), data.train.x[np.arange(60)])


def test_images_are_cropped_to_the_middle_and_not_squashed():
    wide = np.zeros((20, 60, 3), "uint8")
    wide[:, :20], wide[:, 20:40], wide[:, 40:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    for image in (wide, wide.transpose(1, 0, 2)):
        # scaled before it is cut: the rim blends
        middle = encode(image, (10, 10, 3))[0, 1:-1, 1:-1]
        np.testing.assert_array_equal(middle, np.broadcast_to((0, 255, 0), (8, 8, 3)))
    halves = encode(wide[:, 10:50], (10, 20, 3))[0]  # the same proportions: nothing is cut off
    assert halves[0, 0].tolist() == [255, 0, 0] and halves[0, -1].tolist() == [0, 0, 255]


@pytest.mark.parametrize("width", [29, 58, 116, 123])
def test_a_crop_that_rounding_makes_too_large_stays_in_the_image(width):
    """28 * (29 / 28) is more than 29 by the last bit."""
    image = Image.new("RGB", (width, 2 * width), "white")
    assert (decode(image, (28, 28, 3)) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, orientation):
    upright = np.zeros((16, 16, 3), "uint8")
    upright[:8, :8], upright[:8, 8:], upright[8:, :8] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    turn = Image.Transpose
    undo = (
        None,
        turn.FLIP_LEFT_RIGHT,
        turn.ROTATE_180,
        turn.FLIP_TOP_BOTTOM,
        turn.TRANSPOSE,
        turn.ROTATE_90,
    )
    undo = (*undo, turn.TRANSVERSE, turn.ROTATE_270)[orientation - 1]
    stored = Image.fromarray(upright) if undo is None else Image.fromarray(upright).transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(encode(tmp_path / "turned.png", (16, 16, 3))[0], upright)


def test_every_colour_mode_is_converted_to_the_requested_channels(tmp_path):
    grey = np.tile(np.arange(0, 256, 32, dtype="uint8"), (8, 1))
    image = Image.fromarray(grey)
    files = {}
    image.save(files.setdefault("L", tmp_path / "l.png"))
    image.convert("P").save(files.setdefault("P", tmp_path / "p.gif"))
    image.convert("LA").save(files.setdefault("LA", tmp_path / "la.png"))
    image.convert("RGBA").save(files.setdefault("RGBA", tmp_path / "rgba.webp"), lossless=True)
    image.convert("RGB").save(files.setdefault("RGB", tmp_path / "rgb.bmp"))
    image.convert("CMYK").save(files.setdefault("CMYK", tmp_path / "cmyk.tif"))
    image.convert("RGB").convert("CMYK").save(
        files.setdefault("CMYK jpeg", tmp_path / "c.jpg"), quality=100
    )
    Image.fromarray(grey.astype("uint16") * 256 + 77).save(
        files.setdefault("16 bits", tmp_path / "i16.png")
    )
    Image.fromarray(grey.astype("uint16") * 256 + 77).save(
        files.setdefault("16 bits tif", tmp_path / "i16.tif")
    )
    Image.fromarray(grey.astype("float32") / 255).save(
        files.setdefault("floats", tmp_path / "f.tif")
    )
    for name, file in files.items():
        tolerance = 4 if "jpeg" in name else 1
        colour = encode(file, (8, 8, 3))[0]
        np.testing.assert_allclose(
            colour, np.repeat(grey[..., None], 3, -1), atol=tolerance, err_msg=name
        )
        np.testing.assert_allclose(
            encode(file, (8, 8, 1))[0, ..., 0], grey, atol=tolerance, err_msg=name
        )
        assert encode(file, (8, 8, 4))[0, ..., 3].min() == 255
    Image.fromarray(grey > 100).save(tmp_path / "1.png")
    np.testing.assert_array_equal(
        encode(tmp_path / "1.png", (8, 8, 1))[0, ..., 0], (grey > 100) * 255
    )


def test_dark_16_bit_images_are_read_with_a_warning(tmp_path):
    grey = np.tile(np.arange(0, 3411, 310, dtype="uint16"), (12, 1))
    for name in "ab":
        for i in range(12):
            (tmp_path / "dim" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(grey).save(tmp_path / "dim" / name / f"{i}.png")
    parts = ("16", "3,410", "65,535", "13", "255", "12", "by 16")
    notes = load_images(tmp_path / "dim", image_shape=SHAPE).notes
    assert notes_with(notes, *parts)
    file = tmp_path / "dim" / "a" / "0.png"
    for source in (file, [Image.open(file)], [file, str(file)], tmp_path / "dim" / "a"):
        with warns(*parts):
            assert encode(source, (12, 12, 1)).max() == 13
    Image.fromarray(grey * 16).save(file)  # one that is bright, and the others are dark
    assert encode(tmp_path / "dim" / "a", (12, 12, 1)).max() == 212
    notes = load_images(tmp_path / "dim", image_shape=SHAPE).notes
    assert not notes_with(notes, "65,535")


@pytest.mark.parametrize(
    "low, high, dtype",
    [(-1, 1, "float32"), (0, 4000, "float32"), (-5, 70, "int32"), (0, 1e6, "int32")],
)
def test_values_outside_the_range_of_pixels_are_refused(tmp_path, low, high, dtype):
    image = Image.fromarray(np.array([[low, high]] * 2, dtype))
    image.save(tmp_path / "x.tif")
    for source in (tmp_path / "x.tif", [image]):
        with refuses(f"{low}..{high:g}", "0..255" if dtype == "float32" else "0..65535"):
            encode(source, SHAPE)


def test_transparency_is_white(tmp_path):
    clear = np.zeros((8, 8, 4), "uint8")
    clear[:4] = (10, 20, 30, 255)
    Image.fromarray(clear).save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        encode(tmp_path / "a.png", SHAPE)[0, :4], np.broadcast_to((10, 20, 30), (4, 8, 3))
    )
    assert (encode(tmp_path / "a.png", SHAPE)[0, 4:] == 255).all()
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.save(tmp_path / "p.gif", transparency=1)
    assert (encode(tmp_path / "p.gif", (8, 8, 1)) == 255).all()
    np.testing.assert_array_equal(encode(clear[None], (8, 8, 4))[0], clear)


def test_a_large_jpeg_is_like_its_png(tmp_path):
    y, x = np.mgrid[:600, :800]
    photo = Image.fromarray(
        np.stack([x * 255 // 800, y * 255 // 600, (x + y) * 255 // 1400], -1).astype("uint8")
    )
    photo.save(tmp_path / "a.jpg", quality=95)
    photo.save(tmp_path / "a.png")
    np.testing.assert_allclose(
        *(encode(tmp_path / n, (32, 32, 3)) for n in ("a.jpg", "a.png")), atol=6
    )


def jpeg_of(size, mode="RGB", **kwargs):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), "uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG", **kwargs)
    return buffer.getvalue()


def opened(data, shape):
    """Decode with `Image.open` alone, whole, where the size needs no change."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L" if shape[2] == 1 else "RGB")).reshape(shape)


ORDINARY = {
    "plain": {},
    "progressive": {"progressive": True},
    "no subsampling": {"subsampling": 0},
    "coarse": {"quality": 5},
    "restarts": {"restart_marker_blocks": 2},
    "a comment": {"comment": b"hello"},
    "grey": {"mode": "L"},
    "red, green, blue": {"keep_rgb": True},
}
TURNED = Image.Exif()
TURNED[0x0112] = 6
UNUSUAL = {
    "turned": {"exif": TURNED},
    "four inks": {"mode": "CMYK"},
    "a profile": {"icc_profile": b"x" * 999},
}


@pytest.mark.parametrize("kind", [*ORDINARY, *UNUSUAL])
def test_a_small_jpeg_reads_as_pillow_opens_it(kind):
    for width, height in ((1, 1), (8, 8), (17, 9), (33, 50)):
        data = jpeg_of((width, height), **(ORDINARY | UNUSUAL)[kind])
        short = jpeg.plain(data, below=100)
        assert (short is not None) == (kind in ORDINARY)
        if kind != "turned":
            for channels in (1, 3):
                shape = (height, width, channels)
                np.testing.assert_array_equal(decode(data, shape), opened(data, shape))
    # that one is decoded at a part of its size
    assert jpeg.plain(jpeg_of((400, 300), quality=1), below=300) is None


def test_a_small_jpeg_is_read_segment_by_segment():
    """The mark where the pixels begin may stand in a comment too; files of two sizes begin with nearly the same."""
    comment = jpeg_of((17, 9), comment=b"\xff\xda\x00\x0c\xff\xd9")
    np.testing.assert_array_equal(decode(comment, (9, 17, 3)), opened(comment, (9, 17, 3)))
    for size in ((16, 8), (8, 16), (16, 8)):
        data = jpeg_of(size, comment=b"\xff\xda")
        assert decode(data, (*size[::-1], 3)).tolist() == opened(data, (*size[::-1], 3)).tolist()
        assert jpeg.plain(jpeg_of(size), below=100).size == size
    assert jpeg.plain(b"\xff\xd8\xff", below=100) is None


def test_a_damaged_small_jpeg_reads_as_pillow_opens_it_or_not_at_all():
    """Nothing that `Image.open` refuses is let through, and what it reads has its pixels."""
    whole = jpeg_of((24, 24))
    chance = random.Random(0)
    shape = (24, 24, 3)
    damaged = [whole[:length] for length in range(0, len(whole), 29)]
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data) if chance.random() < 0.3 else 180)] = chance.choice(
                [0, 1, 8, 255, 0xC2, 0xDA]
            )
        damaged.append(bytes(data))
    for data in damaged:
        if (short := jpeg.plain(data, below=100)) is None:
            continue
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == short.size and image.mode == short.mode
            np.testing.assert_array_equal(np.asarray(short), np.asarray(image))
    with refuses("truncated"):
        decode(whole[:-40], shape)


def test_a_jpeg_decoded_at_half_its_size_is_close_to_the_whole():
    """Half of each side and more than twice what is wanted: as documented in `decode`."""
    y, x = np.mgrid[:256, :256]
    photo = np.stack(
        [128 + 100 * np.sin(x / 9), 128 + 100 * np.cos(y / 7), (x + y) / 2], -1
    ).astype("uint8")
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=90)
    with Image.open(buffer) as image:
        image.load()
        whole = decode(image.copy(), (64, 64, 3)).astype(int)
    difference = np.abs(decode(buffer.getvalue(), (64, 64, 3)) - whole)
    assert 0 < difference.mean() < 1 and difference.max() <= 10


def test_splits_are_views_of_a_single_array(photos, monkeypatch):
    (photos / "bee" / "03.png").write_bytes(b"")
    data = load_images(photos, image_shape=SHAPE)
    splits = (data.train, data.validation, data.test)
    assert len({id(split.x.base) for split in splits}) == 1 and data.train.x.base is not None
    monkeypatch.setenv("KZOO_MEMORY", "1")
    stream = load_images(photos, image_shape=SHAPE)
    for left, right in zip(splits, (stream.train, stream.validation, stream.test), strict=True):
        np.testing.assert_array_equal(left.x, right.x[np.arange(len(right))])
        check_labels(left)


def test_inputs_of_every_kind(photos):
    folder = encode(photos / "bee", SHAPE)
    assert len(folder) == 20
    np.testing.assert_array_equal(encode(str(photos / "bee" / "07.png"), SHAPE)[0], folder[7])
    pictures = [Image.open(photos / "bee" / f"{i:02}.png") for i in range(20)]
    np.testing.assert_array_equal(encode(pictures, SHAPE), folder)
    np.testing.assert_array_equal(encode(pictures[3], SHAPE)[0], folder[3])
    np.testing.assert_array_equal(
        encode(np.stack([np.asarray(p) for p in pictures]), SHAPE), folder
    )
    np.testing.assert_array_equal(encode([np.asarray(p) for p in pictures], SHAPE), folder)
    assert encode(np.zeros((28, 28)), (28, 28, 1)).shape == (1, 28, 28, 1)
    assert encode(np.zeros((5, 28, 28)), (28, 28, 1)).shape == (5, 28, 28, 1)
    assert encode(np.zeros((3, 3, 3)), (3, 3, 1)).shape == (3, 3, 3, 1)
    assert encode(np.zeros((40, 30, 3)), (28, 28, 1)).shape == (1, 28, 28, 1)


def test_unreadable_inputs_are_refused_in_a_single_line(photos, tmp_path):
    preprocessing = image_preprocessing(SHAPE)
    (tmp_path / "bad.jpg").write_text("hello")
    (tmp_path / "empty").mkdir()
    bad = [
        ("gone.png", ("'gone.png'",)),
        (tmp_path / "bad.jpg", ("'bad.jpg'", "Pillow")),
        (tmp_path / "empty", (str(tmp_path / "empty"), *SUFFIXES)),
        ([], ("no images",)),
        (np.zeros((2, 3, 4, 5, 6)), ("2 to 4", "(2, 3, 4, 5, 6)")),
        (np.zeros((1, 9, 9, 7)), ("(9, 9, 7)", "(height, width, channels)", "1 to 4")),
        ([None], ("None", "PIL")),
        (3, ("3", "PIL")),
    ]
    for inputs, parts in bad:
        with refuses(*parts) as caught:
            encode_images(preprocessing, inputs)
        assert "\n" not in str(caught.value)


def test_decoding_needs_no_keras():
    code = "import sys, kzoo.data.inputs.image.fitting; print([m for m in ('keras', 'tensorflow') if m in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_folder_of_texts_with_the_name_of_a_data_set_is_not_that_data_set(tmp_path, monkeypatch):
    (tmp_path / "imdb").mkdir()
    for label in ("bad", "good"):
        (tmp_path / "imdb" / f"{label}.txt").write_text(
            "".join(f"a {label} film, number {i}\n" for i in range(20))
        )
    monkeypatch.chdir(tmp_path)
    assert kzoo.load_data("./imdb", preset="text_ngrams").name == "imdb/"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("count", [1, 4])
def test_nan_and_infinite_pixels_are_refused(tmp_path, bad, count):
    values = np.full(4, 0.5, "float32")
    values[:count] = bad
    image = Image.fromarray(values.reshape(2, 2))
    image.save(tmp_path / "x.tif")
    for source in (tmp_path / "x.tif", [image]):
        with refuses("NaN", f"{count} of 4"):
            encode(source, SHAPE)
    # In a folder it is left out, as any broken file is.
    for name in "ab":
        (tmp_path / "many" / name).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(np.full((12, 12), 0.1 + i / 20, "float32")).save(
                tmp_path / "many" / name / f"{i}.tif"
            )
    image.save(tmp_path / "many" / "a" / "0.tif")
    assert notes_with(load_images(tmp_path / "many", image_shape=SHAPE).notes, "1", "a/0.tif")


def test_floats_that_reach_neither_1_nor_255_are_read_with_a_warning(tmp_path):
    file = tmp_path / "x.tif"
    values = np.linspace(0, 1.5, 144, dtype="float32").reshape(12, 12)
    Image.fromarray(values).save(file)
    for source in (file, [Image.open(file)]):
        with warns("1.5", "255", "0..1", "0..255"):
            assert encode(source, (12, 12, 1)).max() == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", KzooWarning)
        for scale in (1 / 1.5, 170):
            Image.fromarray(values * scale).save(file)
            assert encode(file, (12, 12, 1)).max() >= 254
