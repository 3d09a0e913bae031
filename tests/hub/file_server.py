"""A small HTTP server of files for tests: with Range, broken connections, wrong content and redirects."""

import hashlib
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


class FileServer:
    """Serves a folder on 127.0.0.1.

    Args:
        folder: what it serves.

    Attributes:
        cuts: numbers of bytes after which the next responses of files larger than them break off.
        ranges: whether it continues files where a request says.
        redirects: path -> the location to which it redirects.
        statuses: status codes of the next responses, in place of the files.
        requests: (path, Range) of the requests so far.
        stall: (path, bytes) of a file of which no more is sent; `stalled` is set then.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.cuts, self.statuses, self.requests = [], [], []
        self.ranges = True
        self.stall, self.stalled = None, threading.Event()
        self.redirects = {}
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
        path = unquote(handler.path)
        wanted = handler.headers.get("Range")
        self.requests.append((path, wanted))
        if self.statuses:
            handler.send_error(self.statuses.pop(0))
            return
        if path in self.redirects:
            handler.send_response(302)
            handler.send_header("Location", self.redirects[path])
            handler.end_headers()
            return
        file = self.folder / path.lstrip("/")
        if not file.is_file():
            handler.send_error(404)
            return
        content, start = file.read_bytes(), 0
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if wanted and self.ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, total = int(first), len(content)
            content = content[: int(last) + 1] if last else content
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{total}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.send_header("ETag", f'"{etag}"')
        handler.end_headers()
        content = content[start:]
        if self.stall and self.stall[0] == path:
            handler.wfile.write(content[: self.stall[1]])
            handler.wfile.flush()
            self.stalled.set()
            with suppress(OSError):
                handler.connection.recv(1)  # until the client is gone
            return
        if self.cuts and len(content) > self.cuts[0]:
            handler.wfile.write(content[: self.cuts.pop(0)])
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.shutdown(2)
            return
        handler.wfile.write(content)


@contextmanager
def running(server):
    """Run the HTTP server of a test server in a thread, and yield the latter."""
    thread = threading.Thread(target=server.http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()


def serving(folder):
    """Run a `FileServer` in a block."""
    return running(FileServer(folder))
