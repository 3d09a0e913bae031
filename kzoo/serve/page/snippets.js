// The same question for a shell and for Python.

import { mediaOf, wantsToken } from "./server.js";

const TOKEN = "KZOO_TOKEN";

/** Return commands for `curl`; the token is taken from the environment, so that it is in no history. */
export function curl(url, given) {
  const parts = [`curl ${shell(url)}`];
  if (wantsToken()) parts.push(`-H "Authorization: Bearer $${TOKEN}"`);
  if (given.file) parts.push(`-H ${shell(`Content-Type: ${given.media ?? mediaOf(given.file)}`)}`, `--data-binary ${shell(`@${given.file.name}`)}`);
  else if (given.files) parts.push(...given.files.map((file) => `-F ${shell(`file=@"${file.name.replaceAll('"', '\\"')}"`)}`));
  else if (given.text !== undefined) parts.push(`-H 'Content-Type: text/csv'`, `--data-raw ${shell(given.text)}`);
  else parts.push(`-H 'Content-Type: application/json'`, `--data-raw ${shell(JSON.stringify({ inputs: given.json }))}`);
  return parts.join(" \\\n  ");
}

export function python(url, given) {
  const token = wantsToken();
  const head = (type) => {
    const all = [...(type ? [`"Content-Type": ${literal(type)}`] : []), ...(token ? [`"Authorization": f"Bearer {os.environ['${TOKEN}']}"`] : [])];
    return all.length ? `, headers={${all.join(", ")}}` : "";
  };
  const open = (file) => `open(${literal(file.name)}, "rb")`;
  let sent;
  if (given.file) sent = `data=${open(given.file)}${head(given.media ?? mediaOf(given.file))}`;
  else if (given.files) sent = `files=[${given.files.map((file) => `("file", ${open(file)})`).join(", ")}]${head(null)}`;
  else if (given.text !== undefined) sent = `data=${literal(given.text)}.encode()${head("text/csv")}`;
  else sent = `json={"inputs": ${literal(given.json)}}${head(null)}`;
  return `${token ? "import os\n\n" : ""}import requests\n\nreply = requests.post(${literal(url)}, ${sent})\nprint(reply.json())`;
}

/** Return a text as one word of a POSIX shell. */
function shell(text) {
  return /^[\w@:/.%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Return plain data as Python writes it. */
function literal(value) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([name, one]) => `${literal(name)}: ${literal(one)}`).join(", ")}}`;
  return JSON.stringify(value);
}
