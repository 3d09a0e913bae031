"""Shards: `.tar` files of images or texts, read in place as a folder of the same files. Standard library only.

A `ShardFolder` is the path of a folder in one or several archives, a `ShardMember` that of a file in it. Users see
`shards-*.tar/cat/1.jpg`. For the system, a member is the path of its archive with offset and size
(`shards-0.tar/@1536+2048/cat/1.jpg`), which `read_member` reads in any process, without an index.

Labels lie in class folders, in a table `labels.csv`, or, as in WebDataset, in files beside the images with the same
name up to its first dot: `000001.jpg` and `000001.cls` (https://github.com/webdataset/webdataset).
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural, shown
from kzoo.utils.table_path import locate

SUFFIX = ".tar"
_MEMBER = re.compile(r"(.+)[/\\]@(\d+)\+(\d+)[/\\].*", re.S)
_LABELS = (".cls", ".json", ".txt")  # beside an image, the first that there is
_MAX_LABEL = 1 << 20  # bytes
_BLOCK = 512  # of an archive
_DESCRIPTIONS = ("README", "LICENSE")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SPLIT = re.compile(r"(train|val|test|dev)", re.I)


class ShardMember(type(Path())):  # type: ignore[misc]  # PosixPath or WindowsPath
    """The path of a file in an archive.

    Attributes:
        folder: the folder that holds it.
        where: its path for the system.
        content: its bytes, if it is made from other files; None for a file of the archive.
    """

    folder: "ShardFolder"
    where: str = ""
    content: bytes | None = None

    def __fspath__(self) -> str:
        return self.where or str(self)

    @property
    def parent(self) -> "ShardFolder":
        return self.folder

    def __reduce__(self) -> Any:
        return _restored_member, (self.folder, str(self), self.where, self.content)


def _restored_member(
    folder: "ShardFolder", path: str, where: str, content: bytes | None
) -> ShardMember:
    member = ShardMember(path)
    member.folder, member.where, member.content = folder, where, content
    return member


class ShardFolder(type(Path())):  # type: ignore[misc]
    """The path of a folder in one or several archives.

    Attributes:
        archives: their paths.
        prefix: names of the folders in the archives, each followed by a slash.
    """

    archives: tuple[Path, ...] = ()
    prefix: str = ""
    _read_index: "_Index | None" = None

    def is_dir(self, **options: Any) -> bool:
        return True

    def is_file(self, **options: Any) -> bool:
        return False

    def exists(self, **options: Any) -> bool:
        return True

    def __truediv__(self, name: Any) -> Any:
        name = str(name).replace(os.sep, "/").strip("/")
        if not name or name == ".":
            return self
        path = f"{self.prefix}{name}"
        if path in self._index.members:
            folder = self._within(path.rpartition("/")[0])
            return _restored_member(folder, str(Path(self, name)), self.where(name), None)
        return self._within(path)

    def where(self, name: str) -> str:
        """Return the path of a file in it for the system."""
        number, offset, size = self._index.members[self.prefix + name]
        return f"{self.archives[number]}/@{offset}+{size}/{name}"

    def _within(self, path: str) -> "ShardFolder":
        """Return the folder at a path in the archives."""
        root = Path(self)
        for _ in range(self.prefix.count("/")):
            root = root.parent
        folder = ShardFolder(root, *path.split("/"))
        folder.archives, folder.prefix = self.archives, f"{path}/" if path else ""
        folder._read_index = self._index
        return folder

    def __reduce__(self) -> Any:
        return _restored_folder, (str(self), self.archives, self.prefix)

    @property
    def _index(self) -> "_Index":
        if self._read_index is None:
            self._read_index = _index(tuple((str(file), _stat(file)) for file in self.archives))
        return self._read_index

    def folder_names(self) -> list[str]:
        """Return the names of the folders in it."""
        return sorted(self._index.folders.get(self.prefix, ()))

    def file_names(self) -> list[str]:
        """Return the names of the files in it, but not in folders of it."""
        return self._index.files.get(self.prefix, [])

    def below(self) -> list[str]:
        """Return the names of the files in and below it, sorted."""
        start = len(self.prefix)
        return [name[start:] for name in self._index.names if name.startswith(self.prefix)]

    def is_same(self, other: object) -> bool:
        """Return whether another path is the same folder of the same archives."""
        if not isinstance(other, ShardFolder) or self.prefix != other.prefix:
            return False
        return len(self.archives) == len(other.archives) and all(
            os.path.samefile(*pair) for pair in zip(self.archives, other.archives, strict=True)
        )

    def labels(self, suffixes: Sequence[str]) -> ShardMember | None:
        """Return the labels beside the images as a table, as WebDataset stores them; None if there are none.

        Args:
            suffixes: of images.

        Raises:
            KzooError: a label is damaged.
        """
        names = self.below()
        images = [name for name in names if name.lower().endswith(tuple(suffixes))]
        known = set(names)
        # Files beside the images of class folders describe these.
        folders = {name.partition("/")[0] for name in images if "/" in name}
        for suffix in _LABELS[:1] if len(folders) > 1 else _LABELS:
            beside = {image: label for image in images if (label := _key(image) + suffix) in known}
            if beside:
                member = _restored_member(self, str(Path(self, f"*{suffix}")), "", None)
                member.content = _table(self, images, beside).encode()
                return member
        return None


def _restored_folder(path: str, archives: tuple[Path, ...], prefix: str) -> ShardFolder:
    folder = ShardFolder(path)
    folder.archives, folder.prefix = archives, prefix
    return folder


def _key(name: str) -> str:
    """Return the name of a sample: that of a file up to its first dot."""
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{file.partition('.')[0]}"


def _table(folder: ShardFolder, images: Sequence[str], beside: dict[str, str]) -> str:
    """Return the labels of images as the text of a CSV file with a column "file"."""
    rows = {
        image: _cells(folder / label) if (label := beside.get(image)) else {} for image in images
    }
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    csv, io = import_module("csv"), import_module("io")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["file", *columns])
    writer.writerows(
        [image, *(row.get(name, "") for name in columns)] for image, row in rows.items()
    )
    return stream.getvalue()


def _cells(label: ShardMember) -> dict[str, str]:
    """Return name -> cell of a file with labels."""
    content = read_member(label, _MAX_LABEL + 1) or b""
    try:
        if len(content) > _MAX_LABEL:
            raise ValueError("it is larger than a label")
        text = content.decode("utf-8-sig").strip()
        value = json.loads(text) if label.suffix.lower() == ".json" else text
    except (ValueError, RecursionError) as error:
        raise KzooError(f"{str(label)!r} holds no label: {str(error).splitlines()[0]}.") from None
    value = value if isinstance(value, dict) else {"label": value}
    cells = {name: cell for name, cell in value.items() if not isinstance(cell, dict | list)}
    cells.pop("file", None)
    return {name: "" if cell is None else str(cell) for name, cell in cells.items()}


class _Index:
    """The files of archives by name.

    Args:
        members: name -> (number of the archive, offset, size).
    """

    def __init__(self, members: dict[str, tuple[int, int, int]]) -> None:
        self.members = members
        self.names = sorted(members)
        self.files: dict[str, list[str]] = {}
        self.folders: dict[str, set[str]] = {}
        for name in self.names:
            folder, slash, file = name.rpartition("/")
            if (key := folder + slash) not in self.files:
                self.files[key] = []
                parts = folder.split("/") if folder else []
                for depth, part in enumerate(parts):
                    above = "".join(f"{part}/" for part in parts[:depth])
                    self.folders.setdefault(above, set()).add(part)
            self.files[key].append(file)


def _stat(file: Path) -> tuple[int, int]:
    try:
        stat = os.stat(file)
    except OSError as error:
        raise KzooError(f"Cannot read {str(file)!r}: {error.strerror}.") from None
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=16)
def _index(files: tuple[tuple[str, tuple[int, int]], ...]) -> _Index:
    """Return the index of archives.

    Args:
        files: (path, (size, time)) of each.

    Raises:
        KzooError: one is damaged, or has members that are no plain files, or names that lead out of it.
    """
    members: dict[str, tuple[int, int, int]] = {}
    for number, (path, (size, _)) in enumerate(files):
        for name, offset, length in _members(path, size):
            if name in members:
                first = Path(files[members[name][0]][0]).name
                where = (
                    f"twice in {first!r}"
                    if number == members[name][0]
                    else f"in {first!r} and in {Path(path).name!r}"
                )
                raise KzooError(
                    f"The file {shown(name)} is {where}. Give each file a name of its own."
                )
            members[name] = (number, offset, length)
    return _Index(members)


def _members(path: str, size: int) -> Iterator[tuple[str, int, int]]:
    """Yield (name, offset, size) of each file of an archive."""
    tarfile = import_module("tarfile")
    file = Path(path).name
    try:
        with open(path, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # there may be millions
                if (name := _checked_name(member, file)) is None:
                    continue
                if member.offset_data + member.size > size:
                    raise tarfile.ReadError("unexpected end of data")
                yield name, member.offset_data, member.size
            stream.seek(archive.offset)
            if (block := stream.read(_BLOCK)) != bytes(_BLOCK):
                raise tarfile.ReadError(
                    "unexpected end of data" if len(block) < _BLOCK else "bad header"
                )
    except KzooError:
        raise
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError) as error:
        raise KzooError(
            f"Cannot read {file!r} as a .tar file: {str(error).splitlines()[0] or type(error).__name__}. It is "
            "truncated, damaged or compressed: write it again, without compression."
        ) from None


def _checked_name(member: Any, file: str) -> str | None:
    """Return the name of a member with slashes; None for a folder.

    Raises:
        KzooError: it is a link or a device, or its name is absolute, has `..` or is not UTF-8.
    """
    name = member.name
    parts = [part for part in name.split("/") if part != "."]
    try:
        name.encode()
    except UnicodeEncodeError:
        raise KzooError(
            f"{file!r}: the name {shown(ascii(name))} is not UTF-8. Rename the file."
        ) from None
    if name.startswith("/") or ".." in parts or "\\" in name or re.match(r"[A-Za-z]:", name):
        raise KzooError(
            f"{file!r}: the name {shown(name)} leads out of the archive. Write it with plain names."
        )
    if _CONTROL.search(name):
        raise KzooError(
            f"{file!r}: the name {shown(name)} has control characters. Rename the file."
        )
    if member.isdir():
        return None
    if not member.isfile() or member.issparse():
        kind = "a link" if member.issym() or member.islnk() else "not a plain file"
        raise KzooError(
            f"{file!r}: {shown(name)} is {kind}. Write the files themselves into the archive."
        )
    name = "/".join(filter(None, parts))
    if not name:
        raise KzooError(f"{file!r} has a file without a name. Write it again.")
    return name


def shards_of(source: object) -> ShardFolder | None:
    """Return the files in archives as a folder; None for any other source.

    Args:
        source: the path of a `.tar` file, of a folder of such files, or of several that a pattern names.

    Raises:
        KzooError: a folder has archives of several splits.
    """
    if isinstance(source, ShardFolder):
        return source
    if not isinstance(source, str | Path) or isinstance(source, ShardMember):
        return None
    path = locate(source)
    archives: Iterable[Path] = getattr(path, "files", ())
    if archives:
        if any(file.suffix.lower() != SUFFIX for file in archives):
            return None
        root = Path(path).parent / (getattr(path, "label", None) or Path(path).name)
    elif str(path).lower().endswith(SUFFIX) and os.path.isfile(os.path.expanduser(path)):
        root = Path(path).expanduser()
        archives = [root]
    elif os.path.isdir(root := Path(path).expanduser()):
        archives = _archives_in(root)
    if not archives:
        return None
    return _outermost(_restored_folder(str(root), tuple(archives), ""))


def _outermost(folder: ShardFolder) -> ShardFolder:
    """Return the folder of the classes: `tar cf photos.tar photos/` puts a folder around them."""
    while not folder.file_names() and len(names := folder.folder_names()) == 1:
        inner = folder / names[0]
        has_table = any(name.lower().startswith("labels.") for name in inner.file_names())
        if not inner.folder_names() and not has_table:
            break
        folder = inner
    return folder


def _archives_in(folder: Path) -> list[Path]:
    """Return the archives in a folder that has nothing else; none for any other folder."""
    archives = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "_", *_DESCRIPTIONS)):
                continue
            if not entry.name.lower().endswith(SUFFIX) or not entry.is_file():
                return []
            archives.append(folder / entry.name)
    splits = {match[1].lower() for file in archives if (match := _SPLIT.match(file.name))}
    if len(splits) > 1:
        named = listed(f"{split}*{SUFFIX}" for split in sorted(splits))
        raise KzooError(
            f"{folder.name!r} has {plural(len(archives), 'archive')} of several splits: {named}. Pass a pattern, and "
            "test= or validation= for the others."
        )
    return sorted(archives)


def folder_at(source: str | Path) -> Path:
    """Return the path of a folder, which may lie in archives."""
    return shards_of(source) or (source if isinstance(source, Path) else Path(source))


def is_member(path: object) -> bool:
    """Return whether a path is that of a file in an archive."""
    if isinstance(path, ShardMember):
        return True
    return isinstance(path, str) and "@" in path and _MEMBER.fullmatch(path) is not None


def read_member(path: object, most: int = -1) -> bytes | None:
    """Return the bytes of a file in an archive, or its first `most` bytes; None for any other path.

    Raises:
        OSError: the archive cannot be read, or has become shorter.
    """
    if isinstance(path, ShardMember) and path.content is not None:
        return path.content if most < 0 else path.content[:most]
    if not is_member(path):
        return None
    match = _MEMBER.fullmatch(os.fspath(path))  # type: ignore[call-overload]
    if match is None:
        return None
    archive, offset, size = match[1], int(match[2]), int(match[3])
    size = size if most < 0 else min(size, most)
    with open(archive, "rb", buffering=0) as file:
        file.seek(offset)
        parts = []
        while size and (part := file.read(size)):
            parts.append(part)
            size -= len(part)
    if size:
        raise OSError(f"{Path(archive).name} has become shorter")
    return parts[0] if len(parts) == 1 else b"".join(parts)
