"""Which runs there are."""

KINDS = (
    "digits",
    "photo",
    "table",
    "diabetes",
    "text",
    "series",
    "language",
    "search",
)  # each with a fixture, NAME_run
