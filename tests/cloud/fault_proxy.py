"""An HTTP proxy in front of a server of objects, which breaks connections and answers with errors."""

import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

S3_ERROR = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>{code}</Code><Message>{message}</Message><RequestId>1</RequestId></Error>"""


class FaultProxy:
    """Forwards requests to a server.

    Args:
        target: its URL.

    Attributes:
        url: of the proxy.
        cuts: positions in an object at which answers break off, each once.
        statuses: status codes of the next answers, in place of the server's.
        refusal: (status, code, message) of S3 that answers every request; None for the server's answers.
        delay: seconds before each answer.
        before: function of (method, path) that is called before each request is forwarded.
        requests: (method, path, Range) of the requests so far.
        sent: bytes of the bodies that were sent.
    """

    def __init__(self, target):
        self.target = urlsplit(target).netloc
        self.cuts, self.statuses, self.requests = [], [], []
        self.refusal, self.before = None, lambda method, path: None
        self.delay, self.sent = 0, 0
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self):
                proxy.answer(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        method, path = handler.command, handler.path
        with self._lock:
            self.requests.append((method, path, handler.headers.get("Range")))
            status = self.statuses.pop(0) if self.statuses else None
        self.before(method, path)
        time.sleep(self.delay)
        if status is not None:
            code = {503: "SlowDown"}.get(status, "InternalError")
            return self._send(handler, status, S3_ERROR.format(code=code, message="later"))
        if self.refusal is not None:
            status, code, message = self.refusal
            return self._send(handler, status, S3_ERROR.format(code=code, message=message))
        connection = HTTPConnection(self.target, timeout=60)
        headers = {k: v for k, v in handler.headers.items() if k.lower() != "connection"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        handler.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in (
                "connection",
                "transfer-encoding",
                "content-length",
                "server",
                "date",
            ):
                handler.send_header(name, value)
        length = len(content) if method != "HEAD" else response.getheader("Content-Length") or 0
        handler.send_header("Content-Length", str(length))
        with self._lock:
            cut = None
            wanted = handler.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
            start = int(wanted or 0)
            inside = [at for at in self.cuts if wanted and start <= at < start + len(content)]
            if method == "GET" and inside:
                cut = inside[0] - start
                self.cuts.remove(inside[0])
        handler.end_headers()
        if cut is not None:
            handler.wfile.write(content[:cut])
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.shutdown(2)
            return None
        handler.wfile.write(content)
        with self._lock:
            self.sent += len(content)
        return None

    def _send(self, handler, status, text):
        content = b"" if handler.command == "HEAD" else text.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/xml")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
