"""Tables from files, as pandas reads them; what text files look like is in `textfile.py`."""

import io
from pathlib import Path

import pandas as pd

from kzoo.errors import KzooError
from kzoo.kinds.files import read_csv_text


def read_table(path):
    """Return a CSV file as a DataFrame; the separator (comma, semicolon or tab) is found in the first line.

    Raises:
        KzooError: not a table.
    """
    text, separator, decimal = read_csv_text(path)
    name = Path(path).name
    try:
        frame = pd.read_csv(io.StringIO(text), sep=separator, decimal=decimal, low_memory=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise KzooError(f"{name!r} is not a readable table: {str(error).strip().splitlines()[-1]}") from None
    frame.columns = [str(column).strip() for column in frame.columns]
    if not len(frame):
        raise KzooError(f"{name!r} has a header but no rows.")
    return frame
