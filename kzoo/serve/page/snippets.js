// Code for a request: a shell command, and Python.

import { mediaOf, wantsToken } from "./server.js";

const TOKEN = "KZOO_TOKEN";

const generationUrl = (url) => url.replace(/answer$/, "generate");

/** Return a `curl` command. The token is read from the environment, so that it does not end up in the shell history. */
export function curl(url, input) {
  if (input.generation) {
    const token = wantsToken() ? [`-H "Authorization: Bearer $${TOKEN}"`] : [];
    const headers = ["-H 'Accept: text/event-stream'", "-H 'Content-Type: application/json'"];
    return [`curl -N ${shell(generationUrl(url))}`, ...token, ...headers, `--data-raw ${shell(JSON.stringify(input.generation))}`].join(" \\\n  ");
  }
  const parts = [`curl ${shell(url)}`];
  if (wantsToken()) parts.push(`-H "Authorization: Bearer $${TOKEN}"`);
  if (input.file) parts.push(`-H ${shell(`Content-Type: ${input.media ?? mediaOf(input.file)}`)}`, `--data-binary ${shell(`@${input.file.name}`)}`);
  else if (input.files) parts.push(...input.files.map((file) => `-F ${shell(`file=@"${file.name.replaceAll('"', '\\"')}"`)}`));
  else if (input.text !== undefined) parts.push(`-H 'Content-Type: text/csv'`, `--data-raw ${shell(input.text)}`);
  else parts.push(`-H 'Content-Type: application/json'`, `--data-raw ${shell(JSON.stringify({ inputs: input.json }))}`);
  return parts.join(" \\\n  ");
}

/** Return Python code that sends the request with `requests`. */
export function python(url, input) {
  const token = wantsToken();
  const headerArgument = (type) => {
    const all = [...(type ? [`"Content-Type": ${literal(type)}`] : []), ...(token ? [`"Authorization": f"Bearer {os.environ['${TOKEN}']}"`] : [])];
    return all.length ? `, headers={${all.join(", ")}}` : "";
  };
  const open = (file) => `open(${literal(file.name)}, "rb")`;
  let body, address = url, shown = "reply.json()";
  if (input.generation) {
    [address, shown] = [generationUrl(url), 'reply.json()["text"]'];
    body = `json=${literal(input.generation)}${headerArgument(null)}`;
  } else if (input.file) body = `data=${open(input.file)}${headerArgument(input.media ?? mediaOf(input.file))}`;
  else if (input.files) body = `files=[${input.files.map((file) => `("file", ${open(file)})`).join(", ")}]${headerArgument(null)}`;
  else if (input.text !== undefined) body = `data=${literal(input.text)}.encode()${headerArgument("text/csv")}`;
  else body = `json={"inputs": ${literal(input.json)}}${headerArgument(null)}`;
  return `${token ? "import os\n\n" : ""}import requests\n\nreply = requests.post(${literal(address)}, ${body})\nprint(${shown})`;
}

/** Return a text quoted as one word of a POSIX shell. */
function shell(text) {
  return /^[\w@:/.%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Return plain data as a Python literal. */
function literal(value) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([name, item]) => `${literal(name)}: ${literal(item)}`).join(", ")}}`;
  return JSON.stringify(value);
}
