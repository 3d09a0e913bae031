"""Print the oldest versions of all dependencies that setup.cfg allows, as a pip constraints file.

python .ci/oldest.py > oldest.txt && pip install -e ".[dev,onnx,litert]" -c oldest.txt
"""

import configparser
import re
from pathlib import Path

config = configparser.ConfigParser()
config.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
extras = config["options.extras_require"]
asked = [
    config["options"]["install_requires"],
    *(extras[name] for name in extras if name not in ("gpu", "dev", "docs")),
]
for line in "\n".join(asked).splitlines():
    if found := re.match(r"([A-Za-z0-9_-]+)(\[.*?\])?>=([\d.]+)", line.strip()):
        print(f"{found[1]}=={found[3]}.*")
