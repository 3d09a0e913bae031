"""Storage: the same methods for folders, buckets and web servers; errors on one line without a secret."""

import os
import pickle

import pytest
from cloud.conftest import KEY, SECRET
from hub.file_server import serving
from messages import assert_mentions, refuses

import kzoo
from kzoo.cli import main
from kzoo.cloud import storage as storage_module
from kzoo.cloud.errors import scrubbed
from kzoo.cloud.storage import FolderStorage, StoredObject, split_pattern, storage_of
from kzoo.utils.address import is_remote_address, parse_remote_address
from kzoo.utils.errors import KzooError

CONTENT = os.urandom(300_001)


def check_methods(storage, changed):
    """Try all methods of an empty storage; `changed` writes other content of the same size."""
    assert storage.list() == [] and storage.stat("a/b.bin") is None
    storage.put_bytes("z.txt", b"last")
    storage.put_bytes("a/b c.bin", CONTENT)
    names = [entry.name for entry in storage.list()]
    assert names == ["a/b c.bin", "z.txt"]
    entry = storage.stat("a/b c.bin")
    assert entry in storage.list() and entry.size == len(CONTENT) and entry.version
    assert storage.stat("a") is None
    storage = pickle.loads(pickle.dumps(storage))
    with storage.open("a/b c.bin", entry.version) as file:
        assert file.read(10) == CONTENT[:10]
        file.seek(-7, os.SEEK_END)
        assert file.read() == CONTENT[-7:] and file.tell() == len(CONTENT)
        file.seek(0)
        assert file.read() == CONTENT
    assert storage.read("z.txt", 4) == b"last"
    with refuses("z.txt", "larger"):
        storage.read("z.txt", 3)
    changed("a/b c.bin", CONTENT[::-1])
    now = storage.stat("a/b c.bin")
    with refuses("a/b c.bin", entry.version, now.version):
        storage.open("a/b c.bin", entry.version)
    for name in ("../x", "/x", "a//b", "a\\b", "a\nb", "a/./b"):
        with refuses("name", "Rename"):
            storage.stat(name)
    storage.remove("z.txt")
    storage.remove("z.txt")
    assert [entry.name for entry in storage.list()] == ["a/b c.bin"]
    with refuses("z.txt"):
        storage.open("z.txt")


def test_a_folder(tmp_path):
    storage = storage_of(str(tmp_path / "folder"))
    assert isinstance(storage, FolderStorage)
    check_methods(storage, storage.put_bytes)
    assert not list((tmp_path / "folder").rglob(".*"))


def test_a_bucket(s3, monkeypatch):
    monkeypatch.setattr(storage_module, "BLOCK", 50_000)
    storage = storage_of("s3://kzoo-test/some/folder/")
    s3.pipe_file("kzoo-test/some/folder/", b"")  # as consoles mark a folder
    s3.pipe_file("kzoo-test/some/folder-2/x", b"not below")
    check_methods(storage, storage.put_bytes)
    assert str(storage) == "s3://kzoo-test/some/folder/"


def test_an_object_that_changes_while_it_is_read(s3, monkeypatch):
    monkeypatch.setattr(storage_module, "BLOCK", 50_000)
    monkeypatch.setattr(storage_module, "AHEAD", 1)
    storage = storage_of("s3://kzoo-test")
    storage.put_bytes("x", CONTENT)
    before = storage.stat("x").version
    with storage.open("x") as file:
        file.read(1)
        storage.put_bytes("x", CONTENT[::-1])
        with refuses("s3://kzoo-test/x", before, storage.stat("x").version):
            file.read()


def test_a_web_server(tmp_path, impatient, monkeypatch):
    monkeypatch.setattr(storage_module, "BLOCK", 50_000)
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "b c.bin").write_bytes(CONTENT)
    with serving(tmp_path / "place") as server:
        storage = storage_of(server.url)
        with refuses(server.url, "does not list", ".tar"):
            storage.list()
        assert storage.stat("no") is None
        assert storage.stat("b c.bin").size == len(CONTENT)
        server.statuses, server.cuts = [503, 500], [10_000, 1, 20_000]
        with storage.open("b c.bin") as file:
            assert file.read() == CONTENT
        with refuses(server.url, "nothing is written"):
            storage.put_bytes("x", b"")
        server.statuses = [403]
        with refuses(server.url, "403", "permission"):
            storage.stat("b c.bin")
    with refuses(server.url, "cannot be reached"):
        storage.stat("b c.bin")


