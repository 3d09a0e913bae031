"""A `.keras` file is a zip: which bytes, which members, how large. Standard library only."""

import hashlib
import io
import os
import stat
import zipfile
import zlib
from dataclasses import dataclass

from kzoo.loading.unsafe import Refused, Unreadable, short

MAX_BYTES = 2 << 30  # of a file, and of all that comes out of it
MAX_CONFIG = 3 << 20  # of characters that become objects 50 times their size; NASNetMobile has 0.8 million
MAX_VOCABULARY = 64 << 20
MAX_DIRECTORY = 256 << 10  # bytes of its list of members
MAX_RATIO = 20  # of what is packed; Keras itself packs nothing
RATIO_FLOOR = 1 << 20  # below a mebibyte nothing is a bomb
ROOM, MAX_LARGE_RATIO = 64 << 20, 4  # bytes, above which less of what is packed is unpacked: loading takes it six times
_END = 22  # bytes of a zip's last record, without a comment

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


@dataclass(frozen=True)
class Archive:
    """The parts of a `.keras` file, read once: the configuration, the weights, vocabularies by member name."""

    config: bytes
    metadata: bytes
    weights: bytes
    vocabularies: dict


def read_once(path, limit=MAX_BYTES):
    """Return the bytes of a regular file; everything after works on these, whatever becomes of the file.

    Raises:
        Refused: a symlink, a folder, a device, or more than `limit` bytes.
        Unreadable: it cannot be opened.
    """
    path = os.fspath(path)
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            raise Refused("it is a symbolic link, which may point anywhere", "Give the file itself")
        handle = os.open(path, flags)
    except OSError as error:
        raise Unreadable(error.strerror or "it cannot be opened") from None
    with open(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise Refused("it is not a regular file", "Give a .keras file, an exported model or a run")
        if facts.st_size > limit:
            raise Refused(f"it has {facts.st_size:,} bytes, and {limit:,} is the limit")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Refused(f"it grew beyond {limit:,} bytes while it was read")
    return data


def check_sha256(data, expected):
    """Refuse bytes that are not the ones the caller expects; None expects nothing.

    Raises:
        Refused: another sum.
    """
    if expected is not None and hashlib.sha256(data).hexdigest() != expected.lower():
        raise Refused("its sha256 is not the expected one", "It was changed or is another file: fetch it again")


def open_archive(raw):
    """Take a `.keras` file's bytes apart, each member checked before it is unpacked.

    Raises:
        Refused: members that no Keras model has, twice, encrypted, or larger than they can be.
        Unreadable: not a zip file, cut short, or a wrong checksum.
    """
    _check_ends(raw)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = _check_members(archive.infolist(), len(raw))
            parts = {name: _unpacked(archive, info) for name, info in members.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise Unreadable(f"it is not a complete zip file ({str(error) or type(error).__name__})") from None
    for name in (CONFIG, WEIGHTS):
        if name not in parts:
            raise Unreadable(f"it has no {name}, so it is not a model that Keras saved")
    config, metadata, weights = parts.pop(CONFIG), parts.pop(METADATA, b"{}"), parts.pop(WEIGHTS)
    return Archive(config, metadata, weights, parts)


def _unpacked(archive, info):
    # `archive.read` would unpack all there is before it compares with the size in the header.
    with archive.open(info) as member:
        return member.read(info.file_size)


def _check_ends(raw):
    """Look at both ends before `zipfile` reads a list of members that may have any length."""
    if not raw:
        raise Unreadable("it is empty")
    if raw[:2] != b"PK":
        raise Unreadable("it is not a .keras file: those are zip files")
    end = raw[-_END:]
    if raw[:4] != b"PK\3\4" or end[:4] != b"PK\5\6" or end[-2:] != b"\0\0":
        raise Unreadable("it is cut short, or something is before or behind the zip file")
    directory = int.from_bytes(end[12:16], "little")
    if directory > MAX_DIRECTORY or raw[-_END - 20 :][:4] == b"PK\6\7":
        raise Refused(f"its list of members is longer than any model's ({directory:,} bytes)")


def _check_members(infos, size):
    members = {}
    for info in infos:
        name = info.filename
        if name in members:
            raise Refused(f"it has {short(name)} twice, so what is checked need not be what is loaded")
        if info.orig_filename != name or not (name in (CONFIG, METADATA, WEIGHTS) or _is_vocabulary(name)):
            raise Refused(f"no Keras model has a member {short(info.orig_filename)}")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Refused(f"its member {short(name)} is a symbolic link")
        if info.flag_bits & 1:
            raise Refused(f"its member {short(name)} is encrypted, so nobody can look inside")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Refused(f"its member {short(name)} is packed in a way that Keras does not use")
        limit = {CONFIG: MAX_CONFIG, METADATA: RATIO_FLOOR, WEIGHTS: MAX_BYTES}.get(name, MAX_VOCABULARY)
        packed = name not in (CONFIG, METADATA) and info.file_size > unpacked_at_most(info.compress_size)
        if info.file_size > limit or packed:
            said = f"{info.compress_size:,} bytes become {info.file_size:,}"
            raise Refused(f"its member {short(name)} is a decompression bomb or too large: {said}")
        members[name] = info
    if sum(i.compress_size for i in infos) > size or sum(i.file_size for i in infos) > MAX_BYTES:
        raise Refused("its members overlap, or expand to more than a model may have")
    return members


def unpacked_at_most(packed):
    """Return how many bytes may come out of so many."""
    return max(RATIO_FLOOR, min(MAX_RATIO * packed, max(ROOM, MAX_LARGE_RATIO * packed)))


def _is_vocabulary(name):
    *folders, last = name.split("/")
    plain = all(part.replace("_", "a").isalnum() and part.isascii() for part in folders)
    return plain and folders[:1] == ["assets"] and last == "vocabulary.txt"


def write_archive(path, config, archive):
    """Write a `.keras` file of parts that were checked: that is what Keras opens."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        out.writestr(METADATA, "{}")
        out.writestr(CONFIG, config)
        out.writestr(WEIGHTS, archive.weights)
        for name, data in archive.vocabularies.items():
            out.writestr(name, data)
