// Runs the engine of a page in Node.js: each line of standard input is a request, each line of standard output its answer.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { runInThisContext } from "node:vm";

const html = readFileSync(process.argv[2], "utf-8");
const part = (id) => html.match(new RegExp(`<script id="${id}"[^>]*>([^]*?)</script>`))[1];
runInThisContext(part("engine"));
const stored = JSON.parse(part("model"));
const engine = globalThis.kzooEngine, run = engine.network(stored.network, engine.bytesOf(part("weights")).buffer);

for await (const line of createInterface({ input: process.stdin })) {
  const answer = {};
  try {
    const { rows, count } = JSON.parse(line);
    if (rows === undefined) answer.version = process.version;
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
