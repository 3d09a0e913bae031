// Texts become ids of the tokens of a vocabulary: see `kzoo/inference/kinds/text`.

import { listed, ModelError, repr, shown } from "./python.js";
import { codeIn, tableOfObjects } from "./rows.js";
import { charactersOf, wordsOf } from "./tokens.js";

const UNKNOWN = 1, NAMED = 5, LONG = 40, MOST = 12;

/** Return the texts of a table: those of the column that was learned, or of the only one. */
export function textsOf(reader, table, notes) {
  let name = reader.column ?? "text";
  if (!table.columns.has(name)) {
    if (table.names.length !== 1) throw new ModelError(`Column ${repr(name)} is missing. Columns: ${listed(table.names, MOST)}.`);
    name = onlyColumn(table.names[0], name, notes);
  }
  return table.columns.get(name).map((cell, row) => (cell === null ? table.words.get(name)?.get(row) ?? "" : String(cell)));
}

function onlyColumn(column, name, notes) {
  if (/\s|[.!?。！？…]$/u.test(column) || Array.from(column).length > LONG) {
    throw new ModelError(`The only column is called ${shown(column)}. If that is a text, add the header line ${repr(name)} above it. If it is a name, rename the column to ${repr(name)}.`);
  }
  if (column !== "text") notes.push(`The texts are read from ${repr(column)}, the only column, but training had them in ${repr(name)}. If ${repr(column)} is a text itself, add the header line ${repr(name)} above it.`);
  return column;
}

/** Return the ids of texts, one text after another; append notes for the user. */
export function encodeTexts(reader, texts, notes) {
  const { length } = reader, x = new Float32Array(texts.length * length), unknown = [];
  texts.forEach((text, row) => {
    const ids = idsOf(reader, text);
    x.set(ids, row * length);
    if (!ids.some((id) => id > UNKNOWN)) unknown.push(row + 1);
  });
  if (unknown.length) notes.push(unknownNote(reader, unknown, texts.length));
  return x;
}

function unknownNote(reader, rows, count) {
  const unit = reader.level === "characters" ? "character" : "word";
  if (count === 1) return `The text has no ${unit} that the model knows: its prediction is meaningless.`;
  const one = rows.length === 1, number = (value) => value.toLocaleString("en-US");
  return `${number(rows.length)} of ${number(count)} texts ${one ? "has" : "have"} no ${unit} that the model knows (row${one ? "" : "s"} ${listed(rows, NAMED)}): ${one ? "its prediction is" : "their predictions are"} meaningless.`;
}

function idsOf(reader, text) {
  const id = (token) => codeIn(reader.vocabulary, token);
  if (!reader.ngrams) return tokensOf(reader, text).slice(0, reader.length).map((token) => id(token) || UNKNOWN);
  const tokens = tokensOf(reader, text), between = reader.level === "characters" ? "" : " ", ids = new Set();
  for (let start = 0; start < tokens.length && ids.size < reader.length; start += 1) {
    ids.add(id(tokens[start]) || UNKNOWN);
    for (let size = 2; size <= reader.ngrams && start + size <= tokens.length; size += 1) ids.add(id(tokens.slice(start, start + size).join(between)));
    ids.delete(0);
  }
  return [...ids].slice(0, reader.length);
}

function tokensOf({ level, lowercase, punctuation }, text) {
  const written = lowercase ? text.toLowerCase() : text;
  if (level === "characters") return charactersOf(written);
  const tokens = wordsOf(written);
  return punctuation ? tokens : tokens.filter((token) => /^[\p{L}\p{N}]/u.test(token) || Array.from(token).length > 1);
}

/** Return the texts of an input: a list of texts or of objects, or a table. */
export function textsOfInput(reader, json, notes) {
  return json.every((text) => typeof text === "string") ? json : textsOf(reader, tableOfObjects(json), notes);
}
