"""Data at addresses: fingerprints, splits and scores of local data; what is copied again; faults on the way."""

import errno
import json
import os
import random
import shutil
import sqlite3
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from cloud.conftest import SECRET
from hub.file_server import serving
from messages import assert_mentions, refuses

import kzoo
from kzoo.cli import main
from kzoo.cloud import parts, transfer
from kzoo.cloud import storage as storage_module
from kzoo.utils.address import local_data
from kzoo.zoo.run import Run

ROWS = 400


def table(path, rows=ROWS, seed=0):
    """Write a small table of two classes."""
    rng = np.random.default_rng(seed)
    lines = ["age,plan,churned"]
    for _ in range(rows):
        age, plan = rng.integers(18, 90), rng.choice(["basic", "plus"])
        lines.append(
            f"{age},{plan},{'yes' if age + 20 * (plan == 'plus') + rng.normal(0, 9) > 62 else 'no'}"
        )
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def same(remote, local):
    """Fail unless two data sets are the same."""
    assert remote.fingerprint == local.fingerprint and remote.name == local.name
    for part in ("train", "validation", "test"):
        for name in ("x", "y"):
            a, b = (np.asarray(getattr(getattr(data, part), name)[:]) for data in (remote, local))
            assert np.array_equal(a, b)


def test_a_table_trains_as_the_local_one(s3, capsys):
    table("churn.csv")
    s3.put_file("churn.csv", "kzoo-test/data/churn.csv")
    address = "s3://kzoo-test/data/churn.csv"
    options = ["--target", "churned", "--epochs", "2", "--quiet", "--json"]
    documents = {}
    for name, source in (("local", "churn.csv"), ("remote", address)):
        assert main(["train", "tabular_fnn", "--data", source, "--out", name, *options]) == 0
        documents[name] = json.loads(capsys.readouterr().out)
    local, remote = Run("local"), Run("remote")
    assert remote.data.fingerprint == local.data.fingerprint
    assert remote.summary["test"] == local.summary["test"]
    assert documents["remote"]["data"] == documents["local"]["data"] == "churn.csv"
    assert f"--data {address}" in remote.config["command"]
    source = remote.data.source
    assert source["address"] == address and len(source["version"]) == 32
    assert source["etags"] == {"churn.csv": s3.info("kzoo-test/data/churn.csv")["ETag"].strip('"')}
    assert local.data.source is None
    # the same command: the run is there; without data, it is read at its address
    assert main(["train", "tabular_fnn", "--data", address, "--out", "remote", *options]) == 0
    assert main(["evaluate", "remote", "--json"]) == 0
    for source in (address, "churn.csv"):
        capsys.readouterr()
        assert main(["evaluate", "remote", "--data", source, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["data"] == f"{source}, test split"
    assert main(["predict", "remote", address, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["predictions"]) == ROWS
    # changed
    before = remote.data.source["version"]
    table("churn.csv", seed=1)
    s3.put_file("churn.csv", "kzoo-test/data/churn.csv")
    assert main(["train", "tabular_fnn", "--data", address, "--out", "remote", *options]) == 2
    error = capsys.readouterr().err
    assert_mentions(error, "fingerprint", f"data.source.version: stored {before}")
    assert main(["evaluate", "remote"]) == 2
    assert_mentions(capsys.readouterr().err, before, address, "changed")
    files = [path for name in ("local", "remote") for path in Path(name).rglob("*")]
    texts = [path.read_bytes() for path in files if path.is_file()]
    assert not any(
        SECRET.encode() in text or (b"cache" in text and b"downloads" in text) for text in texts
    )


def test_folders_patterns_and_single_files(s3):
    for part in range(4):
        table(f"2024-{part}.csv", 100, seed=part)
    for name in sorted(Path().glob("*.csv")):
        s3.put_file(str(name), f"kzoo-test/tables/{name}")
    s3.pipe_file("kzoo-test/tables/old/2024-9.csv", b"other\n1\n")
    same(
        kzoo.load_data("s3://kzoo-test/tables/2024-*.csv", target="churned"),
        kzoo.load_data("2024-*.csv", target="churned"),
    )
    folder = Path("reviews")
    for name, words in (("good", "fine great nice"), ("bad", "poor awful sad")):
        (folder / name).mkdir(parents=True)
        for i in range(30):
            text = f"{words.split()[i % 3]} number {i}"
            (folder / name / f"{i}.txt").write_text(text, encoding="utf-8")
            s3.pipe_file(f"kzoo-test/x/reviews/{name}/{i}.txt", text.encode())
    same(kzoo.load_data("s3://kzoo-test/x/reviews"), kzoo.load_data("reviews"))
    same(kzoo.load_data("s3://kzoo-test/x/reviews/"), kzoo.load_data("reviews/"))
    x, y = np.arange(120.0).reshape(60, 2), np.arange(60) % 2
    np.savez("a.npz", x=x, y=y)
    s3.put_file("a.npz", "kzoo-test/a.npz")
    same(kzoo.load_data("s3://kzoo-test/a.npz"), kzoo.load_data("a.npz"))
    data = kzoo.load_data(
        "2024-0.csv", target="churned", test="s3://kzoo-test/tables/2024-1.csv", validation=0.2
    )
    same(data, kzoo.load_data("2024-0.csv", target="churned", test="2024-1.csv", validation=0.2))


def copied(address):
    """Return the content of the copy of a single object."""
    return local_data(address).read_bytes()


def objects_read(proxy):
    """Return the keys that were read, each once for each request."""
    return [
        path for method, path, _ in proxy.requests if method == "GET" and "list-type" not in path
    ]


def test_only_what_changed_is_transferred_again(s3, proxy):
    for name in ("a", "b", "c/d"):
        s3.pipe_file(f"kzoo-test/folder/{name}.bin", name.encode() * 1000)
    first = local_data("s3://kzoo-test/folder/")
    assert len(objects_read(proxy)) == 3 and first.name == "folder"
    assert (first / "c" / "d.bin").read_bytes() == b"c/d" * 1000
    proxy.requests.clear()
    assert local_data("s3://kzoo-test/folder/") == first
    assert objects_read(proxy) == []
    s3.pipe_file("kzoo-test/folder/b.bin", b"new")
    second = local_data("s3://kzoo-test/folder/")
    assert objects_read(proxy) == ["/kzoo-test/folder/b.bin"]
    assert second != first and second.recorded["version"] != first.recorded["version"]
    assert (second / "b.bin").read_bytes() == b"new" and (
        first / "b.bin"
    ).read_bytes() == b"b" * 1000
    assert (second / "a.bin").samefile(first / "a.bin")


def test_a_connection_that_breaks_at_30_random_bytes(s3, proxy, impatient, monkeypatch):
    monkeypatch.setattr(storage_module, "BLOCK", 20_000)
    content = os.urandom(600_000)
    s3.pipe_file("kzoo-test/x.bin", content)
    proxy.cuts = random.Random(0).sample(range(len(content)), 30)
    assert copied("s3://kzoo-test/x.bin") == content
    assert proxy.cuts == []


def test_a_transfer_that_was_stopped_goes_on(s3, proxy, impatient, monkeypatch):
    monkeypatch.setattr(storage_module, "BLOCK", 20_000)
    monkeypatch.setattr(storage_module, "AHEAD", 1)
    content = os.urandom(200_000)
    s3.pipe_file("kzoo-test/folder/x.bin", content)
    s3.pipe_file("kzoo-test/folder/y.bin", b"small")

    def fail_in_the_middle(method, path):
        if len(objects_read(proxy)) > 6:
            proxy.refusal = (403, "ExpiredToken", f"The token {SECRET} has expired.")

    proxy.before = fail_in_the_middle
    with refuses("s3://kzoo-test/folder", "expired", "Renew") as caught:
        local_data("s3://kzoo-test/folder")
    assert SECRET not in str(caught.value)
    proxy.before, proxy.refusal = lambda method, path: None, None
    proxy.requests.clear()
    proxy.sent = 0
    assert (local_data("s3://kzoo-test/folder") / "x.bin").read_bytes() == content
    assert len(objects_read(proxy)) < 10 and proxy.sent < 200_000


def test_a_busy_server_is_asked_again(s3, proxy, impatient):
    s3.pipe_file("kzoo-test/x.bin", b"content")
    proxy.statuses, proxy.delay = [500, 503, 503, 500], 0.05
    assert copied("s3://kzoo-test/x.bin") == b"content"


def test_an_object_that_changes_between_listing_and_reading(s3, proxy):
    s3.pipe_file("kzoo-test/x.bin", b"one")
    before = s3.info("kzoo-test/x.bin")["ETag"].strip('"')

    def change(method, path):
        if method == "GET" and "x.bin" in path:
            s3.pipe_file("kzoo-test/x.bin", b"two")

    proxy.before = change
    with refuses("s3://kzoo-test/x.bin", "changed", before) as caught:
        local_data("s3://kzoo-test/x.bin")
    assert_mentions(str(caught.value), s3.info("kzoo-test/x.bin")["ETag"].strip('"'))
    proxy.before = lambda method, path: None
    assert copied("s3://kzoo-test/x.bin") == b"two"


@pytest.mark.parametrize(
    ("refusal", "parts"),
    [
        ((403, "AccessDenied", "Access Denied"), ["permission", "owner"]),
        ((403, "InvalidAccessKeyId", "The key does not exist"), ["permission", "AWS_PROFILE"]),
        ((403, "SignatureDoesNotMatch", f"computed with {SECRET}"), ["permission"]),
        ((400, "ExpiredToken", "The provided token has expired."), ["expired", "Renew"]),
    ],
)
def test_refusals_of_the_server_are_final(s3, proxy, refusal, parts):
    proxy.refusal = refusal
    with refuses("s3://kzoo-test/x.bin", *parts) as caught:
        local_data("s3://kzoo-test/x.bin")
    assert SECRET not in str(caught.value) and "\n" not in str(caught.value)
    assert len(proxy.requests) < 6


def test_an_endpoint_that_does_not_answer(s3, impatient, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with refuses("s3://kzoo-test/x.bin", "cannot be reached", "endpoint"):
        local_data("s3://kzoo-test/x.bin")


def test_a_full_disk(s3, cache, monkeypatch):
    s3.pipe_file("kzoo-test/x.bin", b"content")

    def full(path, *arguments, **options):
        Path(path).touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer, "open", full, raising=False)
    with refuses("s3://kzoo-test/x.bin", "No space left", "KZOO_CACHE"):
        local_data("s3://kzoo-test/x.bin")
    assert not [path for path in (cache / "downloads").rglob("*.bin")]


def test_data_larger_than_the_cache(s3, monkeypatch):
    s3.pipe_file("kzoo-test/x.bin", bytes(3_000_000))
    monkeypatch.setenv("KZOO_CACHE_SIZE", "2MiB")
    with refuses("s3://kzoo-test/x.bin", "2.9 MiB", "KZOO_CACHE_SIZE"):
        local_data("s3://kzoo-test/x.bin")


def test_data_that_are_larger_than_the_cache_together(s3, monkeypatch, capsys):
    table("churn.csv")
    for name in ("a.csv", "b.csv"):
        s3.put_file("churn.csv", f"kzoo-test/{name}")
    monkeypatch.setenv("KZOO_CACHE_SIZE", str(int(1.5 * Path("churn.csv").stat().st_size)))
    a, b = "s3://kzoo-test/a.csv", "s3://kzoo-test/b.csv"
    with refuses(a, b, "together", "KZOO_CACHE_SIZE"):
        kzoo.load_data(a, target="churned", test=b)
    words = ["train", "tabular_fnn", "--data", a, "--test", b, "--target", "churned"]
    assert main(words) == 2
    assert_mentions(capsys.readouterr().err, a, b, "together", "KZOO_CACHE_SIZE")
    kzoo.load_data(a, target="churned")
    kzoo.load_data(b, target="churned")  # one after the other


def written_parts(s3, folder, suffix, count=12):
    """Write parts of a table of two partitions, here and to the bucket; return the size of the largest."""
    sizes = []
    for number in range(count):
        path = Path(folder, f"year={2023 + number % 2}", f"part-{number:02}{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        table(path.with_suffix(".csv"), seed=number)
        if suffix == ".parquet":
            from pyarrow import csv, parquet

            parquet.write_table(csv.read_csv(path.with_suffix(".csv")), path)
            path.with_suffix(".csv").unlink()
        sizes.append(path.stat().st_size)
    Path(folder, "_SUCCESS").touch()
    s3.put(folder, "kzoo-test/", recursive=True)
    return max(sizes)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "disk"])
def test_a_table_larger_than_the_cache_is_read_part_by_part(
    s3, cache, monkeypatch, capsys, suffix, in_memory
):
    pytest.importorskip("pyarrow")
    largest = written_parts(s3, "people", suffix)
    if not in_memory:
        monkeypatch.setenv("KZOO_MEMORY", "100KiB")
    limit = 5 * largest
    monkeypatch.setenv("KZOO_CACHE_SIZE", str(limit))
    copied, write = [], parts.RemotePart._write
    opened, open_end = [], parts.RemotePart.open

    def counted_open(self, mode="r", *options, **more):
        opened.append(self.name)
        return open_end(self, mode, *options, **more)

    def counted(self, folder):
        copied.append(self.name)
        kept = [p for p in (cache / "downloads").rglob("part-*") if p.is_file()]
        assert sum(path.stat().st_size for path in kept) <= limit
        write(self, folder)

    monkeypatch.setattr(parts.RemotePart, "_write", counted)
    monkeypatch.setattr(parts.RemotePart, "open", counted_open)
    local = kzoo.load_data("people", target="churned")
    for address in ("s3://kzoo-test/people/", f"s3://kzoo-test/people/*/*{suffix}"):
        remote = kzoo.load_data(address, target="churned")
        assert remote.fingerprint == local.fingerprint
        assert any("'year'" in note for note in remote.notes)
        assert "larger than the download cache" in capsys.readouterr().err
        assert len(set(copied)) == 12
    if suffix == ".parquet":  # the numbers of rows are at the ends of the files
        assert len(opened) == 24
    assert any("memory" in note for note in remote.notes) != in_memory
    passes = len(copied) / 24
    assert passes <= (1.5 if in_memory else 3.5), passes
    # it is encoded already: only the listing is read
    copied.clear()
    if not in_memory:
        kzoo.load_data(address, target="churned")
        assert len(copied) <= 12
    options = ["--target", "churned", "--epochs", "1", "--quiet", "--json"]
    assert main(["train", "tabular_fnn", "--data", address, "--out", "run", *options]) == 0
    assert Run("run").data.source["files"] == 12
    if in_memory:  # predictions of a run are in memory
        capsys.readouterr()
        assert main(["predict", "run", address, "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["predictions"]) == 12 * ROWS


def test_a_table_larger_than_the_cache_without_a_cache_to_write_to(s3, cache, monkeypatch):
    monkeypatch.setenv("KZOO_CACHE_SIZE", str(5 * written_parts(s3, "people", ".csv")))
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "cloud").write_bytes(b"")
    with refuses("s3://kzoo-test/people/", "Cannot write to", "KZOO_CACHE"):
        local_data("s3://kzoo-test/people/")


def test_a_changed_part_of_a_table_larger_than_the_cache(s3, monkeypatch):
    largest = written_parts(s3, "people", ".csv", count=6)
    monkeypatch.setenv("KZOO_CACHE_SIZE", str(4 * largest))
    path = local_data("s3://kzoo-test/people/")
    table("new.csv", seed=99)
    s3.put_file("new.csv", "kzoo-test/people/year=2024/part-05.csv")
    with refuses("s3://kzoo-test/people/year=2024/part-05.csv", "was changed", "it is now"):
        kzoo.load_data(path, target="churned")
    monkeypatch.setenv("KZOO_CACHE_SIZE", str(3 * largest))
    with refuses("s3://kzoo-test/people/", "4 parts as large as year=", "KZOO_CACHE_SIZE"):
        local_data("s3://kzoo-test/people/")
    s3.pipe_file("kzoo-test/people/notes/readme.md", b"a folder of other files")
    with refuses("s3://kzoo-test/people/", "The files have", "KZOO_CACHE_SIZE"):
        local_data("s3://kzoo-test/people/")


def test_a_file_of_a_web_server(tmp_path, capsys):
    table("churn.csv")
    with serving(".") as server:
        address = f"{server.url}/churn.csv"
        same(
            kzoo.load_data(address, target="churned"), kzoo.load_data("churn.csv", target="churned")
        )
        assert main(["check", address, "--target", "churned", "--json"]) == 0
        output = capsys.readouterr()
        assert address in output.out and "downloads" not in output.out + output.err
        with refuses(f"{server.url}/no.csv", "does not exist"):
            kzoo.load_data(f"{server.url}/no.csv", target="churned")


def test_a_database_in_a_bucket(s3):
    with sqlite3.connect("shop.sqlite") as base:
        base.execute("create table customers (age, plan, churned)")
        base.executemany(
            "insert into customers values (?, ?, ?)",
            [(20 + i % 50, "ab"[i % 2], "yes" if i % 50 > 25 else "no") for i in range(200)],
        )
    base.close()
    s3.put_file("shop.sqlite", "kzoo-test/shop.sqlite")
    same(
        kzoo.load_data("sqlite:s3://kzoo-test/shop.sqlite?customers", target="churned"),
        kzoo.load_data("sqlite:shop.sqlite?customers", target="churned"),
    )


def test_messages_name_the_address_instead_of_the_copy(s3, capsys):
    table("churn.csv")
    s3.put_file("churn.csv", "kzoo-test/churn.csv")
    s3.pipe_file("kzoo-test/empty/broken.parquet", b"no parquet")
    for words in (
        ["train", "tabular_fnn", "--data", "s3://kzoo-test/churn.csv", "--target", "no"],
        ["check", "s3://kzoo-test/empty/broken.parquet", "--target", "y"],
        ["check", "s3://kzoo-test/empty", "--target", "y"],
    ):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert "downloads" not in error and "Traceback" not in error


WRONG_SOURCES = [
    ("s3://kzoo-missing/x.csv", ["does not exist"]),
    ("s3://kzoo-missing/", ["does not exist"]),
    ("s3://kzoo-test/no.csv", ["does not exist"]),
    ("s3://kzoo-test/no/", ["does not exist"]),
    ("s3://kzoo-test/*.csv", ["matches no object"]),
    ("s3://kzoo-test/**/no-?.csv", ["matches no object"]),
    ("s3://kzoo-test/both", ["an object and a folder"]),
    ("s3://kzoo-test/strange", ["name", "Rename"]),
    ("https://127.0.0.1/", ["does not list"]),
    ("hf://datasets/me/x", ["hf://datasets/me/x"]),
]


@pytest.mark.parametrize(("word", "parts"), WRONG_SOURCES)
def test_wrong_sources_are_one_line(s3, word, parts, capsys, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    s3.pipe_file("kzoo-test/both/a", b"1")
    s3.pipe_file("kzoo-test/both/a/b", b"1")
    s3.pipe_file("kzoo-test/strange/a//b.csv", b"1")
    assert main(["train", "tabular_fnn", "--data", word, "--target", "y"]) == 2
    output = capsys.readouterr()
    assert_mentions(output.err, *parts)
    assert len(output.err.splitlines()) == 1 and SECRET not in output.err


def test_partitions_have_the_columns_of_their_folders(s3):
    pq = pytest.importorskip("pyarrow.parquet")
    csv = pytest.importorskip("pyarrow.csv")
    for part in range(3):
        table("part.csv", 120, seed=part)
        for kind in ("lines", "columns"):
            folder = Path(kind, f"year={2022 + part}")
            folder.mkdir(parents=True)
            if kind == "lines":
                shutil.copyfile("part.csv", folder / "a.csv")
            else:
                pq.write_table(csv.read_csv("part.csv"), folder / "a.parquet")
    storage = storage_module.storage_of("s3://kzoo-test/shop")
    for kind in ("lines", "columns"):
        for path in Path(kind).rglob("a.*"):
            storage.put(path.as_posix(), path)
    for word in ("lines", "columns", "lines/year=*/*.csv", "lines/**/*.csv"):
        local = kzoo.load_data(word, target="churned")
        remote = kzoo.load_data(f"s3://kzoo-test/shop/{word}", target="churned")
        assert "year" in remote.feature_names
        same(remote, local)


def test_photos_in_folders_and_shards(s3):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        Path("photos", label).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            image.fromarray(pixels).save(Path("photos", label, f"{i}.png"))
    Path("shards").mkdir()
    for shard in range(2):
        with tarfile.open(f"shards/photos-{shard}.tar", "w") as archive:
            for path in sorted(Path("photos").rglob("*.png"))[shard::2]:
                archive.add(path, path.relative_to("photos").as_posix())
    storage = storage_module.storage_of("s3://kzoo-test/x")
    for path in [*Path("photos").rglob("*.png"), *Path("shards").iterdir()]:
        storage.put(path.as_posix(), path)
    for word in ("photos", "shards", "shards/photos-*.tar", "shards/photos-0.tar"):
        same(kzoo.load_data(f"s3://kzoo-test/x/{word}"), kzoo.load_data(word))
    with serving(".") as server:
        word = "shards/photos-0.tar"
        same(kzoo.load_data(f"{server.url}/{word}"), kzoo.load_data(word))


@pytest.mark.slow
def test_a_run_on_data_in_a_bucket_is_repeated(s3, capfd):
    table("churn.csv")
    s3.put_file("churn.csv", "kzoo-test/churn.csv")
    words = ["tabular_fnn", "--data", "s3://kzoo-test/churn.csv", "--target", "churned"]
    assert main(["train", *words, "--epochs", "2", "--out", "run", "--quiet"]) == 0
    assert main(["check", "run", "--retrain"]) == 0
    assert main(["check", "run", "--retrain", "--data", "s3://kzoo-test/*.csv"]) == 0
    output = capfd.readouterr()
    assert "downloads" not in output.out + output.err and SECRET not in output.out + output.err


@pytest.mark.slow
def test_searches_and_explanations_of_data_in_a_bucket(s3, capfd):
    table("churn.csv")
    s3.put_file("churn.csv", "kzoo-test/churn.csv")
    address = "s3://kzoo-test/churn.csv"
    data = ["--data", address, "--target", "churned"]
    for words in (
        ["check", address, "--target", "churned"],
        ["train", "tabular_fnn", *data, "--epochs", "2", "--out", "run", "--test", address],
        ["train", "auto", *data, "--epochs", "1", "--folds", "2", "--out", "folds"],
        ["tune", "tabular_fnn", *data, "--trials", "2", "--epochs", "1", "--out", "search"],
        ["tune", "tabular_fnn", *data, "--trials", "2", "--epochs", "1", "--out", "search"],
        ["explain", "run", "--data", address],
        ["explain", "run", address],
        ["report", "run", "--data", address],
        ["check", "run", "--data", address],
        ["compare", "run", "run", "--data", address],
    ):
        assert main(words) == 0, words
    output = capfd.readouterr()
    texts = [output.out.encode(), output.err.encode()]
    texts += [path.read_bytes() for path in Path().rglob("*") if path.is_file()]
    assert not any(b"/downloads/" in text or SECRET.encode() in text for text in texts)
