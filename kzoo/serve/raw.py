"""Raw inputs: uploaded images and tables, rows, texts and series; predictions as JSON or CSV."""

import io
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kzoo.inference.encode import Encoded
from kzoo.inference.sources.files import decode_text
from kzoo.inference.tables.files import suffixes
from kzoo.inference.tables.raw import as_names
from kzoo.problems.kinds import kind
from kzoo.serve.codecs import (
    JSON,
    NOTES,
    DecodedRequest,
    ModelRequest,
    Reply,
    as_json,
    checked_options,
    decode_base64,
    with_notes,
)
from kzoo.serve.limits import Refused, read_json
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown

if TYPE_CHECKING:
    from kzoo.inference.predictions import Predictions


CSV, TEXT, FORM = "text/csv", "text/plain", "multipart/form-data"
_AS_JSON = ("", JSON, "application/x-www-form-urlencoded")  # the last is the default of `curl -d`
_TOP = 20  # default number of classes per prediction, most likely first
_UTF8 = f"{CSV}; charset=utf-8"
# The header with the notes of a CSV response, and its approximate maximum length in characters.
NOTES_HEADER = "X-Kzoo-Notes"
_MAX_NOTES = 4_000
_BOUNDARY = re.compile(r"""boundary=("?)([^";,]{1,100})\1""")
_PART = re.compile(rb"(?is)(?:^|\r\n)content-disposition:\s*form-data\s*;[^\r\n]*?\bfilename\*?=")
_NAME = re.compile(rb"""(?i)\bfilename\*?=("?)([^"\r\n;]*)\1""")
_TYPE = re.compile(rb"(?im)^content-type:([^;\r\n]*)")


def read(request: ModelRequest) -> DecodedRequest:
    """Decode raw inputs according to their content type.

    Raises:
        KzooError: the inputs cannot be read or do not fit the model.
        Refused: the content type is not supported.
    """
    _top(request)
    keep = as_names(request.query["keep"]) if request.query.get("keep") else ()
    options = checked_options(request.model, request.query)
    encoded = received(request, most=request.max_rows, keep=keep)
    accepted = request.header.get("accept", "")
    write = _table if CSV in accepted and JSON not in accepted else _document
    return DecodedRequest(
        encoded=encoded,
        reply=lambda outputs: write(request, request.model.predictions(encoded, outputs, options)),
    )


def received(request: ModelRequest, *, most: int, keep: Sequence[str] = ()) -> Encoded:
    """Return the encoded inputs of a request.

    Args:
        request: the request.
        most: largest number of inputs.
        keep: columns of a table that the predictions carry.
    """
    media = request.header.get("content-type", "").split(";")[0].strip().lower()
    return request.model.receive(_inputs(request, media), most, keep)


def _inputs(request: ModelRequest, media: str) -> object:
    takes_images = "pixels" in kind(request.model.inputs).facts
    if media in _AS_JSON:
        inputs = read_json(request.body)
        if isinstance(inputs, dict) and inputs.keys() == {"inputs"}:
            inputs = inputs["inputs"]
        return (
            [decode_base64(example) for example in inputs]
            if isinstance(inputs, list)
            else decode_base64(inputs)
        )
    if not request.body:
        raise KzooError("The body of the request is empty.")
    if media == FORM:
        return _contents(request)
    if media == TEXT and not takes_images:
        return _text(request.body)
    if media.startswith("image/") if takes_images else media == CSV:
        return [request.body]
    takes = "image/png, image/jpeg and other image types" if takes_images else f"{CSV}, {TEXT}"
    raise Refused(
        415,
        f"Content type {shown(media)} is not supported. {request.name} takes {JSON}, {FORM}, {takes}.",
    )


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise KzooError("The text of the request is not UTF-8.") from None


def _contents(request: ModelRequest) -> list[bytes] | list[str]:
    """Return the contents of the files of a form, decoded as text for text files of a text model."""
    files = _files(request)
    input_kind = kind(request.model.inputs)
    text_suffixes = tuple(
        s for source in input_kind.sources if source.form == "file" for s in source.suffixes
    )
    texts = [
        decode_text(content, name).strip()
        for name, media, content in files
        if "ids" in input_kind.facts
        and (
            name.endswith(text_suffixes) or (media == TEXT and not name.endswith(tuple(suffixes())))
        )
    ]
    if texts and len(texts) < len(files):
        raise KzooError(
            "The form contains texts and other files. Send either texts or one table of texts."
        )
    return texts or [content for _, _, content in files]


def _files(request: ModelRequest) -> list[tuple[str, str, bytes]]:
    """Return (name, media type, content) of the files of a form; names and types are lower case."""
    boundary = _BOUNDARY.search(request.header["content-type"])
    if boundary is None:
        raise KzooError(f"The content type {FORM} has no boundary.")
    mark = b"--" + boundary[2].encode("latin-1")
    parts = (b"\r\n" + request.body).split(b"\r\n" + mark, request.max_rows + 2)
    if len(parts) < 3 or not parts[-1].startswith(b"--"):
        raise KzooError(
            f"The form has no file, has more than {request.max_rows:,} parts, or is truncated."
        )
    files = []
    for part in parts[1:-1]:
        head, blank, content = part.partition(b"\r\n\r\n")
        if not blank or not _PART.search(head):
            raise KzooError(
                "A form must contain files only, such as curl -F file=@photo.jpg. Send other inputs as JSON."
            )
        matches = [pattern.search(head) for pattern in (_NAME, _TYPE)]
        name, media = (
            m.groups()[-1].decode("utf-8", "replace").strip().lower() if m else "" for m in matches
        )
        files.append((name, media, content))
    return files


def _document(request: ModelRequest, predictions: "Predictions") -> Reply:
    """Return the predictions as JSON, as `kzoo predict --json` prints them."""
    rows = predictions.rows(None if predictions.separator else _top(request))
    # for the chart of a forecast
    if request.query.get("history") == "true" and predictions.history is not None:
        for index, row in enumerate(rows):
            row["history"] = predictions.history[index].tolist()
            if predictions.history_times:
                times = predictions.write_times(predictions.history_times[index])
                row["history_times"] = list(map(str, times))
    document = {"model": request.name, "version": request.version, "predictions": rows}
    document |= {"promise": predictions.promise} if predictions.promise else {}
    return Reply(body=as_json(with_notes(document)))


def _top(request: ModelRequest) -> int:
    top = request.query.get("top", str(_TOP))
    if not (top.isascii() and top.isdecimal() and 0 < len(top) < 6 and int(top)):
        raise KzooError(
            "must be a whole number of classes, at least 1.", argument="top", value=top[:40]
        )
    return int(top)


def _table(request: ModelRequest, predictions: "Predictions") -> Reply:
    """Return the predictions as CSV, as `kzoo predict --out` writes them."""
    written = io.StringIO()
    predictions.write_csv(written)
    return Reply(body=written.getvalue().encode(), media=_UTF8, headers=_notes_header())


def _notes_header() -> dict[str, str]:
    """Return the header with the notes on the inputs as a JSON list, or {} without notes."""
    notes = NOTES.get([])
    included = list(notes)
    while len(included) > 1 and len(json.dumps(included)) > _MAX_NOTES:
        included.pop()
    remark = (
        [f"{len(notes) - len(included)} more: see the response in JSON."]
        if len(included) < len(notes)
        else []
    )
    return {NOTES_HEADER: json.dumps([*included, *remark])} if notes else {}
