"""The page: modules of scripts become two, for the engine and the page, in one HTML file or in files beside it.

The policy of the page names inline scripts by their hashes.
"""

import base64
import hashlib
import json
import re
from pathlib import Path

from kzoo.utils.files import JsonObject

_HERE = Path(__file__).parent
_SERVED = (
    _HERE.parents[2] / "serve" / "page"
)  # the page of the server, most of whose modules are used
_FOLDERS = (_HERE, _SERVED)
_INSTEAD = {"server.js": "local.js"}  # modules that this page replaces
_IMPORT = re.compile(r'^import (\{[^}]*\}|\* as \w+) from "\./([\w.]+)";\n', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|const|let|class) (\w+))", re.M)
_ENGINE = "model.js"
_APP = "app.js"
# for the page, its worker, the session that checks an export, and tests
_PUBLIC = """\
globalThis.kzooEngine = Object.assign({}, ...Object.values(modules));
if (typeof WorkerGlobalScope !== "undefined") kzooEngine.answerMessages(globalThis);
"""


def page(stored: JsonObject, facts: JsonObject, weights: bytes) -> str:
    """Return the page as one HTML file.

    Args:
        stored: what predictions need (see `description.stored_model`).
        facts: what the page shows (see `description.page_facts`).
        weights: of the network.
    """
    style, engine, app = _style(), _engine(), _app("inline.js")
    return _html(
        script=f"{_hashed(engine)} {_hashed(app)}",
        style=_hashed(style),
        worker="blob:",
        connect="'none'",
        parts={
            "style": f"<style>{style}</style>",
            "scripts": "\n".join(
                (
                    f'<script id="model" type="application/json">{_json(stored)}</script>',
                    f'<script id="facts" type="application/json">{_json(facts)}</script>',
                    f'<script id="weights" type="text/plain">{base64.b64encode(weights).decode()}</script>',
                    f'<script id="engine">{engine}</script>',
                    f'<script id="app">{app}</script>',
                )
            ),
        },
    )


def files(stored: JsonObject, facts: JsonObject, weights: bytes) -> dict[str, bytes]:
    """Return the same page as files for a web server: name -> content."""
    html = _html(
        script="'self'",
        style="'self'",
        worker="'self'",
        connect="'self'",
        parts={
            "style": '<link rel="stylesheet" href="style.css">',
            "scripts": '<script src="engine.js"></script>\n<script src="app.js"></script>',
        },
    )
    texts = {
        "index.html": html,
        "style.css": _style(),
        "engine.js": _engine(),
        "app.js": _app("fetched.js"),
        "model.json": _json(stored),
        "facts.json": _json(facts),
    }
    return {name: text.encode("utf-8") for name, text in texts.items()} | {"weights.bin": weights}


def _html(*, script: str, style: str, worker: str, connect: str, parts: dict[str, str]) -> str:
    """Return the template with its parts, and a policy of where scripts, style, workers and data come from."""
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {script}",
            f"style-src {style}",
            f"worker-src {worker}",
            "img-src data: blob:",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    parts = parts | {"policy": policy}
    template = (_HERE / "index.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _style() -> str:
    return "".join((folder / "style.css").read_text("utf-8") for folder in (_SERVED, _HERE))


def _engine() -> str:
    script = _script(_ENGINE, {}) + _PUBLIC
    return f"(() => {{\n'use strict';\nconst modules = {{}};\n{script}}})();\n"


def _app(reader: str) -> str:
    """Return the script of the page, which begins with the module that reads the parts of the page."""
    written: dict[str, str] = {}
    read = f'globalThis.kzooParts = await modules["{reader}"].readParts();\n'
    script = _script(reader, written) + read + _script(_APP, written)
    return f"(async () => {{\n'use strict';\nconst modules = {{}};\n{script}}})();\n"


def _json(data: JsonObject) -> str:
    """Return JSON that can stand in a script element: a name from data cannot end the element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _hashed(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _script(name: str, written: dict[str, str]) -> str:
    """Return a module and those that it imports, unless they are written, as a script.

    Each becomes a function that returns what it exports.
    """
    before = len(written)
    _add(name, written)
    return "".join(list(written.values())[before:])


def _add(name: str, written: dict[str, str]) -> None:
    if name in written:
        return
    path = next(folder / name for folder in _FOLDERS if (folder / name).is_file())
    text = path.read_text("utf-8")
    imports = []
    for names, module in _IMPORT.findall(text):
        module = _INSTEAD.get(module, module)
        _add(module, written)
        target = names.removeprefix("* as ")
        imports.append(f'const {target.replace(" as ", ": ")} = modules["{module}"];\n')
    exported = ", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub("", _IMPORT.sub("", text))
    written[name] = (
        f'modules["{name}"] = (() => {{\n{"".join(imports)}{body}return {{ {exported} }};\n}})();\n'
    )
