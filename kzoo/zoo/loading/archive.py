"""Reading and checking the zip archive of a `.keras` file: its bytes, members and sizes. Standard library only."""

import hashlib
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from kzoo.zoo.loading.unsafe import Refused, Unreadable, short

MAX_BYTES = 2 << 30  # of a file, and of all its members unpacked
# characters; parsed objects take 50 times as much memory; NASNetMobile has 0.8 million
MAX_CONFIG = 3 << 20
MAX_VOCABULARY = 64 << 20
MAX_DIRECTORY = 256 << 10  # bytes of the zip's central directory
MAX_RATIO = 20  # compression ratio of a member; Keras itself does not compress
RATIO_FLOOR = 1 << 20  # members below 1 MiB may have any ratio
# stricter ratio above so many bytes: loading needs six times their memory
LARGE = 64 << 20
MAX_LARGE_RATIO = 4
_END = 22  # bytes of the end-of-central-directory record without a comment

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


@dataclass(frozen=True)
class Archive:
    """The members of a `.keras` file: configuration, metadata, weights, and vocabularies by member name."""

    config: bytes
    metadata: bytes
    weights: bytes
    vocabularies: dict


def read_once(path: str | os.PathLike[str], limit: int = MAX_BYTES) -> bytes:
    """Return the bytes of a regular file. All later steps use these bytes, even if the file changes.

    Raises:
        Refused: a symbolic link, a folder, a device, or more than `limit` bytes.
        Unreadable: the file cannot be opened.
    """
    path = os.fspath(path)
    flags = os.O_RDONLY | sum(
        getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
    )
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            raise Refused(
                "it is a symbolic link, which may point anywhere",
                "Pass the path of the file itself",
            )
        handle = os.open(path, flags)
    except OSError as error:
        raise Unreadable(error.strerror or "it cannot be opened") from None
    with open(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise Refused(
                "it is not a regular file", "Pass a .keras file, an exported model or a run"
            )
        if facts.st_size > limit:
            raise Refused(f"it has {facts.st_size:,} bytes, the limit is {limit:,}")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Refused(f"it exceeded the limit of {limit:,} bytes while it was being read")
    return data


def check_sha256(data: bytes, expected: str | None) -> None:
    """Raise Refused if the SHA-256 of the data is not the expected one; None accepts any data."""
    if expected is not None and hashlib.sha256(data).hexdigest() != expected.lower():
        raise Refused(
            "its sha256 is not the expected one",
            "The file was changed or replaced. Download it again",
        )


def open_archive(raw: bytes) -> "Archive":
    """Return the members of a `.keras` file, each checked before it is unpacked.

    Raises:
        Refused: a member that Keras models do not have, a duplicate, an encrypted or an oversized member.
        Unreadable: not a zip file, truncated, or a wrong checksum.
    """
    _check_ends(raw)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = _check_members(archive.infolist(), len(raw))
            parts = {name: _read_member(archive, info) for name, info in members.items()}
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        NotImplementedError,
        ValueError,
    ) as error:
        raise Unreadable(
            f"it is not a complete zip file ({str(error) or type(error).__name__})"
        ) from None
    for name in (CONFIG, WEIGHTS):
        if name not in parts:
            raise Unreadable(f"it has no {name}, so it is not a model saved by Keras")
    config = parts.pop(CONFIG)
    metadata = parts.pop(METADATA, b"{}")
    weights = parts.pop(WEIGHTS)
    return Archive(config, metadata, weights, parts)


def _read_member(archive: "zipfile.ZipFile", info: "zipfile.ZipInfo") -> bytes:
    # `archive.read` would unpack everything before comparing with the size in the header.
    with archive.open(info) as member:
        return member.read(info.file_size)


def _check_ends(raw: bytes) -> None:
    """Check both ends of the file before `zipfile` reads a central directory of any length."""
    if not raw:
        raise Unreadable("it is empty")
    if raw[:2] != b"PK":
        raise Unreadable("it is not a .keras file, which is a zip file")
    end = raw[-_END:]
    if raw[:4] != b"PK\3\4" or end[:4] != b"PK\5\6" or end[-2:] != b"\0\0":
        raise Unreadable("it is truncated, or has data before or after the zip file")
    directory = int.from_bytes(end[12:16], "little")
    if directory > MAX_DIRECTORY or raw[-_END - 20 :][:4] == b"PK\6\7":
        raise Refused(f"its zip directory is too large for a model ({directory:,} bytes)")


def _check_members(infos: "Sequence[zipfile.ZipInfo]", size: int) -> "dict[str, zipfile.ZipInfo]":
    members = {}
    for info in infos:
        name = info.filename
        if name in members:
            raise Refused(
                f"it has the member {short(name)} twice, so the loaded one may not be the checked one"
            )
        if info.orig_filename != name or not (
            name in (CONFIG, METADATA, WEIGHTS) or _is_vocabulary(name)
        ):
            raise Refused(
                f"its member {short(info.orig_filename)} does not belong to a Keras model"
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Refused(f"its member {short(name)} is a symbolic link")
        if info.flag_bits & 1:
            raise Refused(f"its member {short(name)} is encrypted and cannot be checked")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Refused(
                f"its member {short(name)} uses a compression method that Keras does not use"
            )
        limit = {CONFIG: MAX_CONFIG, METADATA: RATIO_FLOOR, WEIGHTS: MAX_BYTES}.get(
            name, MAX_VOCABULARY
        )
        is_bomb = name not in (CONFIG, METADATA) and info.file_size > max_unpacked(
            info.compress_size
        )
        if info.file_size > limit or is_bomb:
            sizes = f"{info.compress_size:,} bytes expand to {info.file_size:,}"
            raise Refused(f"its member {short(name)} is a decompression bomb or too large: {sizes}")
        members[name] = info
    if sum(i.compress_size for i in infos) > size or sum(i.file_size for i in infos) > MAX_BYTES:
        raise Refused("its members overlap, or expand to more than the size limit")
    return members


def max_unpacked(packed: int) -> int:
    """Return the largest allowed unpacked size for `packed` bytes."""
    return max(RATIO_FLOOR, min(MAX_RATIO * packed, max(LARGE, MAX_LARGE_RATIO * packed)))


def _is_vocabulary(name: str) -> bool:
    *folders, last = name.split("/")
    plain = all(part.replace("_", "a").isalnum() and part.isascii() for part in folders)
    return plain and folders[:1] == ["assets"] and last == "vocabulary.txt"


def write_archive(path: str | os.PathLike[str], config: str, archive: "Archive") -> None:
    """Write a `.keras` file of checked parts, which Keras opens instead of the original."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        out.writestr(METADATA, "{}")
        out.writestr(CONFIG, config)
        out.writestr(WEIGHTS, archive.weights)
        for name, data in archive.vocabularies.items():
            out.writestr(name, data)
