"""Fuzz targets: what reads files, cells and requests of strangers.

Each target takes bytes and passes them to functions of kzoo that people call. It raises an exception if these raise
anything but a `KzooError`, or if the server answers with an internal error. `seeds()` of a target returns
valid inputs to start from. `run_fuzz.py` runs a target with a fuzzer, `test_fuzz_targets.py` with its seeds.
"""

import asyncio
import functools
import io
import json
import sqlite3
import sys
import tempfile
import tomllib
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import kzoo
from kzoo.inference.kinds.image.decode import check_header, decode
from kzoo.inference.tables import dates, files, numbers, values
from kzoo.utils.files import read_arrays
from kzoo.zoo.registry.preset_files import read_presets

TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "golden"


@dataclass(frozen=True)
class Target:
    """A fuzz target.

    Args:
        run: the function of bytes.
        seeds: returns a list of inputs to start from.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


TARGETS: dict[str, Target] = {}
REFUSED: list[str] = []  # messages of refusals so far, for the test of the seeds


def target(seeds: Callable[[], list[bytes]]) -> Callable:
    """Return a decorator that adds a function to `TARGETS` by its name."""

    def add(run):
        TARGETS[run.__name__] = Target(run, seeds)
        return run

    return add


@functools.cache
def scratch() -> Path:
    """Return a folder that is removed when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="kzoo-fuzz-")
    scratch.folder = folder  # keeps it
    return Path(folder.name)


def written(name: str, data: bytes) -> Path:
    """Write a file to the folder and return its path."""
    path = scratch() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@contextmanager
