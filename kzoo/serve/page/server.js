// Requests to this server, with its token if it requires one.

import { Problem } from "./dom.js";

const STORAGE_KEY = "kzoo-token";
let token = storedToken();

function storedToken() {
  try {
    return sessionStorage.getItem(STORAGE_KEY) ?? "";
  } catch {
    return ""; // storage is disabled in this browser
  }
}

export function setToken(newToken) {
  token = newToken;
  try {
    if (newToken) sessionStorage.setItem(STORAGE_KEY, newToken);
    else sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // storage is disabled: the token is kept in memory only
  }
}

export function wantsToken() {
  return token !== "";
}

/** An error response, with the message of the server. */
export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Send a request to a path below this page; throw a `ServerError` unless the response is OK. */
async function request(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(new URL(path, document.baseURI), { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreachable");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new ServerError(response.status, typeof body.error === "string" ? body.error : `HTTP ${response.status}`);
}

export async function models() {
  return (await (await request("v1/models")).json()).models;
}

export async function about(path) {
  return (await request(`${path}/about`)).json();
}

/** Return the path of a model, or of one of its versions. */
export function pathOf(name, version = "") {
  const model = `v1/models/${encodeURIComponent(name)}`;
  return version ? `${model}/versions/${encodeURIComponent(version)}` : model;
}

/**
 * Return the predictions of a model.
 *
 * `input` comes from a panel of `inputs.js`: one of `json`, `file`, `files` and `text` (CSV).
 */
export async function predict(path, input, { signal, query = "", accept = "application/json" } = {}) {
  const [body, type] = bodyOf(input);
  const headers = type ? { "Content-Type": type, Accept: accept } : { Accept: accept };
  const response = await request(`${path}/answer${query}`, { method: "POST", body, headers, signal });
  return accept === "application/json" ? response.json() : response.blob();
}

/** Return why a model predicts what it predicts for one input, a row of a table or a text. */
export async function explain(path, input) {
  const [body, type] = bodyOf(input);
  return (await request(`${path}/explain`, { method: "POST", body, headers: { "Content-Type": type } })).json();
}

/**
 * Yield the texts that each token adds to a text, as the server streams them.
 *
 * `settings` are those of the endpoint: `prompt`, `length`, `temperature`, ...
 */
export async function* generate(path, settings, signal) {
  const headers = { "Content-Type": "application/json", Accept: "text/event-stream" };
  const response = await request(`${path}/generate`, { method: "POST", body: JSON.stringify(settings), headers, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let unread = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Problem("cutOff");
    });
    if (done) throw new Problem("cutOff"); // the last event has not arrived
    const events = (unread + value).split("\n\n");
    unread = events.pop();
    for (const event of events) {
      const lines = event.split("\n");
      const { text, error } = JSON.parse(lines.find((line) => line.startsWith("data: ")).slice(6));
      if (error !== undefined) throw new ServerError(500, error);
      if (lines.includes("event: end")) return;
      yield text;
    }
  }
}

export function mediaOf(file) {
  return file.type || "application/octet-stream";
}

function bodyOf(input) {
  if (input.file) return [input.file, input.media ?? mediaOf(input.file)];
  if (input.files) {
    const form = new FormData();
    for (const file of input.files) form.append("file", file);
    return [form, null]; // the browser adds the content type with the boundary
  }
  if (input.text !== undefined) return [input.text, "text/csv"];
  return [JSON.stringify({ inputs: input.json }), "application/json"];
}
