// Runs the engine of a page in Node.js: each line of standard input is a request, each line of standard output its answer.

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { runInThisContext } from "node:vm";

const path = process.argv[2], parts = statSync(path).isDirectory() ? partsOfFolder() : partsOfFile();
runInThisContext(parts.engine);
const model = JSON.parse(parts.model);
const run = globalThis.kzooEngine.network(model.network, Uint8Array.from(parts.weights).buffer);

function partsOfFile() {
  const html = readFileSync(path, "utf-8");
  const part = (id) => html.match(new RegExp(`<script id="${id}"[^>]*>([^]*?)</script>`))[1];
  return { engine: part("engine"), model: part("model"), weights: Buffer.from(part("weights"), "base64") };
}

function partsOfFolder() {
  const file = (name) => readFileSync(join(path, name));
  return { engine: file("engine.js").toString(), model: file("model.json").toString(), weights: file("weights.bin") };
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = {};
  try {
    const { rows, count } = JSON.parse(line);
    if (rows === undefined) Object.assign(answer, { version: process.version, horizon: model.horizon ?? "" });
    else {
      const bytes = Buffer.from(rows, "base64"), x = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)), width = x.length / count;
      const outputs = Float32Array.from(Array.from({ length: count }, (_, row) => Array.from(run(x.subarray(row * width, (row + 1) * width)))).flat());
      answer.outputs = Buffer.from(outputs.buffer).toString("base64");
    }
  } catch (error) {
    answer.error = String(error.message);
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
