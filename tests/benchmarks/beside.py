"""The file with scores of other programs, for comparison with kzoo."""

from pathlib import Path

import kzoo
from kzoo.utils.files import read_json, write_json

FILE = Path(kzoo.__file__).parent / "zoo" / "results" / "beside.json"


def write(row):
    """Write a row to the file. It replaces an earlier row of the same measurement."""
    kept = (
        [other for other in read_json(FILE) if other["what"] != row["what"]]
        if FILE.is_file()
        else []
    )
    write_json(FILE, [*kept, row])
