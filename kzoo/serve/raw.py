"""Raw inputs, as people have them: uploaded images and tables, rows, texts and series; answers in words, or a CSV."""

import io
import json
import re
from typing import Any

from kzoo.kinds import kind
from kzoo.serve.codecs import JSON, NOTES, DecodedRequest, ModelRequest, Reply, as_json, content_of, with_notes
from kzoo.serve.limits import Refused, read_json
from kzoo.sources.files import decoded
from kzoo.sources.tables.files import suffixes
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import moments, shown

CSV, TEXT, FORM = "text/csv", "text/plain", "multipart/form-data"
_AS_JSON = ("", JSON, "application/x-www-form-urlencoded")  # the last is what `curl -d` says of anything
_TOP = 20  # classes of an answer, the likeliest first
_UTF8 = f"{CSV}; charset=utf-8"
# The header that says the notes where a CSV has no place for them, and how many letters it has about.
NOTES_HEADER, _NOTED = "X-Kzoo-Notes", 4_000
_BOUNDARY = re.compile(r"""boundary=("?)([^";,]{1,100})\1""")
_PART = re.compile(rb"(?is)(?:^|\r\n)content-disposition:\s*form-data\s*;[^\r\n]*?\bfilename\*?=")
_NAME = re.compile(rb"""(?i)\bfilename\*?=("?)([^"\r\n;]*)\1""")
_TYPE = re.compile(rb"(?im)^content-type:([^;\r\n]*)")


def read(given: ModelRequest) -> DecodedRequest:
    """Read raw inputs by the type of their content.

    Raises:
        KzooError: they cannot be read, or do not fit.
        Refused: content of another type.
    """
    media = given.header.get("content-type", "").split(";")[0].strip().lower()
    _top(given)
    encoded = given.model.receive(_inputs(given, media), given.most)
    accepted = given.header.get("accept", "")
    write = _table if CSV in accepted and JSON not in accepted else _document
    return DecodedRequest(encoded=encoded, reply=lambda answers: write(given, given.model.say(encoded, answers)))


def _inputs(given: ModelRequest, media: str) -> Any:
    pictures = "pixels" in kind(given.model.inputs).facts
    if media in _AS_JSON:
        said = read_json(given.body)
        if isinstance(said, dict) and said.keys() == {"inputs"}:
            said = said["inputs"]
        return [content_of(one) for one in said] if isinstance(said, list) else content_of(said)
    if not given.body:
        raise KzooError("The request is empty.")
    if media == FORM:
        return _contents(given)
    if media == TEXT and not pictures:
        return _text(given.body)
    if media.startswith("image/") if pictures else media == CSV:
        return [given.body]
    takes = "image/png, image/jpeg and the like" if pictures else f"{CSV}, {TEXT}"
    raise Refused(415, f"{given.name} takes {JSON}, {FORM}, {takes}; the request says it is {shown(media)}.")


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise KzooError("The text of the request is not UTF-8.") from None


def _contents(given: ModelRequest) -> list[bytes] | list[str]:
    """Return the contents of the files of a form: for a model that reads texts, a text of each file of one."""
    files, takes = _files(given), kind(given.model.inputs)
    of_texts = tuple(s for source in takes.sources if source.form == "file" for s in source.suffixes)
    texts = [
        decoded(content, name).strip()
        for name, media, content in files
        if "ids" in takes.facts
        and (name.endswith(of_texts) or (media == TEXT and not name.endswith(tuple(suffixes()))))
    ]
    if texts and len(texts) < len(files):
        raise KzooError("The form holds texts and other files: send texts, or one table of them.")
    return texts or [content for _, _, content in files]


def _files(given: ModelRequest) -> list[tuple[str, str, bytes]]:
    """Return the files of a form: name and type, in small letters, and content."""
    boundary = _BOUNDARY.search(given.header["content-type"])
    if boundary is None:
        raise KzooError(f"{FORM} names no boundary.")
    mark = b"--" + boundary[2].encode("latin-1")
    parts = (b"\r\n" + given.body).split(b"\r\n" + mark, given.most + 2)
    if len(parts) < 3 or not parts[-1].startswith(b"--"):
        raise KzooError(f"The form holds no file, more than {given.most:,} parts, or was cut short.")
    files = []
    for part in parts[1:-1]:
        head, blank, content = part.partition(b"\r\n\r\n")
        if not blank or not _PART.search(head):
            raise KzooError("A form is to hold files alone, such as curl -F file=@photo.jpg; send the rest as JSON.")
        found = [pattern.search(head) for pattern in (_NAME, _TYPE)]
        name, media = (one.groups()[-1].decode("utf-8", "replace").strip().lower() if one else "" for one in found)
        files.append((name, media, content))
    return files


def _document(given: ModelRequest, said: Any) -> Reply:
    """Reply as `kzoo predict --json` does."""
    rows = said.rows(_top(given))
    if given.query.get("history") == "true" and said.history is not None:  # what a picture of a forecast begins with
        for place, row in enumerate(rows):
            row["history"] = said.history[place].tolist()
            if said.history_times:
                row["history_times"] = moments(said.history_times[place])
    document = {"model": given.name, "version": given.version, "predictions": rows}
    return Reply(body=as_json(with_notes(document)))


def _top(given: ModelRequest) -> int:
    word = given.query.get("top", str(_TOP))
    if not (word.isascii() and word.isdecimal() and 0 < len(word) < 6 and int(word)):
        raise KzooError(f"top={word[:40]!r} must be a whole number of classes, at least 1.")
    return int(word)


def _table(given: ModelRequest, said: Any) -> Reply:
    """Reply with a table, as `kzoo predict --out` writes it."""
    written = io.StringIO()
    said.write_csv(written)
    return Reply(body=written.getvalue().encode(), media=_UTF8, headers=_notes_beside())


def _notes_beside() -> dict[str, str]:
    """Return the header that says, as a list in JSON, what is to be known of the inputs, where there is anything."""
    said = NOTES.get([])
    kept = list(said)
    while len(kept) > 1 and len(json.dumps(kept)) > _NOTED:
        kept.pop()
    more = [f"{len(said) - len(kept)} more: the answer in JSON has them."] if len(kept) < len(said) else []
    return {NOTES_HEADER: json.dumps([*kept, *more])} if said else {}
