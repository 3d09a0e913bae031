"""Addresses that are not paths: of models on hubs, and of data. The only parser of them. Standard library only.

Models: `hub:PLACE/NAME[@REVISION]`. A place is a folder, `https://host/path`, `http://host/path` of this machine or a
private network, or `hf://USER`. A scheme is an entry of `_SCHEMES`. Data: `s3://bucket/key`; its schemes are the
entries of `_DATA_SCHEMES`.
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import SplitResult, quote, urlsplit

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import in_bytes, listed, shown
from kzoo.utils.table_path import DATABASE, TablePath

_HUB = "hub:"
FOLDER = "folder"  # the scheme of a place without one
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,20})://(.*)", re.S)
# A name is also that of a folder on any system, and a part of a URL.
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_-])?")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.I)  # file names on Windows
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_COMMIT = re.compile("[0-9a-f]{7,64}")  # or the start of one
_FORM = "Write hub:PLACE/NAME or hub:PLACE/NAME@REVISION"


@dataclass(frozen=True)
class Place:
    """Where the models of a hub lie.

    Args:
        scheme: `FOLDER`, or a name of `_SCHEMES`, such as "https".
        path: the folder; otherwise what follows `scheme://`, without a slash at the end.
    """

    scheme: str
    path: str

    def __str__(self) -> str:
        return self.path if self.scheme == FOLDER else f"{self.scheme}://{self.path}"

    @property
    def folder(self) -> Path:
        """The folder of a place that is one."""
        return Path(self.path)

    def url(self, *parts: str) -> str:
        """Return the URL of a file below an http(s) place."""
        return "/".join([str(self), *(quote(part, safe="/") for part in parts)])


@dataclass(frozen=True)
class HubAddress:
    """A model on a hub.

    Args:
        place: where the hub is.
        name: the name of the model.
        revision: as written; None for the newest.
    """

    place: Place
    name: str
    revision: str | None = None

    def __str__(self) -> str:
        revision = "" if self.revision is None else f"@{self.revision}"
        return f"{_HUB}{self.place}/{self.name}{revision}"

    @property
    def stored(self) -> str:
        """The address as files store it: of a folder without the folders above it."""
        if self.place.scheme != FOLDER:
            return str(self)
        name = self.place.folder.absolute().resolve().name
        return str(replace(self, place=Place(FOLDER, name)))

    @property
    def identity(self) -> str:
        """The text by which the cache knows the model: a folder by its whole path."""
        is_folder = self.place.scheme == FOLDER
        place = self.place.folder.absolute().resolve() if is_folder else self.place
        return f"{place}/{self.name}"

    @property
    def is_fixed(self) -> bool:
        """Whether it names a revision that never changes, unlike the newest one or a branch."""
        if self.revision is None:
            return False
        return self.place.scheme != "hf" or bool(_COMMIT.fullmatch(self.revision))

    def at(self, revision: str) -> "HubAddress":
        """Return the address of a revision."""
        return replace(self, revision=revision)


class HubPath(type(Path())):  # type: ignore[misc]  # PosixPath or WindowsPath
    """The folder in the download cache with the files of a revision.

    Attributes:
        address: the address, on a hub with its revision.
        sha256: of its `kzoo.json`, which has those of all other files.
        unread: why the model could not be pulled, for initial weights; the folder then does not exist.
    """

    address: "HubAddress | RemoteAddress | None" = None
    sha256: str = ""
    unread: KzooError | None = None

    def __reduce__(self) -> tuple[Callable[..., "HubPath"], tuple[Any, ...]]:
        return hub_path, (str(self), self.address, self.sha256)


def hub_path(
    path: str | os.PathLike[str], address: "HubAddress | RemoteAddress | None", sha256: str
) -> HubPath:
    """Return a folder of the cache as that of an address."""
    folder = HubPath(path)
    folder.address, folder.sha256 = address, sha256
    return folder


def is_hub_address(word: object) -> TypeGuard[str]:
    """Return whether a user's argument is an address on a hub; a folder of this name is written `./hub:name`."""
    return isinstance(word, str) and word.startswith(_HUB)


def local(word: object) -> Any:
    """Return an address on a hub as the folder of the cache with its files, which are pulled; others unchanged."""
    if is_hub_address(word):
        return import_module("kzoo.hub.pull").local_copy(word)
    return import_module("kzoo.cloud.copies").local_copy(word) if is_remote_address(word) else word


