"""Storage: a folder on this machine, the objects below a prefix of a bucket, or files on a web server.

`storage_of` opens it. All kinds have the same methods; names are relative, with "/". Standard library only: the clients
of buckets are opened by `fsspec` (extra `cloud`) when they are needed.
"""

import errno
import io
import os
import re
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from kzoo.cloud.errors import as_kzoo_error, retried
from kzoo.utils.address import RemoteAddress, is_remote_address, parse_remote_address
from kzoo.utils.downloads import open_url
from kzoo.utils.errors import DownloadError, KzooError
from kzoo.utils.files import check_regular, expand_user, leftovers, whole_file
from kzoo.utils.formatting import in_bytes, shown
from kzoo.utils.optional import missing

BLOCK = 4 << 20  # bytes of a request
AHEAD = 4  # blocks that are requested before they are read
_TIMEOUT = 20.0  # seconds without a response of a web server
# What stands for the content of an object, the best first; an etag or a generation changes with every write.
_VERSIONS = (
    "ETag",
    "etag",
    "generation",
    "blob_id",
    "content_md5",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
    "created",
)
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "hf": "huggingface_hub"}
_EXTRAS = {"hf": "hub"}


@dataclass(frozen=True)
class StoredObject:
    """An object or a file in a storage.

    Args:
        name: relative to the storage, with "/".
        size: bytes.
        version: changes with the content: the etag or the generation of an object; size and time of change of a file.
    """

    name: str
    size: int
    version: str


Objects: TypeAlias = list[StoredObject]


