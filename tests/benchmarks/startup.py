"""How long a name takes: `import kzoo; kzoo.list_presets()` over bare Python, and `kzoo list` as a process."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 15


def seconds(command):
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main():
    python = [sys.executable, "-c"]
    beside = Path(sys.executable).parent / ("kzoo.exe" if os.name == "nt" else "kzoo")
    command = [str(beside) if beside.exists() else shutil.which("kzoo"), "list"]
    bare, listed, whole = [], [], []
    for _ in range(ROUNDS):
        bare.append(seconds([*python, "pass"]))
        listed.append(seconds([*python, "import kzoo; kzoo.list_presets()"]))
        whole.append(seconds(command))
    print(
        json.dumps(
            {
                "what": "import and list over bare Python",
                "ms": round(1e3 * (min(listed) - min(bare)), 1),
                "bar": 60,
            }
        )
    )
    print(json.dumps({"what": "kzoo list, whole process", "s": round(min(whole), 3), "bar": 0.35}))


if __name__ == "__main__":
    main()
