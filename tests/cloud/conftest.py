"""Storage for tests: a server of S3, and one of files; an empty download cache for each test."""

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from urllib.request import urlopen

import pytest

KEY, SECRET = "AKIAKZOOTESTS0000000", "kzooTestSecret/7Qm+Zr8Lw2Xv5Nc9Tb1Yd4Hf"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty download cache, a folder without other files to work in, and credentials of nobody."""
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def moto():
    """Run moto's server of S3 in a process of its own, and return its URL."""
    if find_spec("moto") is None or find_spec("s3fs") is None:
        pytest.skip("needs moto[server] and s3fs")
    code = (
        "from moto.server import ThreadedMotoServer as S; s = S('127.0.0.1', 0, verbose=False); s.start();"
        "print(s.get_host_and_port()[1], flush=True); import sys; sys.stdin.read()"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{int(server.stdout.readline())}"
    yield url
    server.kill()
    server.wait(20)


@pytest.fixture
def s3(moto, monkeypatch):
    """An empty bucket "kzoo-test"; a client of `s3fs` for it."""
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    with urlopen(f"{moto}/moto-api/reset", data=b""):
        pass
    client = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    client.mkdir("kzoo-test")
    return client


@pytest.fixture
def proxy(s3, moto, monkeypatch):
    """A `FaultProxy` in front of the server of S3."""
    from cloud.fault_proxy import FaultProxy
    from hub.file_server import running

    with running(FaultProxy(moto)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


@pytest.fixture
def impatient(monkeypatch):
    """Retry at once."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
