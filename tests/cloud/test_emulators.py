"""The same data from S3, Azure, Google and a web server as from a local folder, through emulators of the services."""

import base64
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cloud.conftest import KEY, SECRET
from cloud.test_data import same, table
from hub.file_server import serving
from messages import refuses
from PIL import Image

import kzoo
from kzoo.cloud.storage import storage_of
from kzoo.zoo.run import Run

pytestmark = pytest.mark.slow
ADULT = os.environ.get(
    "KZOO_ADULT", ""
)  # the adult table as a CSV file with the target "income_status"
ACCOUNT = "devstoreaccount1"


def free_port():
    with closing(socket.socket()) as waiting:
        waiting.bind(("127.0.0.1", 0))
        return waiting.getsockname()[1]


@contextmanager
def running(command, port):
    """Run a server until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, f"{command[0]} ended"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def azure(monkeypatch):
    """A container "kzoo-test" of azurite."""
    server = shutil.which("azurite-blob") or os.environ.get("KZOO_AZURITE")
    if server is None or find_spec("adlfs") is None:
        pytest.skip("needs azurite-blob (npm install azurite) and adlfs")
    port = free_port()
    key = base64.b64encode(SECRET.encode()).decode()
    monkeypatch.setenv("AZURITE_ACCOUNTS", f"{ACCOUNT}:{key}")
    options = [
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--silent",
        "--blobPort",
        str(port),
    ]
    command = ["node", server] if server.endswith(".js") else [server]
    with running([*command, *options], port):
        text = (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
            f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
        )
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
        storage_of("az://kzoo-test").client.mkdir("kzoo-test")
        yield "az://kzoo-test", key


@pytest.fixture
def google(monkeypatch, tmp_path):
    """A bucket "kzoo-test" of gcp-storage-emulator."""
    if find_spec("gcp_storage_emulator") is None or find_spec("gcsfs") is None:
        pytest.skip("needs gcp-storage-emulator and gcsfs")
    port = free_port()
    code = "from gcp_storage_emulator.__main__ import main; main()"
    words = ["start", "--host=127.0.0.1", f"--port={port}", "--in-memory"]
    with running([sys.executable, "-c", code, *words, "--default-bucket=kzoo-test"], port):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("FSSPEC_GS_TOKEN", "anon")
        yield "gs://kzoo-test", SECRET


@pytest.fixture
def amazon(s3):
    return "s3://kzoo-test", SECRET


def photos(folder):
    """Write ten small photos of each of two classes."""
    random = np.random.default_rng(0)
    for name, base in (("dark", 40), ("light", 200)):
        (folder / name).mkdir(parents=True)
        for i in range(10):
            pixels = (base + random.integers(0, 50, (12, 12, 3))).astype("uint8")
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def filled(address):
    """Write the same files into a folder and at an address."""
    table("churn.csv")
    for part in range(3):
        table(f"part-{part}.csv", 100, seed=part)
    for name in ("good", "bad"):
        (Path("reviews") / name).mkdir(parents=True)
        for i in range(30):
            (Path("reviews") / name / f"{i}.txt").write_text(f"{name} number {i}", encoding="utf-8")
    customers = pd.read_csv("churn.csv")
    for part in range(10):
        folder = Path("customers", f"year={2020 + part % 5}")
        folder.mkdir(parents=True, exist_ok=True)
        customers.iloc[part::10].to_parquet(folder / f"part-{part}.parquet")
    photos(Path("photos"))
    with tarfile.open("photos.tar", "w") as archive:
        archive.add("photos")
    storage = storage_of(f"{address}/some folder")
    for path in Path().rglob("*"):
        if path.is_file():
            storage.put(path.as_posix(), path)
    return storage


@pytest.mark.parametrize("service", ["amazon", "azure", "google"])
def test_data_of_a_service_is_that_of_a_folder(service, request, capfd):
    address, secret = request.getfixturevalue(service)
    storage = filled(address)
    listed = storage.list()
    assert len(listed) == 95 and all(entry.version and entry.size for entry in listed)
    for entry in listed[:3]:
        assert storage.stat(entry.name) == entry
        assert storage.read(entry.name, 1 << 20) == Path(entry.name).read_bytes()
    folder = f"{address}/some folder"
    remote = kzoo.load_data(f"{folder}/churn.csv", target="churned")
    same(remote, kzoo.load_data("churn.csv", target="churned"))
    same(
        kzoo.load_data(f"{folder}/part-*.csv", target="churned"),
        kzoo.load_data("part-*.csv", target="churned"),
    )
    same(kzoo.load_data(f"{folder}/reviews"), kzoo.load_data("reviews"))
    same(
        kzoo.load_data(f"{folder}/customers", target="churned"),
        kzoo.load_data("customers", target="churned"),
    )
    in_folder = kzoo.load_data("photos", preset="image_cnn")
    same(kzoo.load_data(f"{folder}/photos", preset="image_cnn"), in_folder)
    in_shard = kzoo.load_data("photos.tar", preset="image_cnn")
    assert in_shard.fingerprint == in_folder.fingerprint
    same(kzoo.load_data(f"{folder}/photos.tar", preset="image_cnn"), in_shard)
    before = storage.stat("churn.csv")
    table("churn.csv", seed=5)
    storage.put("churn.csv", "churn.csv")
    with refuses("churn.csv", before.version, storage.stat("churn.csv").version):
        storage.open("churn.csv", before.version)
    same(
        kzoo.load_data(f"{folder}/churn.csv", target="churned"),
        kzoo.load_data("churn.csv", target="churned"),
    )
    storage.remove("churn.csv")
    with refuses("churn.csv", "does not exist"):
        kzoo.load_data(f"{folder}/churn.csv", target="churned")
    missing = f"{address.partition('://')[0]}://kzoo-missing"
    with refuses("kzoo-missing", "does not exist"):
        kzoo.load_data(f"{missing}/x.csv", target="churned")
    with refuses(missing):
        storage_of(missing).put_bytes("x", b"1")
    output = capfd.readouterr()
    assert secret not in output.out + output.err and KEY not in output.out + output.err


def test_a_large_object_is_written_and_read(amazon):
    content = np.random.default_rng(0).bytes(60_000_000)
    Path("large.bin").write_bytes(content)
    storage = storage_of("s3://kzoo-test")
    storage.put("large.bin", "large.bin")
    start = time.perf_counter()
    with storage.open("large.bin") as file:
        assert file.read() == content
    assert time.perf_counter() - start < 60


@pytest.mark.skipif(not ADULT, reason="needs the adult table: KZOO_ADULT=FILE")
@pytest.mark.parametrize("service", ["amazon", "azure", "google"])
def test_adult_has_the_same_scores(service, request):
    address, _ = request.getfixturevalue(service)
    rows = pd.read_csv(ADULT, dtype=str, keep_default_na=False)
    typed = pd.read_csv(ADULT)
    for part, indices in enumerate(np.array_split(np.arange(len(rows)), 10)):
        for folder in ("csv", "parquet"):
            Path(folder).mkdir(exist_ok=True)
        rows.iloc[indices].to_csv(f"csv/part-{part}.csv", index=False)
        typed.iloc[indices].to_parquet(f"parquet/part-{part}.parquet", index=False)
    shutil.copyfile(ADULT, "adult.csv")
    for path in [Path("adult.csv"), *Path("csv").iterdir(), *Path("parquet").iterdir()]:
        storage_of(address).put(path.as_posix(), path)
    sources = ("adult.csv", "csv", "parquet")
    with serving(".") as server:
        runs = [
            kzoo.train(
                "tabular_fnn",
                source,
                target="income_status",
                epochs=2,
                out=f"run{i}",
                progress=False,
                baselines=False,
            )
            for i, source in enumerate(
                [
                    *sources,
                    *(f"{address}/{source}" for source in sources),
                    f"{server.url}/adult.csv",
                ]
            )
        ]
    local, *others = (Run(run.path) for run in runs)
    for run in others:
        assert run.data.fingerprint == local.data.fingerprint
        assert run.summary["test"] == local.summary["test"]
        assert run.summary["validation"] == local.summary["validation"]
    print(local.data.fingerprint, local.summary["test"])


def test_wrong_credentials_of_azure(azure, monkeypatch):
    text = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    wrong = base64.b64encode(b"another key of nobody").decode()
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text.replace(azure[1], wrong))
    with refuses("az://kzoo-test", "permission") as caught:
        storage_of("az://kzoo-test").list()
    assert wrong not in str(caught.value)
