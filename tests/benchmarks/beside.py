"""Where scores of other programs are kept, to stand beside kzoo's own."""

from pathlib import Path

import kzoo
from kzoo.utils.files import read_json, write_json

FILE = Path(kzoo.__file__).parent / "results" / "beside.json"


def write(row):
    """Put a row into the file, in place of the one that says the same of another day."""
    kept = [other for other in read_json(FILE) if other["what"] != row["what"]] if FILE.is_file() else []
    write_json(FILE, [*kept, row])
