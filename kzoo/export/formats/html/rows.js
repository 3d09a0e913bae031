// Rows of a table become numbers, by the stored columns: see `kzoo/inference/kinds/rows/inference.py`.

import { datePart, dayFirstOfNewRows, localTimes, minutesIn, toDates, zoneNotes } from "./dates.js";
import { hint } from "./near_names.js";
import { MISSING, possibleNumbers, readNumbers, textsOf, unseenThousands } from "./numbers.js";
import { bytesOf, checkFinite, general, listed, ModelError, plural, repr, shown, strip } from "./python.js";
import { sha256 } from "./sha256.js";
import { hashedIds } from "./tokens.js";

const MOST = 12, SHOWN = 3, MIN_UNREAD = 5;
const HASH_BYTES = 6;
const DECIMAL_NAMES = { ",": "commas", ".": "points" };

/** Return a table of objects with a cell each per column: numbers, texts, or null. */
export function tableOfObjects(objects) {
  const names = [...new Set(objects.flatMap((row) => Object.keys(row)))];
  const cells = (name) => objects.map((row) => (Object.hasOwn(row, name) ? row[name] ?? null : null));
  return { names, columns: new Map(names.map((name) => [name, cells(name)])), words: new Map(), decimal: null, count: objects.length };
}

/** Return the encoded rows, an array of 32-bit numbers for all of them; append notes for the user. */
export function encodeRows(reader, table, notes) {
  const missing = reader.columns.filter((column) => !table.columns.has(column.name)).map((column) => column.name);
  if (missing.length) {
    const known = new Set(reader.columns.map((column) => column.name)), near = hint(missing[0], table.names.filter((name) => !known.has(name)));
    throw new ModelError(strip(`Column ${repr(missing[0])} is missing. The columns are: ${listed(table.names, MOST)}. ${near}`));
  }
  const features = [], unread = [], checked = [];
  const learned = reader.columns.map((column) => (column.kind === "date" ? withDateFormat(reader, column, table, notes) : column));
  for (const column of learned) {
    const cells = table.columns.get(column.name);
    if (column.kind === "text") {
      features.push(...textIds(column, cells));
      continue;
    }
    if (column.kind === "category") {
      const [codes, words] = categoryCodes(column, table);
      features.push(codes);
      unread.push([column, words, unreadable(words, codes, (code) => code === 0)]);
      continue;
    }
    const values = valuesOf(column, cells, table.decimal), rows = unreadable(cells, values[0], Number.isNaN);
    unread.push([column, cells, rows]);
    checked.push([column, cells, rows, values[0].filter(Number.isNaN).length - rows.length]);
    features.push(...filled(column, values));
  }
  for (const [column, cells, rows, empty] of checked) {
    checkReadable(column, cells, rows, table.count - empty);
    if (!column.missing && empty > table.count / 2) {
      const [are, replaced] = empty === 1 ? ["is", "It is replaced"] : ["are", "They are replaced"];
      notes.push(`Column ${repr(column.name)}: ${empty} of ${plural(table.count, "value")} ${are} missing, but none was missing in training. ${replaced} by the median of the training rows.`);
    }
    if (column.writing && table.decimal !== null) notes.push(...thousandsNote(column, cells, table.decimal));
  }
  for (const [column, cells, rows] of unread) if (rows.length) notes.push(unreadNote(column, cells, rows, table.count));
  const x = new Float32Array(table.count * features.length);
  features.forEach((values, feature) => values.forEach((value, row) => { x[row * features.length + feature] = value; }));
  checkFinite(x, features.length);
  return x;
}

/** Return a date column with the order of day and month of the new rows, its time zone, and the offsets of its cells. */
function withDateFormat(reader, column, table, notes) {
  const { name } = column, cells = table.columns.get(name);
  const learned = column.day_first || ((reader.month_first ?? []).includes(name) ? false : null);
  const dayFirst = dayFirstOfNewRows(name, cells, notes, learned);
  const zone = Object.hasOwn(reader.zones, name) ? reader.zones[name] : null;
  const minutes = zone === null ? null : minutesIn(cells, dayFirst);
  if (minutes) notes.push(...zoneNotes(name, zone, cells, minutes, dayFirst));
  return { ...column, day_first: dayFirst, zone, minutes };
}

/** Return the codes of a category column, and its cells as far as they are no missing values. */
function categoryCodes(column, table) {
  const written = table.words.get(column.name), isBlank = column.words.includes("");
  const cells = table.columns.get(column.name).map((cell, row) => {
    if (cell !== null || !written) return cell;
    const word = written.get(row);
    if (word === undefined) return isBlank ? "" : null;
    return column.words.includes(word) ? word : null;
  });
  const known = new Map();
  const codes = Float64Array.from(cells, (cell) => {
    if (cell === null) return 0;
    if (!known.has(cell)) {
      const word = strip(String(cell)).replaceAll("\r\n", "\n");
      known.set(cell, codeIn(column, word));
    }
    return known.get(cell);
  });
  return [codes, cells];
}

/** Return the ids of the texts of a column: an array for each position in a text, with zeros after its end. */
function textIds(column, cells) {
  const positions = Array.from({ length: column.length }, () => new Float64Array(cells.length));
  cells.forEach((cell, row) => {
    if (cell === null || MISSING.has(strip(String(cell)))) return;
    hashedIds(String(cell), column.buckets, column.length).forEach((id, position) => { positions[position][row] = id; });
  });
  return positions;
}

