"""Downloads: what breaks is continued, what was changed is refused with both sums; the cache stays within its limit."""

import errno
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub.file_server import serving
from messages import assert_mentions, refuses

from kzoo.utils import download_cache, downloads
from kzoo.utils.downloads import DownloadError, download, open_url, read_url

CONTENT = os.urandom(1_000_003)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(tmp_path):
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "model.bin").write_bytes(CONTENT)
    with serving(tmp_path / "place") as server:
        yield server


@pytest.fixture(autouse=True)
def _impatient(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))


def fetch(server, path, **options):
    options = dict(size=len(CONTENT), sha256=SHA256) | options
    download(f"{server.url}/model.bin", path, **options)


def test_a_broken_download_goes_on_where_it_broke(server, tmp_path):
    server.cuts = [100_000, 1, 500_000]
    counts = []
    fetch(server, tmp_path / "model.bin", report=counts.append)
    assert (tmp_path / "model.bin").read_bytes() == CONTENT
    starts = [wanted for _, wanted in server.requests]
    assert starts == [None, "bytes=100000-", "bytes=100001-", "bytes=600001-"]
    assert sum(counts) == len(CONTENT)


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.ranges, server.cuts = False, [100_000]
    counts = []
    fetch(server, tmp_path / "model.bin", report=counts.append)
    assert (tmp_path / "model.bin").read_bytes() == CONTENT
    assert sum(counts) == len(CONTENT)


def test_a_download_that_was_killed_is_continued(server, tmp_path):
    (tmp_path / "model.bin").write_bytes(CONTENT[:700_000])
    fetch(server, tmp_path / "model.bin")
    assert server.requests == [("/model.bin", "bytes=700000-")]
    fetch(server, tmp_path / "model.bin")  # it is complete
    assert len(server.requests) == 1


