"""Texts as token ids: many short texts with a label each, or one long text for language models."""

from kzoo.problems.kinds import Kind, Source

_TOKENIZER = {
    "length": int,
    "level": str,
    "ngrams?": (int, None),
    "lowercase": bool,
    "punctuation": bool,
    "vocabulary": [str],
    "column?": (str, None),
    "separator?": str,
    "scores?": [float],
    "charsmap?": str,
}

KIND = Kind(
    name="tokens",
    room=__name__,
    dtype="int32",
    axes=("tokens",),
    meaning="token ids, int32: 0 is padding, 1 an unknown token",
    facts=frozenset({"ids", "steps"}),
    makes=lambda reader: {"input_shape": [reader["length"]]},
    readers={"text": _TOKENIZER, "language": _TOKENIZER},
    sources=(
        Source(
            name="a table",
            form="tabular",
            order="unordered",
            usual="classification",
            key="text_table",
            rest="text",
        ),
        Source(
            name="a folder of texts",
            form="folder",
            suffixes=(".txt",),
            order="unordered",
            usual="classification",
            key="text_folder",
        ),
        Source(
            name="a plain text",
            form="file",
            suffixes=(".txt", ".md"),
            order="ordered",
            usual="language_modeling",
        ),
    ),
    example='"some text"',
)
