"""Texts as token ids: many short texts with a label each, or one long text for language models."""

from kzoo.problems.kinds import Kind, Source
from kzoo.problems.preprocessors import TextPreprocessor

KIND = Kind(
    name="tokens",
    room=__name__,
    dtype="int32",
    axes=("tokens",),
    meaning="token ids, int32: 0 is padding, 1 an unknown token",
    facts=frozenset({"ids", "steps"}),
    makes=lambda reader: {"input_shape": [reader["length"]]},
    readers={"text": TextPreprocessor, "language": TextPreprocessor},
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
