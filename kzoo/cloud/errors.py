"""Errors of storage clients as `KzooError`: one line with the address and the fix, without a secret.

Temporary ones (no connection, a busy server) are retried. Standard library only.
"""

import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from kzoo.utils.downloads import FULL, NotWritten
from kzoo.utils.errors import DownloadError, KzooError
from kzoo.utils.formatting import first_line

_R = TypeVar("_R")
ATTEMPTS = 6
_LONGEST_WAIT = 10  # seconds
# No connection at all: an address or an endpoint that is wrong does not answer a little later either.
_NO_CONNECTION = {"ConnectionRefusedError", "gaierror", "ClientConnectorCertificateError"}
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)
_BUSY = ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "ServerBusy")
_BROKEN = {"ClientPayloadError", "ContentLengthError", "IncompleteRead", "IncompleteReadError"}
_UNSIGNED = ("NoCredentials", "DefaultCredentialsError", "PartialCredentials", "ProfileNotFound")
_NOT_SET = re.compile("Unable to locate credentials|unable to connect to account")
_EXPIRED = re.compile(r"expired|TokenRefreshRequired|RefreshError", re.I)
_ENVIRONMENT = re.compile(r"SECRET|TOKEN|PASSWORD|_KEY|CONNECTION_STRING|SAS", re.I)
_SECRET = re.compile(
    r"((?:X-(?:Amz|Goog)-[\w-]+|sig|signature|AccountKey|SharedAccessSignature|password|secret|token|api_?key|"
    r"authorization)\s*[=:]\s*)(?:Bearer\s+|AWS4\S*\s+)?[^\s&;,'\"]+",
    re.I,
)
_LOGIN = {
    "s3": "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "Run: gcloud auth application-default login",
    "az": "Set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and run: az login",
    "hf": "Run: hf auth login",
}


class TemporaryError(DownloadError):
    """The storage cannot be reached, or is busy; the same call may succeed later."""


def scrubbed(text: object) -> str:
    """Return the first line of a message without secrets: those of the environment, signatures, keys, passwords."""
    line = first_line(text) if isinstance(text, BaseException) else str(text).partition("\n")[0]
    line = re.sub(r"(://)[^\s/@]*@", r"\1...@", line)
    line = _SECRET.sub(r"\1...", line)
    for name, value in os.environ.items():
        if _ENVIRONMENT.search(name) and len(value) >= 6:
            line = line.replace(value, "...")
    return line if len(line) <= 200 else f"{line[:199]}…"


def retried(action: Callable[[], _R], address: str) -> _R:
    """Return what an action returns; temporary errors are retried after a while.

    Args:
        action: a call of a storage client.
        address: what it reads or writes, for messages.

    Raises:
        FileNotFoundError: the object, or its bucket, does not exist.
        KzooError: any other error.
        NotWritten: a file of this machine could not be written.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except FileNotFoundError:
            raise
        except Exception as error:
            problem = as_kzoo_error(error, address)
            if isinstance(problem, FileNotFoundError):
                raise problem from None
            if not isinstance(problem, TemporaryError) or attempt == ATTEMPTS:
                raise problem from None
        time.sleep(min(0.1 * 3**attempt, _LONGEST_WAIT))
    raise AssertionError  # not reached


def as_kzoo_error(error: Exception, address: str) -> Exception:
    """Return an error of a storage client as a `KzooError`, `FileNotFoundError` or `NotWritten`."""
    if isinstance(error, KzooError | NotWritten):
        return error
    chain = [*_chain(error)]
    status = next(filter(None, map(_status, chain)), None)
    names = {type(each).__name__ for each in chain}
    text = scrubbed(error) or type(error).__name__
    words = f"{text} {_code(chain)}"
    scheme = address.partition("://")[0]
    login = _LOGIN.get(scheme, "Check the credentials")
    is_local = isinstance(error, OSError) and status is None and error.errno in FULL
    if is_local and isinstance(error, OSError):
        return NotWritten(error)
    if names & _BROKEN:  # aiohttp calls it 400
        status = None
    elif isinstance(error, FileNotFoundError) or status == 404 or "NoSuch" in _code(chain):
        return FileNotFoundError(errno.ENOENT, "does not exist", address)
    if any(name.startswith(_UNSIGNED) for name in names) or _NOT_SET.search(text):
        public = {"s3": "FSSPEC_S3_ANON=true", "gs": "FSSPEC_GS_TOKEN=anon"}.get(scheme, "")
        public = f"; for public data: {public}" if public else ""
        return KzooError(f"{address} needs credentials, and none are set. {login}{public}.")
    if _EXPIRED.search(words):
        return KzooError(
            f"{address}: the credentials have expired. Renew them, and run the same command."
        )
    if (
        isinstance(error, PermissionError)
        or status in (401, 403)
        or text.startswith("Forbidden")
        or "ClientAuthenticationError" in names
    ):
        return KzooError(
            f"{address}: no permission ({text}). Ask its owner for access, or use other credentials. {login}."
        )
    if status is not None and status not in _TEMPORARY:
        return KzooError(f"{address} is refused ({status}): {text.rstrip('.')}. Check the address.")
    if isinstance(error, ValueError | TypeError | NotImplementedError | ImportError):
        return KzooError(f"{address} cannot be read: {text.rstrip('.')}. Check the address.")
    is_invalid = isinstance(error, OSError) and error.errno == errno.EINVAL
    if isinstance(error, RecursionError) or (is_invalid and not _is_busy(words)):
        return KzooError(f"{address} is refused: {text.rstrip('.')}. Check the address.")
    kind = DownloadError if names & _NO_CONNECTION else TemporaryError
    return kind(
        f"{address} cannot be reached: {text.rstrip('.')}. Check the connection and the endpoint, and run the same "
        "command again.",
        reason=text,
    )


def _is_busy(words: str) -> bool:
    return any(name in words for name in _BUSY)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    met: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in met:
        met.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _status(error: BaseException) -> int | None:
    """Return the status code of an answer of a server; None without one."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(response, "status_code", None)
    for name in ("status_code", "code", "status"):
        status = status or getattr(error, name, None)
    text = str(status)
    return int(text) if text.isdigit() and 300 <= int(text) < 600 else None


def _code(chain: list[BaseException]) -> str:
    """Return the names that a server and a client give to an error."""
    names = []
    for error in chain:
        response = getattr(error, "response", None)
        code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
        names += [
            type(error).__name__,
            str(code or ""),
            str(getattr(error, "error_code", "") or ""),
        ]
    return " ".join(names)
