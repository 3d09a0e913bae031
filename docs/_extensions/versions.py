"""Write `versions.js`, from which pages fill their menu of versions: `python docs/_extensions/versions.py SITE`.

The site of the development version is in the folder itself, that of a release in a folder with its name. Each has
`pages.json`, the names of its pages.
"""

import json
import sys
from pathlib import Path

DEVELOPMENT = "dev"


def script(site: Path) -> str:
    """Return `versions.js`: name, folder and pages of each version, the newest first."""
    folders = [site, *sorted((path.parent for path in site.glob("*/pages.json")), reverse=True)]
    versions = [
        {
            "name": DEVELOPMENT if folder == site else folder.name,
            "folder": "" if folder == site else f"{folder.name}/",
            "pages": json.loads((folder / "pages.json").read_text(encoding="utf-8")),
        }
        for folder in folders
        if (folder / "pages.json").is_file()
    ]
    return f"const kzooVersions = {json.dumps(versions)};\n"


if __name__ == "__main__":
    Path(sys.argv[1], "versions.js").write_text(script(Path(sys.argv[1])), encoding="utf-8")
