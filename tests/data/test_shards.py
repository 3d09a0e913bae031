"""Shards: `.tar` files of images or texts are read in place like a folder of the same files."""

import io
import json
import pickle
import tarfile

import numpy as np
import pandas as pd
import pytest
from messages import notes_with, refuses
from PIL import Image

import kzoo
from kzoo.cli import main
from kzoo.inference.sources.shards import read_member, shards_of


def png(seed, level):
    pixels = np.random.default_rng(seed).random((12, 12, 3)) * level
    stream = io.BytesIO()
    Image.fromarray(pixels.astype("uint8")).save(stream, "PNG")
    return stream.getvalue()


def images(count=24, seed=0):
    """Return name -> bytes of images in two class folders."""
    return {
        f"{name}/{number:03d}.png": png(1000 * seed + number + level, level)
        for name, level in (("dark", 90), ("light", 255))
        for number in range(count // 2)
    }


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def pack(path, files, **options):
    """Write an archive of name -> bytes, or `TarInfo` -> bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            member.size = len(content) if isinstance(name, str) else member.size
            archive.addfile(member, io.BytesIO(content))
    return path


def shards(folder, files, count=3):
    names = list(files)
    for number in range(count):
        part = {f"./{name}": files[name] for name in names[number::count]}  # as `tar -C folder .`
        pack(folder / f"shard-{number:03d}.tar", part)
    return folder


def sources(folder, files):
    """Return the same files as an archive, a folder of shards and a pattern."""
    pack(folder / "one.tar", files)
    shards(folder / "many", files)
    return [folder / "one.tar", folder / "many", str(folder / "many" / "shard-*.tar")]


def same(one, other):
    assert one.fingerprint == other.fingerprint and one.config == other.config
    assert one.class_names == other.class_names and one.preprocessing == other.preprocessing
    for part in ("train", "validation", "test"):
        a, b = getattr(one, part), getattr(other, part)
        np.testing.assert_array_equal(a.x[:], b.x[:])
        np.testing.assert_array_equal(a.y[:], b.y[:])


@pytest.mark.parametrize("memory", ["1GiB", "1KiB"])
def test_images_in_shards_are_those_of_a_folder(memory, tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_MEMORY", memory)
    files = images()
    expected = kzoo.load_data(write(tmp_path / "photos", files))
    for source in sources(tmp_path, files):
        data = kzoo.load_data(source)
        same(data, expected)
        if memory == "1KiB":
            same(pickle.loads(pickle.dumps(data)), expected)
            assert data.train.x.path(0).name == expected.train.x.path(0).name
            assert read_member(data.train.x.path(0)) == expected.train.x.path(0).read_bytes()
            copies = data.train.x.copies(expected.train.x, np.arange(2))
            assert copies == {0: 0, 1: 1}


def test_folders_of_splits_and_second_shards(tmp_path):
    files = {f"{part}/{n}": c for part in ("train", "val", "test") for n, c in images(12).items()}
    same(
        kzoo.load_data(pack(tmp_path / "a.tar", files)),
        kzoo.load_data(write(tmp_path / "a", files)),
    )
    shards(tmp_path / "both", images(), 2)
    for number in range(2):
        (tmp_path / "both" / f"shard-{number:03d}.tar").rename(
            tmp_path / "both" / f"train-{number}.tar"
        )
    pack(tmp_path / "both" / "test-0.tar", images(8))
    with refuses("'both'", "test*.tar", "train*.tar", "test="):
        kzoo.load_data(tmp_path / "both")
    train, test = (str(tmp_path / "both" / f"{part}-*.tar") for part in ("train", "test"))
    data = kzoo.load_data(train, test=test)
    expected = kzoo.load_data(
        write(tmp_path / "train", images()), test=write(tmp_path / "test", images(8))
    )
    same(data, expected)
    with refuses("test", "training folder itself"):
        kzoo.load_data(train, test=train)


def table(files):
    return "file,kind,size\n" + "".join(
        f"{name},{name[:4]},{index}\n" for index, name in enumerate(files)
    )


def test_a_table_of_labels_in_shards(tmp_path):
    files = {name.replace("/", "-"): content for name, content in images().items()}
    labelled = files | {"labels.csv": table(files).encode()}
    for target in ("kind", "size"):
        expected = kzoo.load_data(write(tmp_path / "photos", labelled), target=target)
        for source in sources(tmp_path, labelled):
            data = kzoo.load_data(source, target=target)
            assert notes_with(data.notes, "'file'", "'labels.csv'")
            same(data, expected)


@pytest.mark.parametrize("has_table", [False, True])
def test_a_folder_around_the_files(has_table, tmp_path):
    """As `tar cf photos.tar photos/` writes it."""
    files = images()
    if has_table:
        files = {name.replace("/", "-"): content for name, content in files.items()}
        files["labels.csv"] = table(files).encode()
    target = {"target": "kind"} if has_table else {}
    around = pack(tmp_path / "a.tar", {f"./photos/{name}": files[name] for name in files})
    same(
        kzoo.load_data(around, **target),
        kzoo.load_data(write(tmp_path / "photos", files), **target),
    )


@pytest.mark.parametrize("suffix", [".cls", ".txt", ".json", " of one value.json"])
def test_labels_beside_the_images(suffix, tmp_path):
    """As WebDataset stores them: files with the same name up to the first dot."""
    files = {f"a/{index:06d}.png": content for index, content in enumerate(images().values())}
    kinds = [name[:4] for name in images()]
    beside = {}
    for name, kind in zip(files, kinds, strict=True):
        text = {
            ".json": json.dumps({"kind": kind, "size": len(kind), "box": [1, 2], "file": "x"}),
            " of one value.json": json.dumps(kind),
        }.get(suffix, f"{kind}\n")
        beside[name.replace(".png", suffix.rpartition(" ")[2].replace("value", ""))] = text.encode()
    target = "kind" if suffix == ".json" else "label"
    lines = "".join(f"{name},{kind}\n" for name, kind in zip(files, kinds, strict=True))
    expected = kzoo.load_data(
        write(tmp_path / "photos", files | {"labels.csv": f"file,{target}\n{lines}".encode()}),
        target=target,
    )
    for source in sources(tmp_path, files | beside):
        data = kzoo.load_data(source, target=target)
        assert notes_with(data.notes, "'file'", f"'*{suffix[-5:] if 'json' in suffix else suffix}'")
        same(data, expected)


def test_train_evaluate_check_and_predict(tmp_path, capsys):
    files = images()
    folder = write(tmp_path / "photos", files)
    source = sources(tmp_path, files)[2]
    run = str(tmp_path / "run")
    assert main(["check", "--data", source, "--quick"]) in (0, 1)
    options = ["--set", "input_shape=12,12,3", "--set", "filters=8", "--epochs", "1", "--out", run]
    assert main(["train", "image_cnn", "--data", source, *options]) == 0
    assert main(["predict", run, source, "--out", str(tmp_path / "out.csv")]) == 0
    written = pd.read_csv(tmp_path / "out.csv")
    assert [name.partition("many/shard-*.tar/")[2] for name in written["input"]] == list(files)
    assert main(["predict", run, str(tmp_path / "missing-*.tar")]) == 2
    assert "missing-*.tar" in capsys.readouterr().err
    new = images(8, seed=1)
    write(tmp_path / "new", new)
    for number, shard in enumerate(sources(tmp_path / "newer", new)):
        ours, theirs = (kzoo.predict(run, path) for path in (shard, tmp_path / "new"))
        np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)
        if not number:
            ours, theirs = (kzoo.evaluate(run, path) for path in (shard, tmp_path / "new"))
            assert ours == theirs
    assert kzoo.Run(run).data.fingerprint == kzoo.load_data(folder).fingerprint


def texts(count=40, seed=0):
    draw = np.random.default_rng(seed)
    words = {"good": ["fine", "nice", "great"], "bad": ["poor", "awful", "sad"]}
    return {
        f"{name}/{number:02d}.txt": " ".join(
            [*draw.choice(words[name], 4), f"film{number + 100 * seed}"]
        ).encode()
        for name in words
        for number in range(count // 2)
    }


def test_texts_in_shards_are_those_of_a_folder(tmp_path):
    files = texts()
    folder = write(tmp_path / "texts", files)
    expected = kzoo.load_data(folder)
    for source in sources(tmp_path, files):
        same(kzoo.load_data(source), expected)
    lines = {
        f"{name}.txt": "\n".join(f"{name} {n} film" for n in range(20)).encode() for name in "ab"
    }
    same(
        kzoo.load_data(pack(tmp_path / "lines.tar", lines)),
        kzoo.load_data(write(tmp_path / "lines", lines)),
    )
    run = kzoo.train("text_cnn", tmp_path / "many", epochs=1, out=tmp_path / "run")
    new = texts(20, seed=1)
    paths = [pack(tmp_path / "new.tar", new), write(tmp_path / "new", new)]
    ours, theirs = (kzoo.predict(run, path) for path in paths)
    np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)
    ours, theirs = (kzoo.evaluate(run, path) for path in paths)
    assert ours == theirs


def member(name, kind=tarfile.REGTYPE, **attributes):
    made = tarfile.TarInfo(name)
    made.type = kind
    for attribute, value in attributes.items():
        setattr(made, attribute, value)
    return made


def _packed(files, **options):
    def make(path):
        pack(path, {**images(8), **files}, **options)

    return make


def _cut(share):
    def make(path):
        pack(path, images(8))
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return make


def _end(content):
    def make(path):
        pack(path, images(8))
        with tarfile.open(path) as archive:
            end = archive.getmembers()[-1]
        size = end.offset_data + -(-end.size // 512) * 512
        path.write_bytes(path.read_bytes()[:size] + content)

    return make


def _bytes(content):
    return lambda path: path.write_bytes(content)


BAD = {
    "a name with ..": (_packed({"../x.png": b"x"}), ["'../x.png'", "leads out"]),
    "a name with .. inside": (_packed({"cat/../../x.png": b"x"}), ["leads out"]),
    "an absolute name": (_packed({"/etc/x.png": b"x"}), ["'/etc/x.png'", "leads out"]),
    "a name with a drive": (_packed({"C:x.png": b"x"}), ["'C:x.png'", "leads out"]),
    "a backslash": (_packed({"..\\x.png": b"x"}), ["leads out"]),
    "a control character": (_packed({"a\nb.png": b"x"}), ["control"]),
    "a symbolic link": (
        _packed({member("dark/l.png", tarfile.SYMTYPE, linkname="/etc/passwd"): b""}),
        ["'dark/l.png'", "a link"],
    ),
    "a hard link": (
        _packed({member("dark/l.png", tarfile.LNKTYPE, linkname="dark/000.png"): b""}),
        ["'dark/l.png'", "a link"],
    ),
    "a device": (_packed({member("dark/d.png", tarfile.CHRTYPE): b""}), ["not a plain file"]),
    "a pipe": (_packed({member("dark/d.png", tarfile.FIFOTYPE): b""}), ["not a plain file"]),
    "a duplicate": (_packed({"./dark/000.png": b"x"}), ["'dark/000.png'", "twice"]),
    "not UTF-8": (
        _packed({"dark/\udcff.png": b"x"}, format=tarfile.GNU_FORMAT),
        ["UTF-8"],
    ),
    "truncated": (_cut(0.5), ["truncated"]),
    "no end": (_end(b""), ["truncated"]),
    "a damaged header": (_end(b"x" * 10240), ["damaged"]),
    "a member that is larger than the file": (
        _end(member("dark/huge.png", size=1 << 60).tobuf() + bytes(1024)),
        ["truncated"],
    ),
    "compressed": (lambda path: pack(path.with_suffix(".tar"), {}) and _gzip(path), ["compressed"]),
    "no archive": (_bytes(b"hello" * 1000), ["damaged"]),
    "an empty file": (_bytes(b""), ["truncated"]),
    "no members": (lambda path: pack(path, {}), ["no images"]),
    "other files": (lambda path: pack(path, {"a/b.heic": b"x"}), ["no images", ".heic"]),
    "one class": (
        lambda path: pack(path, {"dark/1.png": png(0, 9), "dark/2.png": png(1, 9)}),
        ["one class", "'dark'"],
    ),
    "images without labels": (
        lambda path: pack(path, {"1.png": png(0, 9), "2.png": png(1, 9)}),
        ["2 images", "class folders"],
    ),
    "a label that is no JSON": (
        lambda path: pack(path, {"1.png": png(0, 9), "1.json": b"{"}),
        ["1.json", "no label"],
    ),
    "a huge label": (
        lambda path: pack(path, {"1.png": png(0, 9), "1.cls": b"9" * (2 << 20)}),
        ["1.cls", "larger"],
    ),
    "a label that is no text": (
        lambda path: pack(path, {"1.png": png(0, 9), "1.cls": b"\xff\xfe\x00"}),
        ["1.cls", "no label"],
    ),
}


def _gzip(path):
    import gzip

    path.write_bytes(gzip.compress(path.read_bytes()))


@pytest.mark.parametrize("case", BAD)
def test_bad_archives_are_refused_in_one_line(case, tmp_path):
    make, words = BAD[case]
    make(tmp_path / "bad.tar")
    with refuses(*words) as caught:
        kzoo.load_data(tmp_path / "bad.tar")
    assert "\n" not in str(caught.value) and "bad.tar" in str(caught.value)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_in_two_shards_is_refused(tmp_path):
    for number in range(2):
        pack(tmp_path / "s" / f"{number}.tar", images(8))
    with refuses("'dark/000.png'", "'0.tar'", "'1.tar'"):
        kzoo.load_data(tmp_path / "s")


def test_an_archive_that_has_become_shorter(tmp_path, monkeypatch):
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    pack(tmp_path / "a.tar", images())
    data = kzoo.load_data(tmp_path / "a.tar")
    (tmp_path / "a.tar").write_bytes(b"")
    with refuses("shorter", "Restore"):
        data.train.x[:4]


def test_other_folders_are_no_shards(tmp_path):
    pack(tmp_path / "a" / "one.tar", images(4))
    (tmp_path / "a" / "_SUCCESS").touch()
    (tmp_path / "a" / "README.md").touch()
    assert shards_of(tmp_path / "a") is not None
    (tmp_path / "a" / "cat.png").touch()
    assert shards_of(tmp_path / "a") is None and shards_of(tmp_path / "missing.tar") is None