def local_model_or_data(word: object) -> Any:
    """Return what names a preset, a model or data as `local` does; an address of data is unchanged."""
    if is_remote_address(word):
        return import_module("kzoo.cloud.copies").model_or_data(word)
    return local(word)


def local_weights(word: object) -> Any:
    """Return initial weights as `local` does. A revision that cannot be pulled is an error only once it is read.

    A run that is resumed has all weights itself.
    """
    if is_hub_address(word):
        return import_module("kzoo.hub.pull").copy_of_weights(word)
    return (
        import_module("kzoo.cloud.copies").copy_of_weights(word)
        if is_remote_address(word)
        else word
    )


def refuse_remote_output(name: str, word: object) -> None:
    """Raise KzooError if an argument for what is written names an address."""
    if is_remote_address(word):
        address = parse_remote_address(word)  # which refuses secrets without showing them
        raise KzooError(
            "is an address, and this is written to a folder of this machine. Runs of kzoo.train and exported models "
            "are written to addresses.",
            argument=name,
            value=str(address),
        )


def refuse_path_of_address(path: Path) -> None:
    """Raise KzooError for `Path("s3://bucket/x")`, which is the folder `s3:/bucket/x`; an existing one is accepted."""
    scheme = path.parts[0].removesuffix(":") if len(path.parts) > 1 else ""
    if path.parts[:1] == (f"{scheme}:",) and scheme in _DATA_SCHEMES and not path.exists():
        address = f"{scheme}://{'/'.join(path.parts[1:])}"
        raise KzooError(
            f"{masked(str(path))} is an address that pathlib has changed. Pass it as text: {masked(address)}.",
            value=path,
        )


def parse_hub_address(word: str) -> HubAddress:
    """Return the parts of `hub:PLACE/NAME[@REVISION]`.

    Raises:
        KzooError: a part is missing or not valid.
    """
    text = word.removeprefix(_HUB)
    if not word.startswith(_HUB):
        raise KzooError(f"{masked(word)} is not an address on a hub. {_FORM}.", value=word)
    scheme = _SCHEME.fullmatch(text)
    separators = "/" if scheme or not os.path.altsep else f"{os.sep}{os.path.altsep}"
    cut = max(text.rfind(separator) for separator in separators)
    last = text[cut + 1 :]
    name, at, revision = last.partition("@")
    if cut < 0 or (scheme and cut < len(scheme[1]) + 3):
        fix = f"{_HUB}./{text}" if scheme is None and name else f"{_HUB}{text}/NAME"
        raise KzooError(
            f"{masked(word)} has no {'place' if scheme is None else 'name of a model'}. Write {masked(fix)}.",
            value=word,
        )
    place = parse_place(text[:cut] or "/")
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        raise KzooError(
            f"{masked(word)}: {shown(name)} is not the name of a model. Use at most 96 letters without "
            f"accents, digits, '.', '_' and '-', such as iris-2. {_FORM}.",
            value=word,
        )
    if at and not _REVISION.fullmatch(revision):
        raise KzooError(
            f"{masked(word)}: {shown(revision)} is not a revision. Use its number, such as {name}@3, or the start "
            "of its sha256.",
            value=word,
        )
    return HubAddress(place, name, revision or None)


def parse_place(word: str) -> Place:
    """Return the place of a hub: a folder, or `SCHEME://...`.

    Raises:
        KzooError: it is empty, its scheme is unknown, or its URL has parts that it must not have.
    """
    text = word.removeprefix(_HUB)
    if not text.strip() or not text.isprintable():
        raise KzooError(f"{masked(word)} is not a place. Use a folder or https://host/path.")
    match = _SCHEME.fullmatch(text)
    if match is None:
        home = text == "~" or text.startswith(("~/", f"~{os.sep}"))
        path = os.path.expanduser(text) if home else text
        return Place(FOLDER, path.rstrip("/" + os.sep) or path[:1])
    scheme = match[1].lower()
    if scheme not in _SCHEMES:
        known = listed((f"{name}://" for name in _SCHEMES), most=10)
        raise KzooError(
            f"{masked(word)}: {scheme}:// is not supported. Use a folder, or one of: {known}."
        )
    rest = match[2].rstrip("/")
    _SCHEMES[scheme](word, rest, urlsplit(f"{scheme}://{rest}"))
    return Place(scheme, rest)