def test_a_bucket_that_is_missing_and_credentials_that_are(s3, monkeypatch):
    storage = storage_of("s3://kzoo-missing/x")
    assert storage.list() == []
    with refuses("s3://kzoo-missing/x/a", "no s3://kzoo-missing"):
        storage.put_bytes("a", b"1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with refuses("s3://kzoo-test", "credentials", "AWS_PROFILE", "FSSPEC_S3_ANON"):
        storage_of("s3://kzoo-test").list()


def test_without_the_extra(monkeypatch):
    fsspec = pytest.importorskip("fsspec")

    def missing(scheme):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with refuses("s3://kzoo-test/x", 'pip install "kzoo[cloud]"'):
        storage_of("s3://kzoo-test/x").list()


def test_patterns():
    folder, names = split_pattern("a/b/2024-*/[!x]?.csv")
    assert folder == "a/b"
    matches = ["2024-01/ab.csv", "2024-/ab.csv"]
    assert all(map(names.fullmatch, matches))
    assert not any(map(names.fullmatch, ["2024-01/xb.csv", "2024-1/2/ab.csv", "2024-01/abcsv"]))
    assert not split_pattern("a/**/*.csv")[1].fullmatch(".hidden/b.csv")
    assert not split_pattern("a/*.csv")[1].fullmatch(".b.csv")
    folder, names = split_pattern("**/*.csv")
    assert folder == "" and names.fullmatch("a.csv") and names.fullmatch("a/b/c.csv")


def test_secrets_are_removed_from_messages(monkeypatch):
    text = scrubbed(
        f"GET https://me:{SECRET}@host/x?X-Amz-Signature=0123abcd&sig=abc%3D AccountKey=Zm9vYmFy;x {SECRET}"
    )
    assert (
        SECRET not in text
        and "0123abcd" not in text
        and "Zm9v" not in text
        and "abc%3D" not in text
    )


@pytest.mark.parametrize(
    ("word", "scheme", "bucket", "key"),
    [
        ("s3://bucket/a b/c.csv", "s3", "bucket", "a b/c.csv"),
        ("S3://bucket", "s3", "bucket", ""),
        ("s3://bucket/a/2024-??.csv", "s3", "bucket", "a/2024-??.csv"),
        ("s3://bucket/me@home/x=1/y.parquet", "s3", "bucket", "me@home/x=1/y.parquet"),
        ("gs://my_bucket/x/", "gs", "my_bucket", "x"),
        ("az://container/x", "az", "container", "x"),
        ("https://host.org:8443/a/b.csv", "https", "host.org:8443", "a/b.csv"),
        ("hf://datasets/me/photos@main/train", "hf", "datasets/me/photos@main", "train"),
    ],
)
def test_parts_of_an_address(word, scheme, bucket, key):
    assert is_remote_address(word)
    address = parse_remote_address(word)
    assert (address.scheme, address.bucket, address.key) == (scheme, bucket, key)
    assert parse_remote_address(str(address)) == address
    assert address.is_folder == word.endswith("/")


BAD = [
    ("ftp://host/x", ["ftp://", "s3://"]),
    ("file:///srv/x", ["file://", "path"]),
    ("s3a://bucket/x", ["s3a://"]),
    ("s3://", ["bucket"]),
    ("s3:///key", ["bucket"]),
    ("s3://Bucket/x", ["bucket"]),
    ("s3://my bucket/x", ["bucket"]),
    ("s3://b/x", ["bucket"]),
    ("s3://bucket\\x/y", ["backslash"]),
    ("s3://bucket/a/../b", ["'..'"]),
    ("s3://bucket/./b", ["'.'"]),
    ("s3://bucket/a//b", ["'//'"]),
    ("s3://bucket/a\nb", ["control"]),
    ("s3://bucket/ a.csv", ["blank"]),
    ("s3://bucket/a.csv ", ["blank"]),
    (f"s3://me:{SECRET[:14]}@bucket/x", ["password"]),
    (f"s3://{KEY}:{SECRET}@bucket/x", ["password"]),
    (f"s3://bucket/x?X-Amz-Signature={SECRET}", ["query"]),
    (f"s3://bucket/x?versionId=1&sig={SECRET}", ["query"]),
    ("gs://bucket_/x", ["bucket"]),
    ("az://Container/x", ["container"]),
    ("az://account@x/y", ["password"]),
    ("https:///x", ["host"]),
    ("https://host:99999/x", ["host"]),
    (f"https://me:{SECRET[:14]}@host/x", ["password"]),
    (f"https://host/x.csv?sig={SECRET}", ["query"]),
    ("https://host/x.csv#part", ["fragment"]),
    ("https://host/a%20b.csv", ["%"]),
    ("https://host/a/../b.csv", ["'..'"]),
    ("hf://me/photos", ["data set", "hf://datasets/USER/NAME"]),
    ("hf://datasets/me", ["data set"]),
    ("hf://datasets/me/..", ["data set"]),
]


@pytest.mark.parametrize(("word", "parts"), BAD)
def test_bad_addresses_are_refused_without_their_secrets(word, parts, capsys):
    assert main(["train", "tabular_fnn", "--data", word, "--target", "y"]) == 2
    error = capsys.readouterr().err
    assert_mentions(error, *parts)
    assert len(error.splitlines()) == 1 and SECRET[:14] not in error
    with pytest.raises(KzooError) as caught:
        kzoo.load_data(word)
    assert SECRET[:14] not in str(caught.value) + repr(caught.value.value)


def test_names_of_other_files_are_no_addresses():
    for word in ("data.csv", "sqlite:x?y", "hub:a/b", "C:\\data", "./s3:/x", 3, None):
        assert not is_remote_address(word)


def test_an_object_says_what_it_is():
    assert StoredObject("a", 1, "v") == StoredObject("a", 1, "v")
