"""Data sets of the Hugging Face Hub, from a small server of its protocol."""

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from cloud.test_data import same, table
from hub.file_server import running
from messages import refuses

import kzoo
from kzoo.utils.address import local_data

pytest.importorskip("huggingface_hub")
pytest.importorskip("fsspec")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class DataSetServer:
    """Serves the files of the data set "me/shop".

    Attributes:
        files: path -> content.
        status: of all answers, in place of them; None for none.
        read: paths of the files that were read.
    """

    def __init__(self):
        self.files, self.status, self.read = {}, None, []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, handler):
        words = [unquote(word) for word in urlsplit(handler.path).path.strip("/").split("/")]
        if self.status is not None:
            return self.send(handler, self.status, b"{}")
        if words[:4] == ["datasets", "me", "shop", "resolve"]:
            path = "/".join(words[5:])
            self.read.append(path)
            start, _, last = handler.headers["Range"].removeprefix("bytes=").partition("-")
            return self.send(handler, 206, self.files[path][int(start) : int(last) + 1])
        if words[:4] != ["api", "datasets", "me", "shop"]:
            return self.send(handler, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if words[4:5] != ["tree"]:
            facts = {"id": "me/shop", "sha": COMMIT, "siblings": []}
            return self.send(handler, 200, json.dumps(facts).encode())
        folder = "".join(f"{word}/" for word in words[6:])
        below = {path.removeprefix(folder) for path in self.files if path.startswith(folder)}
        rows = []
        parts = [path.split("/") for path in below]
        deepest = 1 if "recursive=true" not in handler.path else 9
        names = {"/".join(p[:n]) for p in parts for n in range(1, min(len(p), deepest) + 1)}
        for name in sorted(names):
            path = folder + name
            content = self.files.get(path, b"")
            kind = "file" if path in self.files else "directory"
            oid = hashlib.sha1(content).hexdigest()
            rows.append(dict(type=kind, path=path, size=len(content), oid=oid))
        if not rows:
            return self.send(handler, 404, b"{}", {"X-Error-Code": "EntryNotFound"})
        return self.send(handler, 200, json.dumps(rows).encode())

    def send(self, handler, status, content, headers=()):
        handler.send_response(status)
        for name, value in dict(headers).items():
            handler.send_header(name, value)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants

    with running(DataSetServer()) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            server.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        yield server


def test_a_data_set_of_the_hub(hub, impatient):
    table("churn.csv")
    hub.files = {
        "data/churn.csv": Path("churn.csv").read_bytes(),
        "data/more/other.csv": b"x",
        "README.md": b"read me",
    }
    same(
        kzoo.load_data("hf://datasets/me/shop/data/churn.csv", target="churned"),
        kzoo.load_data("churn.csv", target="churned"),
    )
    assert hub.read == ["data/churn.csv"]
    folder = local_data(f"hf://datasets/me/shop@{COMMIT[:7]}/data")
    assert sorted(path.name for path in folder.rglob("*.csv")) == ["churn.csv", "other.csv"]
    etags = folder.recorded["etags"]
    assert etags["more/other.csv"] == hashlib.sha1(b"x").hexdigest()
    with refuses("hf://datasets/me/shop/no.csv", "does not exist"):
        local_data("hf://datasets/me/shop/no.csv")
    with refuses("hf://datasets/me/none/no.csv", "does not exist"):
        local_data("hf://datasets/me/none/no.csv")
    hub.status = 403
    with refuses("hf://datasets/me/shop", "permission", "hf auth login"):
        local_data("hf://datasets/me/shop/data/churn.csv")