def _check_url(word: str, rest: str, url: SplitResult) -> None:
    """Refuse a URL with a password, a query, or steps out of its folder. The message has no secret."""
    try:
        host = url.hostname
        _ = url.port
    except ValueError:
        host = None
    if "@" in url.netloc:
        raise KzooError(
            f"{masked(word)} has a user or a password, which would stand in files and logs. Remove what is before @."
        )
    if not host or "\\" in rest or not rest.isascii():
        raise KzooError(f"{masked(word)} has no valid host. Write https://host/path.")
    if url.query or url.fragment or "?" in rest or "#" in rest:
        raise KzooError(f"{masked(word)} has a query or a fragment. Remove what is after the path.")
    if {".", ".."} & set(url.path.split("/")) or "//" in url.path or "%" in url.path:
        raise KzooError(
            f"{masked(word)}: the path must not have '..', '//' or '%'. Write the folder itself."
        )


def _check_user(word: str, rest: str, url: SplitResult) -> None:
    if not _NAME.fullmatch(rest):
        raise KzooError(
            f"{masked(word)}: {shown(rest)} is not a user or an organization. Write hub:hf://USER/NAME."
        )


# Scheme -> check of a place: function of the whole word, what follows `scheme://`, and its parts.
_SCHEMES: dict[str, Callable[[str, str, SplitResult], None]] = {
    "https": _check_url,
    "http": _check_url,
    "hf": _check_user,
}


def masked(word: str) -> str:
    """Return an address as messages show it: quoted, without a password, a query or a fragment."""
    if "://" in word:
        word = re.sub(r"://.*@", "://...@", word, flags=re.S)
        word = re.sub(r"([?#]).*", r"\1...", word, flags=re.S)
    return shown(word, 200)


_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SIGNED = re.compile(r"[?&#][\w.%-]+=|[?&]X-(?:Amz|Goog)-", re.I)  # a query, not a pattern
_PATTERN_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True)
class RemoteAddress:
    """An object, a folder or a pattern of objects at an address.

    Args:
        scheme: a name of `_DATA_SCHEMES`, such as "s3".
        bucket: the bucket, the container, the host of a URL, or `datasets/USER/NAME[@REVISION]`.
        key: what follows, without a slash at the end; "" for all of the bucket.
        is_folder: whether a slash was written at the end.
    """

    scheme: str
    bucket: str
    key: str
    is_folder: bool = False

    def __str__(self) -> str:
        end = "/" if self.is_folder and self.key else ""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.key}{end}" if self.key else "")

    @property
    def name(self) -> str:
        """The last part, which names the data."""
        return self.key.rpartition("/")[2] or self.bucket.rpartition("/")[2]

    @property
    def stored(self) -> str:
        """The address as files store it."""
        return str(self)

    @property
    def is_pattern(self) -> bool:
        """Whether it matches several objects; a URL is none."""
        return not self.is_url and not _PATTERN_CHARACTERS.isdisjoint(self.key)

    @property
    def is_url(self) -> bool:
        """Whether a web server answers it."""
        return self.scheme in ("https", "http")

    @property
    def url(self) -> str:
        """The URL of an http(s) address."""
        return f"{self.scheme}://{self.bucket}/{quote(self.key, safe='/')}{'/' * self.is_folder}"

    def at(self, key: str, *, is_folder: bool = False) -> "RemoteAddress":
        """Return the address of another key of the bucket."""
        return replace(self, key=key.strip("/"), is_folder=is_folder)


def is_remote_address(word: object) -> TypeGuard[str]:
    """Return whether a user's argument is `SCHEME://...`, be the scheme known or not; a folder is written `./s3:`."""
    return isinstance(word, str) and _REMOTE.match(word) is not None


def is_bucket_address(word: str) -> bool:
    """Return whether an address is one of a bucket, where runs and exported models may lie."""
    return word.partition("://")[0].lower() in ("s3", "gs", "az")


def local_data(word: object) -> Any:
    """Return data at an address as its copy in the download cache, which is made or completed; others unchanged."""
    if not is_remote_address(word.removeprefix(DATABASE) if isinstance(word, str) else word):
        return word
    return import_module("kzoo.cloud.data_copies").local_copy(word)


