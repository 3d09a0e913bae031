"""The HTML file: modules of scripts become two inline scripts, which the policy of the page names by their hashes."""

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
    """Return the page as HTML.

    Args:
        stored: what predictions need (see `description.stored_model`).
        facts: what the page shows (see `description.page_facts`).
        weights: of the network.
    """
    engine = _script(_ENGINE) + _PUBLIC
    app = _script(_APP)
    engine, app = (
        f"(() => {{\n'use strict';\nconst modules = {{}};\n{text}}})();\n" for text in (engine, app)
    )
    style = "".join(
        (folder / "style.css").read_text("utf-8")
        for folder in (_SERVED, _HERE)
        if (folder / "style.css").is_file()
    )
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hashed(engine)} {_hashed(app)}",
            f"style-src {_hashed(style)}",
            "worker-src blob:",
            "img-src data: blob:",
            "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    parts = {
        "policy": policy,
        "style": style,
        "engine": engine,
        "app": app,
        "model": _json(stored),
        "facts": _json(facts),
        "weights": base64.b64encode(weights).decode(),
    }
    template = (_HERE / "index.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _json(data: JsonObject) -> str:
    """Return JSON that can stand in a script element: a name from data cannot end the element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _hashed(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _script(name: str) -> str:
    """Return a module and those that it imports as one script, each as a function that returns what it exports."""
    written: dict[str, str] = {}
    _add(name, written)
    return "".join(written.values())


def _add(name: str, written: dict[str, str]) -> None:
    if name in written:
        return
    (path,) = [folder / name for folder in _FOLDERS if (folder / name).is_file()][:1]
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
