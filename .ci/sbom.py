"""Write a software bill of materials (CycloneDX 1.5, JSON) of kzoo and what it needs, from installed metadata.

python .ci/sbom.py OUT.json [--hash SHA256]     of the environment of this Python; standard library only

Required packages are those that an installation of kzoo brings, `optional` ones those of its extras that are installed.
A hash is known of kzoo's own wheel, and of packages that were installed from a file or an address.
https://cyclonedx.org/docs/1.5/json/
"""

import argparse
import datetime
import json
import os
import re
import sys
import uuid
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?[^;]*(?:;(.*))?", re.S)
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def normal(name):
    """Return a name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(dist):
    """Return (name, extras asked of it, marker, the extra that brings it or "") of each requirement."""
    asked_for = []
    for text in dist.requires or []:
        name, extras, marker = _REQUIREMENT.fullmatch(text).groups()
        extra = _EXTRA.search(marker or "")
        asked = [e.strip() for e in (extras or "").split(",") if e.strip()]
        asked_for.append((normal(name), asked, marker, extra[1] if extra else ""))
    return asked_for


def installed(name):
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def reached(name, with_extras):
    """Return {name: names that it needs} from a package on; `with_extras` of all its own extras too."""
    graph, todo = {}, [(name, None)]
    seen = set()
    while todo:
        name, extras = todo.pop()
        if (name, tuple(extras or ())) in seen:
            continue
        seen.add((name, tuple(extras or ())))
        needs = graph.setdefault(name, set())
        for other, asked, marker, extra in requirements(installed(name)):
            if extra and not (extras is None and with_extras) and extra not in (extras or ()):
                continue
            if other == "kzoo":
                continue
            if installed(other) is None:
                if not marker:
                    sys.exit(
                        f"This environment lacks {other}, which {name} needs: pip install {other}"
                    )
                continue  # for another system, Python or extra
            needs.add(other)
            todo.append((other, asked))
    return graph


def licences(dist):
    """Return the `licenses` of a component: an SPDX expression, else what the metadata says in words."""
    meta = dist.metadata
    if meta.get("License-Expression"):
        return [{"expression": meta["License-Expression"]}]
    classifiers = [c for c in meta.get_all("Classifier") or [] if c.startswith("License ::")]
    words = [
        c.rsplit(" :: ", 1)[1] for c in classifiers if c.rsplit(" :: ", 1)[1] != "OSI Approved"
    ]
    if not words and meta.get("License"):
        words = [meta["License"].strip().split("\n")[0][:100]]
    return [{"license": {"name": word}} for word in words]


def component(dist, scope, sha256=None):
    name = normal(dist.metadata["Name"])
    purl = f"pkg:pypi/{name}@{dist.version}"
    entry = {"type": "library", "bom-ref": purl, "name": name, "version": dist.version}
    if scope:
        entry["scope"] = scope
    origin = json.loads(dist.read_text("direct_url.json") or "{}").get("archive_info", {})
    sha256 = sha256 or origin.get("hashes", {}).get("sha256")
    if sha256:
        entry["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    if stated := licences(dist):
        entry["licenses"] = stated
    entry["purl"] = purl
    return entry


def bom(sha256=None, seconds=None):
    """Return the document as a dict; `seconds` since 1970 is its time."""
    required, everything = reached("kzoo", False), reached("kzoo", True)
    graph = {name: needs | required.get(name, set()) for name, needs in everything.items()}
    root = component(installed("kzoo"), None, sha256)
    refs = {name: component(installed(name), None)["bom-ref"] for name in graph}
    time = datetime.datetime.fromtimestamp(seconds or 0, datetime.UTC)
    seed = json.dumps([refs, sha256], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, seed)}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "kzoo .ci/sbom.py"}]},
            "component": root,
            "properties": [
                {"name": "kzoo:python", "value": ".".join(map(str, sys.version_info[:3]))},
                {"name": "kzoo:platform", "value": sys.platform},
            ],
        },
        "components": [
            component(installed(name), "required" if name in required else "optional")
            for name in sorted(graph)
            if name != "kzoo"
        ],
        "dependencies": [
            {"ref": refs[name], "dependsOn": sorted(refs[other] for other in needs)}
            for name, needs in sorted(graph.items())
        ],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--hash", help="SHA-256 of kzoo's wheel")
    arguments = parser.parse_args()
    if installed("kzoo") is None:
        sys.exit("kzoo is not installed in the environment of this Python.")
    document = bom(arguments.hash, int(os.environ.get("SOURCE_DATE_EPOCH", 0)))
    arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