def refusals() -> Iterator[None]:
    """Accept a `KzooError`, whose message is one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except kzoo.KzooError as error:
            REFUSED.append(str(error))


def golden(member: str) -> list[bytes]:
    """Return a file of all stored runs and exports that have it."""
    found = []
    for path in sorted(GOLDEN.glob("*/made.zip")):
        with zipfile.ZipFile(path) as archive:
            if member in archive.namelist():
                found.append(archive.read(member))
    return found


def unpacked(name: str, use: str) -> Path:
    """Return the folder of a stored run and export, unpacked once for each use."""
    folder = scratch() / use / name
    if not folder.exists():
        with zipfile.ZipFile(GOLDEN / name / "made.zip") as archive:
            archive.extractall(folder)
    return folder


# === Exports and runs ===


@target(lambda: golden("export/kzoo.json"))
def manifest(data: bytes) -> None:
    """Read the manifest of an exported model."""
    folder = unpacked("table", "manifest") / "export"
    (folder / "kzoo.json").write_bytes(data)
    with refusals():
        exported = kzoo.ExportedModel(folder)
        _ = exported.manifest, exported.spec, exported.labels, exported.preprocessing
        for key in exported.exports:
            with refusals():
                exported.file(key)
        exported.damage()


_RUN_FILES = ("config.json", "summary.json", "history.csv", "preprocessing.json", "answers.npz")
_RUN_PROPERTIES = (
    "config",
    "data",
    "problem",
    "target",
    "summary",
    "preprocessing",
    "postprocessing",
    "stopped",
    "class_names",
    "answers",
    "history",
)


def _run_seeds() -> list[bytes]:
    folder = unpacked("table", "run_files") / "run"
    return [
        bytes([number]) + (folder / name).read_bytes() for number, name in enumerate(_RUN_FILES)
    ]


@target(_run_seeds)
def run_files(data: bytes) -> None:
    """Read a file of a run; the first byte chooses the file."""
    if not data:
        return
    folder = unpacked("table", "run_files") / "run"
    path = folder / _RUN_FILES[data[0] % len(_RUN_FILES)]
    original = path.read_bytes()
    path.write_bytes(data[1:])
    try:
        for name in _RUN_PROPERTIES:
            with refusals():
                getattr(kzoo.Run(folder), name)
    finally:
        path.write_bytes(original)


def _array_seeds() -> list[bytes]:
    stream = io.BytesIO()
    np.savez_compressed(stream, a=np.arange(6.0).reshape(2, 3), b=np.array(["x", "好"]))
    return [stream.getvalue(), *golden("run/answers.npz")[:2], *golden("export/golden.npz")[:1]]


@target(_array_seeds)
def arrays(data: bytes) -> None:
    """Read an `.npz` file."""
    with suppress(OSError, ValueError):  # every caller expects them
        read_arrays(io.BytesIO(data))


def _data_seeds() -> list[bytes]:
    stream = io.BytesIO()
    np.savez(stream, x=np.zeros((4, 3), "float32"), y=np.arange(4))
    return [stream.getvalue()]


@target(_data_seeds)
def data_arrays(data: bytes) -> None:
    """Read the training data of an `.npz` file."""
    from kzoo.data.arrays import read_npz

    with refusals():
        read_npz(written("data.npz", data))


# === Models ===


def _keras_members(name: str) -> list[bytes]:
    members = []
    for file in golden("export/keras/model.keras")[:3]:
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            members.append(archive.read(name))
    return members


def _inspect(config: bytes, weights: bytes) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights)
    keras_archive(stream.getvalue())


@target(lambda: golden("export/keras/model.keras")[:2])
def keras_archive(data: bytes) -> None:
    """Inspect a `.keras` file, which `kzoo.load_model` does before Keras opens it."""
    from kzoo.zoo.loading.keras_file import inspect_keras_file

    with refusals():
        inspect_keras_file(written("model.keras", data))


@target(lambda: _keras_members("config.json"))
def keras_config(data: bytes) -> None:
    """Inspect a `.keras` file with this description of the network."""
    _inspect(data, _first_weights())


@functools.cache
def _first_weights() -> bytes:
    return _keras_members("model.weights.h5")[0]


@target(lambda: _keras_members("model.weights.h5")[:1])
def keras_weights(data: bytes) -> None:
    """Inspect a `.keras` file with these weights, an HDF5 file."""
    _inspect(_first_config(), data)


@functools.cache
def _first_config() -> bytes:
    return _keras_members("config.json")[0]


# === Tables ===

_CSV = (
    b'age,town,since,price\n31,Bern,2024-01-31,1.50\n,Genf,03.02.2024,\n44,"a ""b"", c",2/3/24,1e3\n',
    "name;größe;wert\nä;1,5;1.000,25\nö;;-2\n".encode("latin-1"),
    "日期\t值\n2024年1月2日\t１２\nNA\t-\n".encode("utf-16"),
    b"\xef\xbb\xbfa,b,\r\n1,2,\r\n3,4,\r\n",
)


@target(lambda: [*_CSV])
def csv(data: bytes) -> None:
    """Read a CSV file: as an upload, as new rows, and for training."""
    path = written("table.csv", data)
    for read in (
        lambda: files.read_content(data),
        lambda: files.read_header(path),
        lambda: files.read_rows(path),
        lambda: files.read_table(path),
    ):
        with refusals():
            read()


_SUFFIXES = (".jsonl", ".csv.gz", ".zip", ".sqlite", ".xlsx", ".parquet", ".tsv")


def _table_seeds() -> list[bytes]:
    import pandas as pd

    frame = pd.DataFrame({"age": [31, None], "town": ["Bern", "上海"], "open": [True, False]})
    contents = []
    for suffix in _SUFFIXES:
        path = scratch() / f"seed{suffix}"
        if suffix == ".jsonl":
            frame.to_json(path, orient="records", lines=True)
        elif suffix == ".sqlite":
            path.unlink(missing_ok=True)
            with closing(sqlite3.connect(path)) as database:
                frame.to_sql("people", database, index=False)
        elif suffix == ".xlsx":
            frame.to_excel(path, index=False)
        elif suffix == ".parquet":
            try:
                frame.to_parquet(path, index=False)
            except ImportError:
                path.write_bytes(b"PAR1")
        elif suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("table.csv", frame.to_csv(index=False))
        else:
            frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
        contents.append(path.read_bytes())
    return [bytes([number]) + content for number, content in enumerate(contents)]


@target(_table_seeds)
def table_files(data: bytes) -> None:
    """Read a table in another type of file; the first byte chooses the type."""
    if not data:
        return
    path = written(f"table{_SUFFIXES[data[0] % len(_SUFFIXES)]}", data[1:])
    for read in (files.read_header, files.read_rows, files.read_table):
        with refusals():
            read(path)


_CELLS = (
    "1.5\n1,000.25\n-3e5\n 12 \nNaN\n1'000\n12 %\n$ 5\n(12)\n１２",
    "2024-01-31\n31.1.2024 10:30\n3/2/24\nJan 5, 2024\n2024-W05\n2024Q1\n10:30+02:00\n20240131\n2024年1月2日",
    "yes\nno\n\ntrue\n01067\n1.0\nNA\n",
)


@target(lambda: [text.encode() for text in _CELLS])
def cells(data: bytes) -> None:
    """Read the cells of a column, one to a line, as numbers, dates and categories."""
    texts = data.decode("utf-8", "replace").split("\n")
    notes: list[str] = []
    learned = numbers.learn_number_format(texts)
    with refusals():
        column = values.plain(texts)
        values.to_numbers(column, *numbers.number_formats(learned.writing.json()))
        values.to_words(column)
        values.value_counts(column)
        numbers.are_ambiguous(texts)
    with refusals():
        dates.are_dates(texts)
        for wall_clock in (False, True):
            moments = dates.to_dates(texts, wall_clock=wall_clock)
        dates.date_parts(moments)
        dates.writing_notes("day", texts, False)
        dates.detect_day_first("day", texts, notes)


# === Images ===


def _image_seeds() -> list[bytes]:
    from PIL import Image

    contents = []
    for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"):
        stream = io.BytesIO()
        Image.fromarray(np.arange(192, dtype="uint8").reshape(8, 8, 3)).save(stream, form)
        contents.append(stream.getvalue())
    return contents


@target(_image_seeds)
def image(data: bytes) -> None:
    """Decode an uploaded image."""
    with refusals():
        check_header(data, (8, 8, 3))
        decode(data, (8, 8, 3))


# === Presets ===


def _preset_seeds() -> list[bytes]:
    own = '[churn]\nbase = "tabular_fnn"\nconfig.units = [64, 32]\ntraining.learning_rate = 1e-3\n'
    names = ("iris_fnn", "cifar_cnn", "text_gru")
    whole = [kzoo.preset_to_toml(kzoo.get_preset(name)) for name in names]
    return [text.encode() for text in (own, *whole)]


@target(_preset_seeds)
def presets(data: bytes) -> None:
    """Read a preset file, in TOML."""
    path = written("presets.toml", data)
    with refusals():
        for preset in read_presets(path, kzoo.get_preset):
            assert tomllib.loads(kzoo.preset_to_toml(preset))


# === Requests ===

_ADDRESSES = (
    "/v1/models/digits:predict",
    "/v1/models/power:predict",
    "/v2/models/digits/infer",
    "/v2/models/power/infer",
    "/v1/models/digits/answer",
    "/v1/models/power/answer",
    "/v1/models/table/answer",
    "/v1/models/text/explain",
    "/v1/models/language/generate",
)
_MEDIA = (
    "application/json",
    "text/csv",
    "image/png",
    "text/plain",
    "application/octet-stream",
    "multipart/form-data; boundary=b",
)


def _request_seeds() -> list[bytes]:
    pixels = np.zeros((1, 8, 8, 1)).tolist()
    steps = [{"load": i, "sun": 1} for i in range(6)]
    rows = (GOLDEN / "table" / "new.csv").read_bytes()
    tensor = dict(name="image", datatype="FP32", shape=[1, 8, 8, 1])
    binary = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": 256}}]}).encode()
    form = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n%s\r\n--b--\r\n'
    )
    png = _image_seeds()[0]
    requests = [
        (0, 0, json.dumps({"instances": pixels})),
        (0, 0, json.dumps({"inputs": {"image": pixels}, "signature_name": "serving_default"})),
        (1, 0, json.dumps({"instances": [[[1.0, 2.0]] * 6]})),
        (2, 0, json.dumps({"inputs": [tensor | {"data": [1.0] * 64}], "id": "a"})),
        (2, 4, len(binary).to_bytes(2, "big") + binary + bytes(256)),
        (4, 2, png),
        (4, 5, form % png),
        (5, 0, json.dumps(steps)),
        (5, 1, "load,sun\n" + "1,2\n" * 6),
        (6, 1, rows),
        (7, 0, json.dumps(["a good film"])),
        (8, 0, json.dumps({"prompt": "a", "length": 2})),
    ]
    return [
        bytes([address, media]) + (body if isinstance(body, bytes) else body.encode())
        for address, media, body in requests
    ]


class Server:
    """The application of `kzoo serve` with small models, called without a network."""

    def __init__(self) -> None:
        sys.path.append(str(TESTS / "serve"))
        from hand_made import write_digits, write_series

        from kzoo.serve.app import make_app

        write_digits(scratch() / "digits")
        write_series(scratch() / "power")
        self.faults: list[dict] = []
        models = [f"{name}={scratch() / name}" for name in ("digits", "power")]
        models += [
            f"{name}={unpacked(name, 'server') / 'export'}"
            for name in ("table", "text", "language")
        ]
        self.app = make_app(models, format="onnx", log=self.log)
        self.loop = asyncio.new_event_loop()

    def log(self, event: str, **fields: object) -> None:
        if fields.get("trace") or event == "fault":
            self.faults.append({"event": event} | fields)

    def status(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Send a request and return the status of the response."""
        return self.loop.run_until_complete(self._status(path, headers, body))

    async def _status(self, path: str, headers: dict[str, str], body: bytes) -> int:
        headers = {"host": "localhost", "content-length": str(len(body))} | headers
        scope = dict(
            type="http",
            asgi={"version": "3.0"},
            http_version="1.1",
            method="POST",
            scheme="http",
            path=path,
            raw_path=path.encode(),
            query_string=b"",
            root_path="",
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            client=("127.0.0.1", 1),
            server=("127.0.0.1", 80),
        )
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        statuses = []

        async def receive():
            if messages:
                return messages.pop()
            return await asyncio.Event().wait()  # the client stays

        async def send(message):
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self.app(scope, receive, send)
        return statuses[0]


@functools.cache
def server() -> Server:
    return Server()


@target(_request_seeds)
def requests(data: bytes) -> None:
    """Send a request; the first two bytes choose the address and the type of the body.

    Before the body of a binary tensor request come two bytes with the length of its JSON part.
    """
    if len(data) < 4:
        return
    path, media = _ADDRESSES[data[0] % len(_ADDRESSES)], _MEDIA[data[1] % len(_MEDIA)]
    headers, body = {"content-type": media}, data[2:]
    if path.startswith("/v2") and media == "application/octet-stream":
        headers["inference-header-content-length"] = str(int.from_bytes(data[2:4], "big"))
        body = data[4:]
    with refusals():
        status = server().status(path, headers, body)
    if status >= 400:
        REFUSED.append(f"{status} of {path}")
    faults, server().faults = server().faults, []
    assert not faults, faults
    assert 200 <= status < 500, f"{status} of {path}"
