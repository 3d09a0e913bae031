"""Models of each kind of input, and one server of all of them."""

import sys
import zipfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
from hand_made import write_digits, write_series
from served import GOLDEN, serving


@pytest.fixture(scope="session")
def exports(tmp_path_factory):
    """A folder with `digits` and `power`, made here, and `table`, `text` and `language`, of the golden ones."""
    home = tmp_path_factory.mktemp("exports")
    write_digits(home / "digits")
    write_series(home / "power")
    for name in ("table", "text", "language"):
        with zipfile.ZipFile(GOLDEN / name / "made.zip") as archive:
            archive.extractall(
                home / f".{name}", [n for n in archive.namelist() if n.startswith("export/")]
            )
        (home / f".{name}" / "export").rename(home / name)
    return home


@pytest.fixture(scope="session")
def server(exports, tmp_path_factory):
    names = ("digits", "power", "table", "text", "language")
    with serving(tmp_path_factory.mktemp("server"), *(exports / name for name in names)) as running:
        yield running
