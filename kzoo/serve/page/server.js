// Requests to this server, with its token where it wants one.

import { Problem } from "./dom.js";

const KEPT = "kzoo-token";
let token = kept();

function kept() {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    return ""; // a browser that keeps nothing
  }
}

export function setToken(word) {
  token = word;
  try {
    if (word) sessionStorage.setItem(KEPT, word);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // as above
  }
}

export function wantsToken() {
  return token !== "";
}

/** What the server has refused, in its own words. */
export class Refusal extends Error {
  constructor(status, why) {
    super(why);
    this.status = status;
  }
}

/** Ask for an address below this page. */
async function ask(path, options = {}) {
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
  const said = await response.json().catch(() => ({}));
  throw new Refusal(response.status, typeof said.error === "string" ? said.error : `HTTP ${response.status}`);
}

export async function models() {
  return (await (await ask("v1/models")).json()).models;
}

export async function about(place) {
  return (await ask(`${place}/about`)).json();
}

/** Return where a model, or one version of it, lies. */
export function placeOf(name, version = "") {
  const model = `v1/models/${encodeURIComponent(name)}`;
  return version ? `${model}/versions/${encodeURIComponent(version)}` : model;
}

/**
 * Ask a model.
 *
 * `given` is what a panel of `inputs.js` gives: `json`, or `file`, or `files`, or `text` in the form of a CSV.
 */
export async function answer(place, given, { signal, query = "", accept = "application/json" } = {}) {
  const [body, type] = bodyOf(given);
  const headers = type ? { "Content-Type": type, Accept: accept } : { Accept: accept };
  const response = await ask(`${place}/answer${query}`, { method: "POST", body, headers, signal });
  return accept === "application/json" ? response.json() : response.blob();
}

export function mediaOf(file) {
  return file.type || "application/octet-stream";
}

function bodyOf(given) {
  if (given.file) return [given.file, given.media ?? mediaOf(given.file)];
  if (given.files) {
    const form = new FormData();
    for (const file of given.files) form.append("file", file);
    return [form, null]; // the browser writes the boundary
  }
  if (given.text !== undefined) return [given.text, "text/csv"];
  return [JSON.stringify({ inputs: given.json }), "application/json"];
}
