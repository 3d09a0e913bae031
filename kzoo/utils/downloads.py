"""Downloads by HTTP that resume, stop at the stated size, and are compared with a sha256. Standard library only.

http:// is accepted for this machine and private networks only, where no stranger can change what is sent. A redirect
leads neither from https to http nor from a public host into a private network.
"""

import errno
import hashlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kzoo.utils.errors import DownloadError, KzooError
from kzoo.utils.formatting import first_line, in_bytes

TIMEOUT = 20.0  # seconds without a response
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of a disk, a quota, and the largest file allowed
_REDIRECTS = 5
_ATTEMPTS = 4  # that bring no further byte
_BLOCK = 1 << 18  # bytes
_TEMPORARY = (
    408,
    425,
    429,
    500,
    502,
    503,
    504,
)  # status codes after which another attempt may succeed
_LINE_INTERVAL = 30  # seconds between two lines of progress

Report = Callable[[int], object]  # is called with the number of bytes of each block


class NotWritten(Exception):
    """A downloaded block could not be written; `error` is the `OSError`."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def write_whole(file: FileIO, block: bytes) -> None:
    """Write all bytes of a block to an unbuffered file, which may take only some of them at once.

    Raises:
        NotWritten: they could not be written.
    """
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise NotWritten(error) from None


def sync_file(file: FileIO) -> None:
    """Wait until the disk has what was written to a file.

    Raises:
        NotWritten: the disk reports an error.
    """
    try:
        os.fsync(file.fileno())
    except OSError as error:
        raise NotWritten(error) from None


def is_private(host: str) -> bool:
    """Return whether a host is this machine or in a private network; False if its addresses are unknown."""
    ipaddress, socket = map(import_module, ("ipaddress", "socket"))
    try:
        texts = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
        addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in texts]
    except (OSError, ValueError):
        return False
    return bool(addresses) and all(
        address.is_private or address.is_loopback or address.is_link_local for address in addresses
    )


def open_url(
    url: str, headers: Mapping[str, str] | None = None, *, timeout: float = TIMEOUT
) -> Any:
    """Open a URL and return the response.

    Args:
        url: `https://...`; or `http://...` of this machine or a private network.
        headers: of the request.
        timeout: seconds without a response.

    Raises:
        DownloadError: http:// of a public host, or a redirect that is refused.
        OSError: no connection, or an error of the server (`urllib.error.HTTPError`).
    """
    request_module = import_module("urllib.request")
    start = urlsplit(url)
    is_start_private = is_private(start.hostname or "")
    if start.scheme != "https" and not is_start_private:
        raise DownloadError(
            f"{url} is refused: http:// is for this machine and private networks only, because anybody on the way "
            "can change what it sends. Use https://."
        )

    class Redirects(request_module.HTTPRedirectHandler):  # type: ignore[name-defined]
        max_redirections = _REDIRECTS

        def redirect_request(self, request: Any, *arguments: Any) -> Any:
            target = urlsplit(arguments[-1])
            named = f"{target.scheme}://{target.hostname}"
            is_safe = target.scheme == "https" or (
                target.scheme == start.scheme and is_private(target.hostname or "")
            )
            if not is_safe or (not is_start_private and is_private(target.hostname or "")):
                raise DownloadError(
                    f"{url} is refused: it redirects to {named}, which is not as safe. Use the address of the files "
                    "themselves."
                )
            return super().redirect_request(request, *arguments)

    handlers = [Redirects]
    if is_start_private:  # a proxy does not know this network
        handlers.append(request_module.ProxyHandler({}))
    opener = request_module.build_opener(*handlers)
    opener.addheaders = [("User-Agent", "kzoo")]
    headers = {"Accept-Encoding": "identity"} | dict(headers or {})
    return opener.open(request_module.Request(url, headers=headers), timeout=timeout)


def read_url(url: str, most: int) -> bytes:
    """Return the content of a small file.

    Args:
        url: see `open_url`.
        most: bytes that it may have.

    Raises:
        DownloadError: it cannot be read, or it is larger.
    """
    try:
        with open_url(url) as response:
            content = response.read(most + 1)
    except (KzooError, OSError, ValueError, import_module("http.client").HTTPException) as error:
        raise _failure(url, error) from None
    if len(content) > most:
        raise DownloadError(f"{url} is refused: it is larger than {in_bytes(most)}.")
    return content


def download(
    url: str,
    path: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    report: Report = lambda count: None,
    timeout: float = TIMEOUT,
) -> None:
    """Download a file; what `path` has already is not sent again if the server can continue there.

    Args:
        url: see `open_url`.
        path: the file to write or to continue. Only one process may write it.
        size: its bytes; None if they are unknown.
        sha256: its checksum, or None.
        report: is called with the number of bytes of each block, also of those that `path` had.
        timeout: seconds without a response.

    Raises:
        DownloadError: it cannot be read, or its size or its checksum is another one; then the file is removed.
        NotWritten: a block could not be written.
    """
    failures, most = 0, 0
    with open(path, "ab", buffering=0) as file:
        if size is not None and file.tell() > size:
            _restart(file)
        most = file.tell()
        report(most)
        while size is None or file.tell() < size:
            try:
                if _append(url, file, size, report, most, timeout):
                    break
                error: Exception = ConnectionError("the connection broke")
            except (
                KzooError,
                OSError,
                ValueError,
                import_module("http.client").HTTPException,
            ) as reason:
                if isinstance(reason, DownloadError) or not _is_temporary(reason):
                    raise _failure(url, reason) from None
                error = reason
            if file.tell() > most:
                failures, most = 0, file.tell()
                continue
            failures += 1
            if failures == _ATTEMPTS:
                raise _failure(url, error)
            time.sleep(0.1 * 2**failures)
        sync_file(file)
    if sha256 is None:
        return
    with open(path, "rb") as written:
        actual = hashlib.file_digest(written, "sha256").hexdigest()
    if actual != sha256:
        path.unlink()
        raise DownloadError(
            f"{url} was changed: its sha256 is {actual}, not {sha256}. Ask its owner which one is right."
        )


def _append(
    url: str, file: FileIO, size: int | None, report: Report, most: int, timeout: float
) -> bool:
    """Append what is missing; return whether the file is complete."""
    start = file.tell()
    with open_url(url, {"Range": f"bytes={start}-"} if start else {}, timeout=timeout) as response:
        continues = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if start and not (response.status == 206 and continues):
            _restart(file)  # the server sends all of it
        length = response.headers.get("Content-Length", "")
        expected = file.tell() + int(length) if length.isdigit() else size
        while block := response.read1(_BLOCK):  # what has come, which is kept if nothing follows
            if size is not None and file.tell() + len(block) > size:
                _restart(file)
                raise DownloadError(
                    f"{url} was changed: it is larger than {size:,} bytes. Ask its owner which one is right."
                )
            write_whole(file, block)
            report(max(0, file.tell() - most))
            most = max(most, file.tell())
    return expected is None or file.tell() == expected


def _restart(file: FileIO) -> None:
    file.truncate(0)
    file.seek(0)


def _is_temporary(error: Exception) -> bool:
    status = getattr(error, "code", None)
    reason = getattr(error, "reason", None)
    # an unknown host, or a certificate that is not trusted, does not change within seconds
    is_final = type(reason).__name__ in ("gaierror", "SSLCertVerificationError")
    is_final |= isinstance(reason, ConnectionRefusedError)
    if isinstance(error, ValueError):
        return False
    return not is_final if status is None else status in _TEMPORARY


def _failure(url: str, error: Exception) -> DownloadError:
    if isinstance(error, DownloadError):
        return error
    status = getattr(error, "code", None)
    reason = getattr(error, "reason", None) or error
    text = (
        f"the server answers {status} {reason}"
        if status is not None
        else "the server did not answer in time"
        if isinstance(reason, TimeoutError)
        else str(getattr(reason, "strerror", None) or "")
        or first_line(reason if isinstance(reason, BaseException) else error)
    )
    return DownloadError(f"{url} cannot be downloaded: {text}.", reason=text)


class Progress:
    """Shows how much of a download is done: a line that changes on a terminal, otherwise a line every 30 seconds.

    Args:
        label: what is downloaded.
        total: bytes.
    """

    def __init__(self, label: str, total: int) -> None:
        self._label, self._total = label, total
        self._done = 0
        self._is_terminal = sys.stderr.isatty()
        self._next = time.monotonic() + (1 if self._is_terminal else _LINE_INTERVAL)
        self._shown = False

    def __call__(self, count: int) -> None:
        """Add bytes."""
        self._done += count
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (0.2 if self._is_terminal else _LINE_INTERVAL)
        self._shown = True
        text = f"{self._label}: {in_bytes(self._done)} of {in_bytes(self._total)}"
        if self._is_terminal:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr)

    def close(self) -> None:
        """Remove the line from the terminal."""
        if self._shown and self._is_terminal:
            with suppress(OSError):
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
