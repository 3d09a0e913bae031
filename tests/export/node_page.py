"""The engine of an exported page in Node.js: it answers cases as a page in a browser does."""

import json
import re
import shutil
import subprocess

import pytest

from kzoo.export.formats.html import bundle

_BEGIN = """
const { readFileSync } = require("fs"), { runInThisContext } = require("vm");
const { engine: script, given } = JSON.parse(readFileSync(0, "utf-8"));
runInThisContext(script);
const engine = globalThis.kzooEngine;
async function answered(make) {
  try {
    return await make();
  } catch (error) {
    return error instanceof engine.ModelError ? { error: error.message } : { fault: error.stack };
  }
}
async function answerAll(cases, answer) {
  const answers = [];
  for (const one of cases) answers.push(await answered(() => answer(one)));
  process.stdout.write(JSON.stringify(answers));
}
"""
_PREDICT = """
const weights = Uint8Array.from(Buffer.from(given.weights, "base64")).buffer;
const { predict } = engine.createModel(JSON.parse(given.model), weights);
answerAll(given.cases, ({ input, options }) => {
  if (input.base64) input.bytes = engine.bytesOf(input.base64);
  return predict(input, { top: 20, confidence: null, minimum: 0, ...options });
});
"""


def answers(exported, cases):
    """Return what the page of an export answers to cases: `input` and `options` each."""
    html = (exported.path / "html" / "model.html").read_text("utf-8")
    parts = {
        name: re.search(rf'<script id="{name}"[^>]*>(.*?)</script>', html, re.S)[1]
        for name in ("engine", "model", "weights")
    }
    given = {"model": parts["model"], "weights": parts["weights"], "cases": cases}
    return run(_PREDICT, given, engine=parts["engine"])


def run(script, given, engine=None):
    """Return what a script prints as JSON, which has the `engine` of pages, and what is `given`."""
    if (node := shutil.which("node")) is None:
        pytest.skip("there is no Node.js")
    content = json.dumps({"engine": engine or bundle._engine(), "given": given})
    done = subprocess.run(
        [node, "-e", _BEGIN + script], input=content.encode(), capture_output=True, check=True
    )
    return json.loads(done.stdout)
