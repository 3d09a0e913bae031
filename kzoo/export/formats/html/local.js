// Predictions of the model in this page, in place of requests to a server; those of files are made in a worker.

const engine = globalThis.kzooEngine;
const { stored, weights, engineUrl } = globalThis.kzooParts;
const model = engine.createModel(stored, weights);
let last = { csv: [] }; // the latest table and its predictions

/** What the page shows of the model. */
export const facts = globalThis.kzooParts.facts;

/** The key of the text about where it computes. */
export const greeting = globalThis.kzooParts.greeting;

/** A line of the model about an input, in English. */
export class ServerError extends Error {}

/** Return the predictions of the model; see `server.js`. `progress` is called with the number of rows so far and of all. */
export async function predict(path, input, { signal, query = "", accept = "application/json", progress = () => {} } = {}) {
  const parameters = new URLSearchParams(query);
  const options = { top: Number(parameters.get("top") ?? Infinity), confidence: parameters.get("confidence"), minimum: Number(parameters.get("min_probability") ?? 0) };
  const key = `${options.confidence} ${options.minimum}`;
  if (accept === "text/csv" && last.input === input && last.key === key) return new Blob(last.csv, { type: "text/csv" });
  const result = input.json ? await here("predict", { json: input.json }, options) : await inWorker("predict", await contentsOf(input), options, signal, progress);
  signal?.throwIfAborted();
  last = { input, key, csv: result.csv };
  return accept === "text/csv" ? new Blob(result.csv, { type: "text/csv" }) : result;
}

/** Return why the model predicts what it predicts for a row of a table. */
export async function explain(path, input) {
  return inWorker("explain", { json: input.json }, {}, null, () => {});
}

async function contentsOf(input) {
  if (facts.input.facts.includes("pixels")) return { files: input.files ?? [input.file] };
  if (input.media === "text/plain") return { json: [await input.file.text()] }; // the file is a single text
  return input.file ? { bytes: new Uint8Array(await input.file.arrayBuffer()) } : { text: input.text };
}

async function here(task, content, options, progress) {
  try {
    return await model[task](content, options, progress);
  } catch (error) {
    throw error instanceof engine.ModelError ? new ServerError(error.message) : error;
  }
}

function inWorker(task, content, options, signal, progress) {
  let worker;
  const url = engineUrl();
  try {
    worker = new Worker(url);
  } catch { // a browser without workers for files
    URL.revokeObjectURL(url);
    return here(task, content, options, async (done, all) => {
      progress(done, all);
      await new Promise((resume) => { setTimeout(resume); });
      signal?.throwIfAborted();
    });
  }
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal?.addEventListener("abort", abort);
    worker.addEventListener("error", (event) => reject(new Error(event.message)));
    worker.addEventListener("message", ({ data }) => {
      if (data.result) resolve(data.result);
      else if (data.error !== undefined) reject(new ServerError(data.error));
      else if (data.fault !== undefined) reject(new Error(data.fault));
      else progress(data.done, data.all);
    });
    worker.postMessage({ stored, weights });
    worker.postMessage({ task, input: content, options });
  }).finally(() => {
    worker.terminate();
    URL.revokeObjectURL(url);
  });
}
