"""Measure the first installation of kzoo: seconds, and megabytes by package. Written to docs/reference/installation.md.

python .ci/sizes.py                 print a table of each way to install, in a fresh environment of this Python
python .ci/sizes.py --write         write the tables into the page, with machine and date

Packages are downloaded anew (`pip --no-cache-dir`), so seconds depend on the connection. Sizes are those of the files
that a package has installed, in 10**6 bytes, with compiled Python files. Standard library only; needs disk.
"""

import argparse
import datetime
import json
import os
import platform
import re
import sys
import tempfile
import time
from pathlib import Path

from light import Environment, commands

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "installation.md"
BEGIN, END = "<!-- sizes -->", "<!-- end of sizes -->"
SHOWN = 12  # packages with a row of their own
# Title -> `pip install` commands.
WAYS = {
    "Everything that kzoo needs": ["pip install ."],
    "Exported models with ONNX Runtime, and the server": commands("onnxruntime"),
    "Presets and measured scores only": commands("numpy"),
}
_SIZES = """
import importlib.metadata as m, json, pathlib
sizes = {}
for dist in m.distributions():
    files = {pathlib.Path(dist.locate_file(f)).resolve() for f in dist.files or []}
    size = sum(f.stat().st_size for f in files if f.is_file())
    sizes[dist.metadata["Name"]] = [dist.version, size]
print(json.dumps(sizes))
"""


def measure(lines):
    """Return (seconds, {package: (version, bytes)}) of a way to install."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(Path(folder) / "env")
        start = time.perf_counter()
        for line in lines:
            environment.install(line.replace("pip install", "pip install --no-cache-dir"), None)
        seconds = time.perf_counter() - start
        return seconds, json.loads(environment.run(environment.python, "-c", _SIZES).stdout)


def table(title, lines):
    seconds, sizes = measure(lines)
    total = sum(size for _, size in sizes.values())
    rows = sorted(sizes.items(), key=lambda item: -item[1][1])
    text = [f"### {title}", ""]
    text += [f"{total / 1e6:,.0f} MB in {len(rows)} packages, {seconds:.0f} s.", ""]
    text += ["| package | version | MB |", "|---|---|---:|"]
    text += [f"| {name} | {v} | {size / 1e6:,.1f} |" for name, (v, size) in rows[:SHOWN]]
    rest = rows[SHOWN:]
    if rest:
        more = sum(size for _, (_, size) in rest) / 1e6
        text.append(f"| {len(rest)} others | | {more:,.1f} |")
    return "\n".join([*text, ""])


def machine():
    day = datetime.date.today()
    processor = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        name = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())
        processor = name[1] if name else processor
    return (
        f"Measured by `python .ci/sizes.py --write` on {day.day} {day:%B %Y}: Python {platform.python_version()}, "
        f"{platform.system()}, {os.cpu_count()} threads of {processor}.\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the tables into the page")
    write = parser.parse_args().write
    text = "\n".join([machine(), *(table(title, lines) for title, lines in WAYS.items())])
    if not write:
        sys.exit(print(text))
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