class Storage(ABC):
    """A folder, or what lies below an address. It can be pickled, and opens its client where it is used.

    Args:
        word: the folder or the address, as messages show it.
    """

    def __init__(self, word: str) -> None:
        self.word = word

    def __str__(self) -> str:
        return self.word

    def address_of(self, name: str) -> str:
        """Return the address or the path of an object."""
        return f"{self.word.rstrip('/')}/{name}" if name else self.word

    @abstractmethod
    def list(self, pattern: re.Pattern[str] | None = None) -> Objects:
        """Return all objects below, sorted by name; none if the folder does not exist.

        Args:
            pattern: of the names; None for all.

        Raises:
            KzooError: it cannot be read, or an object has a name that is no path on this machine.
        """

    @abstractmethod
    def stat(self, name: str) -> StoredObject | None:
        """Return an object; None if there is none of this name.

        Raises:
            KzooError: it cannot be read.
        """

    @abstractmethod
    def open(self, name: str, version: str | None = None) -> BinaryIO:
        """Open an object for reading. It is read ahead, and goes on where a connection broke.

        Args:
            name: of the object.
            version: that it must have; None for the present one.

        Raises:
            KzooError: it does not exist, cannot be read, or has another version, also later while it is read.
        """

    def read(self, name: str, most: int) -> bytes:
        """Return the content of a small object.

        Args:
            name: of the object.
            most: bytes that it may have.

        Raises:
            KzooError: it cannot be read, or it is larger.
        """
        with self.open(name) as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise KzooError(
                f"{self.address_of(name)} is refused: it is larger than {in_bytes(most)}."
            )
        return content

    @abstractmethod
    def put(self, name: str, path: str | os.PathLike[str]) -> None:
        """Write a file as an object, whole or not at all.

        Raises:
            KzooError: it cannot be written.
        """

    def put_bytes(self, name: str, content: bytes) -> None:
        """Write an object, whole or not at all.

        Raises:
            KzooError: it cannot be written.
        """
        handle, path = tempfile.mkstemp(prefix="kzoo-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            self.put(name, path)
        finally:
            os.unlink(path)

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove an object; one that does not exist is none the less gone.

        Raises:
            KzooError: it cannot be removed.
        """

    def stream(self, entry: StoredObject, start: int) -> "io.BufferedReader":
        """Open an object at a position. Its version is not compared: the caller does it for all objects at once.

        Args:
            entry: as it was listed.
            start: bytes that are skipped.

        Raises:
            KzooError: it cannot be read.
        """
        file: Any = self.open(entry.name)
        file.seek(start)
        return file

    def changed(self, name: str, version: str, now: StoredObject | None) -> KzooError:
        """Return the error of an object that has another version now, or is gone."""
        present = "it is gone" if now is None else f"it is now {now.version!r}"
        return KzooError(
            f"{self.address_of(name)} was changed: its version was {version!r}, and {present}. Run the same command "
            "again to read the new one."
        )


def storage_of(word: str | os.PathLike[str]) -> Storage:
    """Return the storage of an address or of a folder on this machine; nothing is read yet.

    Raises:
        KzooError: the address is not valid, or the package for it is not installed.
    """
    if not is_remote_address(word):
        return FolderStorage(Path(expand_user(word)))
    address = parse_remote_address(word)
    if address.is_pattern:
        raise KzooError(f"{str(address)!r} is a pattern. Write the folder itself.", value=word)
    return storage_at(address)


def storage_at(address: RemoteAddress) -> Storage:
    """Return the storage of a parsed address; nothing is read yet."""
    if address.scheme in ("https", "http"):
        return WebStorage(address)
    return BucketStorage(address)


def checked_name(name: str, where: str) -> str:
    """Return a name that is a path below a folder on any machine.

    Raises:
        KzooError: it is absolute, or has "..", an empty part, a backslash, or control characters.
    """
    parts = name.split("/")
    if (
        not name.isprintable()
        or "\\" in name
        or {"", ".", ".."} & set(parts)
        or (os.name == "nt" and ":" in name)
    ):
        raise KzooError(
            f"{where} has an object with the name {shown(name)}, which is no path on this machine. Rename it, or "
            "name another folder or a pattern without it."
        )
    return name


class FolderStorage(Storage):
    """A folder on this machine.

    Args:
        folder: its path; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.folder = folder

    def _path(self, name: str) -> Path:
        return self.folder / checked_name(name, self.word)

    def list(self, pattern: re.Pattern[str] | None = None) -> Objects:
        objects = []
        for folder, _, files in os.walk(self.folder):
            temporary = {path.name for path in leftovers(folder)}
            for file in files:
                path = Path(folder, file)
                name = _relative(path, self.folder)
                if file in temporary or (pattern and not pattern.fullmatch(name)):
                    continue
                if entry := self.stat(name):
                    objects.append(entry)
        return sorted(objects, key=lambda entry: entry.name)

    def stat(self, name: str) -> StoredObject | None:
        path = self._path(name)
        try:
            facts = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failure(name, error) from None
        return None if path.is_dir() else _of_file(name, facts)

    def open(self, name: str, version: str | None = None) -> BinaryIO:
        path = self._path(name)
        check_regular(path)
        try:
            file = open(path, "rb")  # noqa: SIM115
        except OSError as error:
            raise self._failure(name, error) from None
        now = _of_file(name, os.fstat(file.fileno()))
        if version is not None and now.version != version:
            file.close()
            raise self.changed(name, version, now)
        return file

    def put(self, name: str, path: str | os.PathLike[str]) -> None:
        target = self._path(name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target) as temporary:
                shutil.copyfile(path, temporary)
        except OSError as error:
            raise self._failure(name, error) from None

    def remove(self, name: str) -> None:
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise self._failure(name, error) from None

    def _failure(self, name: str, error: OSError) -> KzooError:
        return KzooError(
            f"{self.address_of(name)}: {(error.strerror or str(error)).lower()}. Check the folder, its rights and its "
            "free space."
        )


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _of_file(name: str, facts: os.stat_result) -> StoredObject:
    return StoredObject(name, facts.st_size, f"{facts.st_size}-{facts.st_mtime_ns}")


class _RemoteStorage(Storage):
    """What is read by requests of ranges of bytes."""

    def __init__(self, address: RemoteAddress) -> None:
        super().__init__(str(address))
        self.address = address

    @abstractmethod
    def range(self, name: str, start: int, end: int) -> bytes:
        """Return bytes of an object, as they are now; fewer if a connection broke.

        Raises:
            Exception: of the client.
        """

    def block(self, entry: StoredObject, start: int, end: int) -> bytes:
        """Return bytes of a version of an object; a request that broke goes on at the byte where it did.

        Raises:
            KzooError: they cannot be read, or the object was changed.
        """
        content = b""

        def rest() -> None:
            nonlocal content
            content += self.range(entry.name, start + len(content), end)
            if len(content) != end - start:
                raise ConnectionError("the connection broke")

        try:
            retried(rest, self.address_of(entry.name))
        except (FileNotFoundError, KzooError) as problem:
            # A shorter object has no such bytes.
            if isinstance(problem, DownloadError | FileNotFoundError) or "refused" in str(problem):
                self.check_version(entry)
            if isinstance(problem, FileNotFoundError):
                raise self.changed(entry.name, entry.version, None) from None
            raise
        return content

    def check_version(self, entry: StoredObject) -> None:
        """Raise KzooError if an object has another version now."""
        now = self.stat(entry.name)
        if now != entry:
            raise self.changed(entry.name, entry.version, now)

    def open(self, name: str, version: str | None = None) -> BinaryIO:
        entry = self.stat(name)
        if entry is None:
            if version is not None:
                raise self.changed(name, version, None)
            raise KzooError(f"{self.address_of(name)} does not exist. Check the address.")
        if version is not None and entry.version != version:
            raise self.changed(name, version, entry)
        return io.BufferedReader(_Stream(self, entry), 1 << 16)

    def stream(self, entry: StoredObject, start: int) -> "io.BufferedReader":
        stream = _Stream(self, entry, compares=False)
        stream.seek(start)
        return io.BufferedReader(stream, 1 << 16)


class _Stream(io.RawIOBase):
    """Reads a version of an object in blocks, of which the next are requested while one is read.

    Args:
        storage: of the object.
        entry: the object.
        compares: whether each block is followed by a look at the version, so that no file is made of two.
    """

    def __init__(
        self, storage: _RemoteStorage, entry: StoredObject, *, compares: bool = True
    ) -> None:
        super().__init__()
        self._storage, self._entry, self._compares = storage, entry, compares
        self._position = 0
        self._requests: dict[int, Future[bytes]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._last = -1  # number of the block that was read last
        self._block = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._entry.size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, "a position before the start of the file")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position >= self._entry.size or not len(buffer):
            return 0
        number, start = divmod(self._position, BLOCK)
        if number != self._last:
            self._block = self._read_block(number)
        piece = self._block[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _read_block(self, number: int) -> bytes:
        is_next = number == self._last + 1 or not self._compares
        self._last = number
        last = (self._entry.size - 1) // BLOCK
        wanted = range(number, min(number + (AHEAD if is_next else 0), last) + 1)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="kzoo-cloud")
        for old in [key for key in self._requests if key not in wanted]:
            self._requests.pop(old).cancel()
        for key in wanted:
            if key not in self._requests:
                self._requests[key] = self._pool.submit(self._request, key)
        return self._requests.pop(number).result()

    def _request(self, number: int) -> bytes:
        start = number * BLOCK
        content = self._storage.block(self._entry, start, min(start + BLOCK, self._entry.size))
        if self._compares:
            self._storage.check_version(self._entry)
        return content

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool, self._requests, self._block, self._last = None, {}, b"", -1
        super().close()


class BucketStorage(_RemoteStorage):
    """The objects below a prefix of a bucket, through `fsspec` and the client that it has for the scheme.

    Credentials and endpoint are those of the client's own configuration.

    Args:
        address: the prefix.
    """

    def __init__(self, address: RemoteAddress) -> None:
        super().__init__(address)
        self._client: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_client": None}

    @property
    def client(self) -> Any:
        """The client, an `fsspec` file system.

        Raises:
            KzooError: it is not installed, or cannot be made.
        """
        if self._client is None:
            scheme = self.address.scheme
            try:
                fsspec = import_module("fsspec")
                make = fsspec.get_filesystem_class(scheme)
            except (ImportError, ValueError):
                extra = _EXTRAS.get(scheme, "cloud")
                raise KzooError(
                    f"{self.word}: {missing(_PACKAGES.get(scheme, 'fsspec'), extra)}"
                ) from None
            _quiet(scheme)
            try:
                # Its cache of listings would hide what changed.
                self._client = make(use_listings_cache=False, skip_instance_cache=True)
            except Exception as error:
                raise as_kzoo_error(error, self.word) from None
            if scheme == "s3":
                self._client.retries = (
                    1  # its own come on top of those of kzoo and of its HTTP client
                )
        return self._client

    def _key(self, name: str) -> str:
        base = "/".join(filter(None, (self.address.bucket, self.address.key)))
        return f"{base}/{checked_name(name, self.word)}" if name else base

    def _retried(self, name: str, action: Callable[[], Any]) -> Any:
        return retried(action, self.address_of(name))

    def list(self, pattern: re.Pattern[str] | None = None) -> Objects:
        client, base = self.client, self._key("")

        def find() -> Mapping[str, Mapping[str, Any]]:
            client.invalidate_cache()
            return client.find(base, detail=True)

        try:
            infos = self._retried("", find)
        except FileNotFoundError:
            return []
        objects = []
        for key, info in infos.items():
            name = str(key).removeprefix("/").removeprefix(base).removeprefix("/")
            if pattern and not pattern.fullmatch(name):
                continue
            # "folder/" is the mark of an empty folder.
            if name and not name.endswith("/") and info.get("type", "file") == "file":
                objects.append(_of_info(checked_name(name, self.word), info))
        return sorted(objects, key=lambda entry: entry.name)

    def stat(self, name: str) -> StoredObject | None:
        client, key = self.client, self._key(name)

        def info() -> Mapping[str, Any]:
            client.invalidate_cache()
            return client.info(key)

        try:
            facts = self._retried(name, info)
        except FileNotFoundError:
            return None
        except DownloadError:
            raise
        except KzooError:  # an answer to HEAD has no words; that to a listing says why
            with suppress(FileNotFoundError):
                self._retried(name, lambda: client.find(key))
            raise
        return _of_info(name, facts) if facts.get("type", "file") == "file" else None

    def range(self, name: str, start: int, end: int) -> bytes:
        return self.client.cat_file(self._key(name), start=start, end=end)

    def put(self, name: str, path: str | os.PathLike[str]) -> None:
        client, key = self.client, self._key(name)
        self._written(name, lambda: client.put_file(os.fspath(path), key))

    def put_bytes(self, name: str, content: bytes) -> None:
        client, key = self.client, self._key(name)
        self._written(name, lambda: client.pipe_file(key, content))

    def _written(self, name: str, action: Callable[[], Any]) -> None:
        try:
            self._retried(name, action)
        except FileNotFoundError:
            raise KzooError(
                f"{self.address_of(name)} cannot be written: there is no {self.address.at('')}. Create it, or check "
                "the address."
            ) from None

    def remove(self, name: str) -> None:
        client, key = self.client, self._key(name)
        with suppress(FileNotFoundError):
            self._retried(name, lambda: client.rm_file(key))


def _quiet(scheme: str) -> None:
    """Keep the logs of clients from the terminal: they repeat errors with a traceback, and may show requests."""
    logging = import_module("logging")
    for name in ("gcsfs", "s3fs", "adlfs", "azure", "asyncio", "aiobotocore", "botocore"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)


def _of_info(name: str, info: Mapping[str, Any]) -> StoredObject:
    """Return an object from what a client says of it."""
    lfs = info.get("lfs")
    sha256 = lfs.get("sha256") if isinstance(lfs, dict) else getattr(lfs, "sha256", None)
    version = sha256 or next((info[key] for key in _VERSIONS if info.get(key)), None)
    text = version.hex() if isinstance(version, bytes | bytearray) else str(version)
    return StoredObject(name, int(info.get("size") or 0), text.strip('"'))


class WebStorage(_RemoteStorage):
    """Files on a web server. It lists nothing, and nothing is written to it.

    Args:
        address: the folder.
    """

    def address_of(self, name: str) -> str:
        return self.address.at("/".join(filter(None, (self.address.key, name)))).url

    def list(self, pattern: re.Pattern[str] | None = None) -> Objects:
        raise KzooError(
            f"{self.word} is a folder of a web server, which does not list its files. Name a file, such as "
            f"{self.word.rstrip('/')}/data.parquet, or a .tar, .zip or .npz file with all of them."
        )

    def stat(self, name: str) -> StoredObject | None:
        url = self.address_of(checked_name(name, self.word))

        def ask() -> StoredObject:
            # Servers that refuse HEAD answer a request of the first byte.
            with open_url(url, {"Range": "bytes=0-0"}, timeout=_TIMEOUT) as response:
                headers = response.headers
                total = headers.get("Content-Range", "").rpartition("/")[2]
                size = total if response.status == 206 else headers.get("Content-Length", "")
                kind = headers.get("ETag") or headers.get("Last-Modified") or ""
                if not size.isdigit():
                    raise KzooError(
                        f"{url} is refused: the server does not say how large it is. Download it, and name the file."
                    )
                return StoredObject(name, int(size), kind.removeprefix("W/").strip('"'))

        try:
            return retried(lambda: _empty_if_no_range(ask, name), url)
        except FileNotFoundError:
            return None

    def range(self, name: str, start: int, end: int) -> bytes:
        headers = {"Range": f"bytes={start}-{end - 1}"}
        with open_url(self.address_of(name), headers, timeout=_TIMEOUT) as response:
            skipped = start if response.status == 200 else 0  # it sends all of it
            content = b""
            with suppress(
                import_module("http.client").IncompleteRead, ConnectionError, TimeoutError
            ):
                while skipped and (piece := response.read1(min(skipped, BLOCK))):
                    skipped -= len(piece)
                while len(content) < end - start and (
                    piece := response.read1(end - start - len(content))
                ):
                    content += piece
            return content

    def put(self, name: str, path: str | os.PathLike[str]) -> None:
        raise self._read_only()

    def remove(self, name: str) -> None:
        raise self._read_only()

    def _read_only(self) -> KzooError:
        return KzooError(
            f"{self.word} is a web server, to which nothing is written. Use a bucket, such as s3://bucket/path, or a "
            "folder."
        )


def _empty_if_no_range(ask: Callable[[], StoredObject], name: str) -> StoredObject:
    """Return an empty file if a server says that it has no first byte (416)."""
    try:
        return ask()
    except OSError as error:
        if getattr(error, "code", None) == 416:
            headers = getattr(error, "headers", {})
            return StoredObject(name, 0, str(headers.get("ETag") or "").strip('"'))
        raise


def split_pattern(key: str) -> tuple[str, re.Pattern[str]]:
    """Return the folder in front of a pattern of keys, and a regular expression for the names below it.

    `*` and `?` stop at "/", and `**/` is any number of folders, as for patterns of local files.
    """
    parts = key.split("/")
    first = next(i for i, part in enumerate(parts) if set(part) & set("*?["))
    expression = ""
    for position, part in enumerate(parts[first:], first):
        is_last = position == len(parts) - 1
        if part == "**":
            expression += ".*" if is_last else r"(?:(?!\.)[^/]+/)*"
        else:
            expression += _expression(part) + ("" if is_last else "/")
    return "/".join(parts[:first]), re.compile(expression)


def _expression(part: str) -> str:
    """Return a part of a pattern as a regular expression."""
    expression = r"(?!\.)" if part[:1] in "*?[" else ""  # hidden files, as for local patterns
    for piece in re.split(r"(\*|\?|\[!?\]?[^\]/]*\])", part):
        if piece[:1] == "[" and piece[-1:] == "]" and len(piece) > 2:
            body = re.sub(r"([\\^\[])", r"\\\1", piece[1:-1].removeprefix("!"))
            expression += f"[{'^' if piece[1] == '!' else ''}{body}]"
        else:
            expression += {"*": "[^/]*", "?": "[^/]"}.get(piece, re.escape(piece))
    return expression