def test_a_connection_that_always_breaks_is_given_up(server, tmp_path):
    server.cuts = [0] * 50
    with refuses("model.bin", "connection broke", error=DownloadError):
        fetch(server, tmp_path / "model.bin")
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_busy_server_is_asked_again(server, tmp_path, status):
    server.statuses = [status, status]
    fetch(server, tmp_path / "model.bin")
    assert (tmp_path / "model.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_of_the_server_is_final(server, tmp_path, status):
    server.statuses = [status]
    with refuses(str(status), "model.bin", error=DownloadError):
        fetch(server, tmp_path / "model.bin")
    assert len(server.requests) == 1


def test_a_changed_file_is_refused_with_both_sums(server, tmp_path):
    changed = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    (server.folder / "model.bin").write_bytes(changed)
    with refuses(SHA256, hashlib.sha256(changed).hexdigest(), error=DownloadError):
        fetch(server, tmp_path / "model.bin")
    assert not (tmp_path / "model.bin").exists()


def test_a_larger_file_is_not_read_to_its_end(server, tmp_path):
    with refuses("larger than 1,000 bytes", error=DownloadError):
        fetch(server, tmp_path / "model.bin", size=1000)
    assert (tmp_path / "model.bin").stat().st_size == 0
    with refuses("9.8 KiB", error=DownloadError):
        read_url(f"{server.url}/model.bin", 10_000)


def test_no_server(tmp_path):
    with serving(tmp_path) as server:
        url = server.url
    with refuses(url, "refused", error=DownloadError):
        read_url(f"{url}/index.json", 100)


def test_redirects_stay_on_the_side_of_the_wall_where_they_begin(server, monkeypatch):
    server.redirects = {
        "/here": "/model.bin",
        "/away": "http://example.org/model.bin",
        "/file": "file:///etc/hostname",
        "/loop": "/loop",
    }
    assert read_url(f"{server.url}/here", 2_000_000) == CONTENT
    with refuses("http://example.org", "not as safe", error=DownloadError):
        monkeypatch.setattr(downloads, "is_private", lambda host: host != "example.org")
        read_url(f"{server.url}/away", 100)
    for path in ("file", "loop"):
        with refuses(f"/{path}", error=DownloadError):
            read_url(f"{server.url}/{path}", 100)
    # a public host that sends us into our own network
    monkeypatch.setattr(downloads, "is_private", lambda host: False)
    with refuses("http://", "https://", error=DownloadError):
        open_url(f"{server.url}/here")


def test_hosts_of_private_networks():
    private = ["localhost", "127.0.0.1", "::1", "10.1.2.3", "192.168.1.4"]
    assert all(map(downloads.is_private, private))
    assert not any(map(downloads.is_private, ["8.8.8.8", "host.invalid"]))


# The cache


def written(folder, size=1000):
    (folder / "model.bin").write_bytes(b"0" * size)


def digest(number):
    return f"{number:02x}".ljust(64, "0")


def aged(number, seconds):
    path = download_cache.downloads_folder() / digest(number)
    os.utime(path, (time.time() - seconds,) * 2)


def test_an_entry_is_made_once():
    path = download_cache.add(digest(1), 1000, written)
    assert path == download_cache.cached(digest(1)) and (path / "model.bin").is_file()
    assert download_cache.add(digest(1), 1000, lambda folder: pytest.fail("again")) == path
    assert download_cache.cached(digest(2)) is None


def test_the_oldest_unused_entries_make_room(monkeypatch):
    monkeypatch.setenv("KZOO_CACHE_SIZE", "3k")
    for number in (1, 2, 3):
        download_cache.add(digest(number), 1000, written)
        aged(number, seconds=1000 - number)
    download_cache.cached(digest(1))  # used now
    download_cache.add(digest(4), 1000, written)
    present = [number for number in (1, 2, 3, 4) if download_cache.cached(digest(number))]
    assert present == [1, 3, 4]
    with refuses("4.9 KiB", "3.0 KiB", "KZOO_CACHE_SIZE"):
        download_cache.add(digest(5), 5000, written)
    monkeypatch.setenv("KZOO_CACHE_SIZE", "much")
    with refuses("KZOO_CACHE_SIZE='much'", "500MiB"):
        download_cache.add(digest(5), 5, written)


def test_what_a_broken_download_left_is_continued_and_counts(monkeypatch):
    def broken(folder):
        written(folder)
        raise DownloadError("broken")

    with pytest.raises(DownloadError):
        download_cache.add(digest(1), 1000, broken)
    assert download_cache.cached(digest(1)) is None
    download_cache.add(digest(1), 1000, lambda folder: (folder / "model.bin").stat())
    with pytest.raises(DownloadError):
        download_cache.add(digest(2), 1000, broken)
    monkeypatch.setenv("KZOO_CACHE_SIZE", "1k")
    download_cache.add(digest(3), 1000, written)
    assert not (download_cache.downloads_folder() / "partial" / digest(2)).exists()


def test_a_full_disk_leaves_nothing(monkeypatch):
    def full(folder):
        written(folder)
        raise downloads.NotWritten(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    with refuses("No space left", "KZOO_CACHE"):
        download_cache.add(digest(1), 1000, full)
    assert [*download_cache.downloads_folder().rglob("model.bin")] == []
    monkeypatch.setattr(
        download_cache.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})
    )
    with refuses("0.0 KiB free", "1.0 KiB", "KZOO_CACHE"):
        download_cache.add(digest(1), 1000, written)


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "file"))
    with refuses("Cannot write", "KZOO_CACHE"):
        download_cache.add(digest(1), 1000, written)


LIMITED = """
import resource, sys
from pathlib import Path
from kzoo.utils import download_cache
from kzoo.utils.downloads import download
from kzoo.utils.errors import KzooError

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    download_cache.add(sys.argv[2], 1_000_003, lambda folder: download(sys.argv[1], folder / "m", size=1_000_003))
except KzooError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of the size of a file")
def test_a_file_larger_than_the_system_allows(server):
    command = [sys.executable, "-c", LIMITED, f"{server.url}/model.bin", SHA256]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert_mentions(done.stdout, "File too large", "KZOO_CACHE")
    assert len(done.stdout.splitlines()) == 1
    assert [*Path(os.environ["KZOO_CACHE"]).rglob("m")] == []