const codes = new WeakMap(); // a stored vocabulary -> word -> code
const hashedCodes = new WeakMap(); // a stored vocabulary -> hash -> code

/** Return the code of a word of a column, or of a token of a vocabulary, some of which are stored as hashes; 0 for others. */
export function codeIn(stored, word) {
  if (!codes.has(stored)) codes.set(stored, new Map([...stored.values.map((value, i) => [value, stored.codes[i]]), ...stored.spellings]));
  const known = codes.get(stored);
  if (!known.has(word)) known.set(word, stored.hashed.hashes ? hashedCode(stored.hashed, word) : 0);
  return known.get(word);
}

function hashedCode(hashed, word) {
  if (!hashedCodes.has(hashed)) {
    const bytes = bytesOf(hashed.hashes), known = new Map();
    for (let i = 0; i < bytes.length / HASH_BYTES; i += 1) {
      const hash = Array.from(bytes.subarray(HASH_BYTES * i, HASH_BYTES * (i + 1)), (byte) => byte.toString(16).padStart(2, "0")).join("");
      known.set(hash, hashed.codes ? hashed.codes[i] : hashed.first + i);
    }
    hashedCodes.set(hashed, known);
  }
  return hashedCodes.get(hashed).get(sha256(`${hashed.salt}${word}`).slice(0, 2 * HASH_BYTES)) ?? 0;
}

function valuesOf(column, cells, decimal) {
  if (column.kind === "number") return [readNumbers(cells, column.writing ?? null, decimal)];
  const times = "zoned" in column ? localTimes(cells, column.day_first, column.zone, column.minutes ?? new Float64Array(cells.length).fill(NaN)) : toDates(cells, column.day_first);
  return Object.keys(column.medians).map((part) => datePart(times, part));
}

/** Return the features of a number or date column: missing values are filled in, and marked if training had any. */
function filled(column, values) {
  const medians = column.kind === "date" ? Object.values(column.medians) : [column.median];
  const isMissing = values[0].map(Number.isNaN), limited = "low" in column;
  const features = values.map((part, i) => part.map((value, row) => {
    const number = isMissing[row] ? medians[i] : value;
    return limited ? Math.min(Math.max(number, column.low), column.high) : number;
  }));
  return column.missing ? [...features, isMissing] : features;
}

/** Return the rows whose cells hold something that was not read. */
export function unreadable(cells, values, isUnread) {
  const rows = [];
  values.forEach((value, row) => {
    const cell = cells[row];
    if (isUnread(value) && cell !== null && !(typeof cell === "string" && MISSING.has(strip(cell)))) rows.push(row);
  });
  return rows;
}

function examplesOf(cells, rows) {
  return rows.slice(0, SHOWN).map((row) => `row ${row + 1}: ${shown(cells[row])}`);
}

function checkReadable(column, cells, rows, count) {
  if (column.unreadable || rows.length < MIN_UNREAD || rows.length <= count / 2) return;
  const examples = `, such as ${listed(examplesOf(cells, rows))}`;
  throw new ModelError(`The model reads column ${repr(column.name)} as a ${column.kind}, but ${rows.length} of ${plural(count, "value")} cannot be read as one${examples}.${ambiguityHint(column, cells, rows)} Write them as in the training data, and leave cells without a value empty.`);
}

/** Return the note about the cells of a column that count as missing. */
export function unreadNote(column, cells, rows, count) {
  const one = rows.length === 1, examples = examplesOf(cells, rows);
  const reason = column.kind === "category" ? (one ? "is a category not seen in training" : "are categories not seen in training") : `cannot be read as a ${column.kind}`;
  const more = rows.length > examples.length ? ` and ${rows.length - examples.length} more` : "";
  return `Column ${repr(column.name)}: ${rows.length} of ${plural(count, "value")} ${reason} and ${one ? "counts" : "count"} as missing (${examples.join(", ")}${more}).${ambiguityHint(column, cells, rows)}`;
}

/** Return a sentence about the first cell that may be one of two numbers, and how to write either. */
function ambiguityHint(column, cells, rows) {
  const stored = column.writing ?? null;
  for (const row of rows.slice(0, SHOWN)) {
    const numbers = possibleNumbers(cells[row], stored);
    if (numbers.length) {
      const [low, high] = numbers.map((number) => general(number, 12)), sign = stored?.decimal ?? "";
      return ` ${shown(cells[row])} may be ${low} or ${high}: write ${sign ? `${low.replace(".", sign)} or ${high}` : high}, or pass numbers instead of texts.`;
    }
  }
  return "";
}

function thousandsNote(column, cells, decimal) {
  const ambiguous = unseenThousands(textsOf(cells), column.writing, decimal);
  if (!ambiguous) return [];
  const [cell, number, other] = ambiguous, sign = column.writing.decimal;
  return [`Column ${repr(column.name)}: ${repr(cell)} is read as ${general(number, 12)}, because the file uses decimal ${DECIMAL_NAMES[sign]}; the training data has no thousands separators. If it is ${general(other, 12)}, write ${general(other, 12).replace(".", sign)}.`];
}
