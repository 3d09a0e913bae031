"""Tables with an object of JSON in each line."""

import json
from pathlib import Path

from kzoo.sources.tables.raw import Rows
from kzoo.sources.tables.values import plain
from kzoo.utils.errors import KzooError

SUFFIXES = (".jsonl",)


def _objects(path):
    try:
        lines = [
            json.loads(line)
            for line in Path(path).read_text(encoding="utf-8").splitlines()
            if line.strip()
        ]
    except (OSError, ValueError) as error:
        raise KzooError(f"{path} is no table of JSON lines: {error}.") from None
    return {
        name: [line.get(name) for line in lines]
        for name in dict.fromkeys(name for line in lines for name in line)
    }


def frame(path, text=()):
    import pandas

    columns = _objects(path)
    return pandas.DataFrame(
        {name: list(map(str, cells)) if name in text else cells for name, cells in columns.items()}
    )


def rows(path):
    return Rows({name: plain(cells) for name, cells in _objects(path).items()})