def check_copies(values: Iterable[object]) -> None:
    """Check that copies of data and models at addresses are in the download cache together.

    Args:
        values: arguments of a function or command, in which addresses were replaced by their copies.

    Raises:
        KzooError: one of them made room for another.
    """
    copies = [
        value
        for value in values
        if (isinstance(value, TablePath) and value.address is not None)
        or (isinstance(value, HubPath) and value.sha256)  # otherwise it is written, or was not read
    ]
    if len(copies) < 2 or all(copy.exists() for copy in copies):
        return
    limit = import_module("kzoo.utils.download_cache").size_limit()
    raise KzooError(
        f"{listed(str(copy.address) for copy in copies)} are together larger than the download cache "
        f"({in_bytes(limit)}). Set KZOO_CACHE_SIZE to more."
    )


def parse_remote_address(word: str) -> RemoteAddress:
    """Return the parts of `SCHEME://bucket/key`. No error has a password or a signature, also not as its `value`.

    Raises:
        KzooError: its scheme is unknown, a part is missing, or it has parts that it must not have.
    """
    scheme, _, rest = word.partition("://")
    scheme = scheme.lower()
    if scheme not in _DATA_SCHEMES:
        raise KzooError(
            f"{masked(word)}: {scheme}:// is not supported. Use a path, or one of: "
            f"{listed((f'{name}://' for name in _DATA_SCHEMES), most=10)}."
        )
    depth, bucket_name, noun, example = _DATA_SCHEMES[scheme]
    parts = rest.split("/")
    bucket, key = "/".join(parts[:depth]), "/".join(parts[depth:])
    is_folder, key = key.endswith("/"), key.removesuffix("/")
    is_url = scheme in ("https", "http")
    # An unknown text before the first slash may be a secret: it is not shown.
    subject = f"{scheme}://..." if ":" in parts[0] and not is_url else masked(word)
    if "@" in parts[0] or (":" in parts[0] and not is_url):
        raise KzooError(
            f"{scheme}://... has a user or a password, which would stand in files and logs. Remove it, and set up "
            "the credentials of the client instead."
        )
    if _SIGNED.search(rest) or (is_url and not {"?", "#"}.isdisjoint(rest)):
        raise KzooError(
            f"{subject} has a query or a fragment, which may be a secret. Remove what is after the path, and set up "
            "the credentials of the client instead."
        )
    if not rest.isprintable() or "\\" in rest:
        raise KzooError(f"{subject} has control characters or a backslash. Write {example}.")
    if not bucket_name.fullmatch(bucket):
        raise KzooError(f"{subject} has no valid {noun}. Write {example}.")
    if key and {"", ".", ".."} & set(key.split("/")):
        raise KzooError(f"{subject}: the path must not have '.', '..' or '//'. Write {example}.")
    if key != key.strip():
        raise KzooError(f"{subject}: the path begins or ends with a blank. Write {example}.")
    if is_url:
        _check_host(bucket, subject, word)
        if "%" in key:
            raise KzooError(
                f"{subject}: write the path as it is, without '%': blanks and accents are escaped by kzoo."
            )
    return RemoteAddress(scheme, bucket, key, is_folder)


def _check_host(bucket: str, subject: str, word: str) -> None:
    try:
        url = urlsplit(f"https://{bucket}/")
        is_valid = bool(url.hostname) and url.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise KzooError(f"{subject} has no valid host. Write https://host/path.")


_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
# Scheme -> how many parts name the bucket, what a bucket is called, the noun in messages, an example.
_DATA_SCHEMES: dict[str, tuple[int, re.Pattern[str], str, str]] = {
    "s3": (1, _BUCKET, "bucket", "s3://bucket/path"),
    "gs": (1, re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"), "bucket", "gs://bucket/path"),
    "az": (
        1,
        re.compile(r"\$root|\$web|[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])"),
        "container",
        "az://container/path",
    ),
    "https": (1, _HOST, "host", "https://host/path"),
    "http": (1, _HOST, "host", "https://host/path"),
    "hf": (
        3,
        re.compile(r"datasets/\w[\w.-]{0,95}/\w[\w.-]{0,95}(?:@[\w.-]{1,128})?", re.A),
        "data set",
        "hf://datasets/USER/NAME/path",
    ),
}
