// CSV files, read as `kzoo/inference/tables/files/csv.py` reads them: encoding, separator, decimal sign, rows.

import { BLANK, isBlank, ModelError, plural, repr, shown, strip } from "./python.js";
import { MISSING } from "./numbers.js";

const NAMES = { gb18030: "GB18030 (Chinese)", "windows-1252": "Windows-1252 (Western European)" };
const LINES = 6, MAX_NOTES = 20, MOST_FILLED = 20_000_000;
const LATIN = /(?<![\x80-\xff])(?:[\x80\x85\x91-\x97\xa0-\xff](?![\x80-\xff])|(?<=[A-Za-z])[\xc0-\xff]{2}(?=[a-z])|(?<=[a-z])[\xd8-\xff]{2}(?![\x80-\xff])|(?<![A-Za-z\x80-\xff])[\xd8-\xff]{2}(?=[a-z]))/g;
const LEADING = new RegExp(`^[${BLANK}]+`);

/** Return the text of the bytes of a file. */
export function decoded(bytes, name, notes) {
  const decode = (encoding, fatal = true) => new TextDecoder(encoding, { fatal }).decode(bytes);
  const readable = (encoding) => {
    try {
      return decode(encoding);
    } catch {
      return null;
    }
  };
  let text = readable("utf-8");
  if (text === null && ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))) text = decode(bytes[0] === 0xff ? "utf-16le" : "utf-16be", false);
  if (text === null) {
    const chinese = readable("gb18030"), western = isMostlyLatin(bytes) ? cp1252(bytes, decode) : null;
    const encoding = western === null ? "gb18030" : "windows-1252";
    text = western ?? chinese;
    if (text === null) throw new ModelError(`Cannot detect the encoding of ${repr(name)}: it is not UTF-8, GB18030 or Windows-1252. Save it as UTF-8.`);
    notes.push(`${repr(name)} is not UTF-8 and was read as ${NAMES[encoding]}. If letters look wrong, save it as UTF-8.`);
  }
  return text.replaceAll("\r\n", "\n");
}

/** Windows-1252 of Python has no character for five bytes; that of browsers has control characters. */
function cp1252(bytes, decode) {
  return bytes.some((byte) => [0x81, 0x8d, 0x8f, 0x90, 0x9d].includes(byte)) ? null : decode("windows-1252");
}

function isMostlyLatin(bytes) {
  const text = Array.from({ length: Math.ceil(bytes.length / 8192) }, (_, i) => String.fromCharCode(...bytes.subarray(8192 * i, 8192 * (i + 1)))).join("");
  if (/[\x00-\x08\x0e-\x1f\x7f]/.test(text)) return false;
  return (text.match(LATIN) ?? []).length > (2 * (text.match(/[\x80-\xff]+/g) ?? []).length) / 3;
}

/**
 * Return the table of a CSV text: `names`, `columns` (name -> cells, null where missing), the `decimal` sign that it
 * shows ("" for none), and `words` (name -> row -> the word that was read as missing).
 */
export function readTable(text, name, notes) {
  const [separator, decimal] = sniffed(text, name);
  const { rows, closed } = csvRows(text, separator);
  if (!closed) throw new ModelError(`Cannot read ${repr(name)} as a table: a quotation mark is never closed.`);
  const lines = rows.filter((row) => row.length && !(row.length === 1 && isBlank(row[0]))); // not empty, nor blank
  const names = columnNames(lines[0], name, notes), surplus = lines.length > 1 ? lines[1].length - names.length : 0;
  let before = 0, behind = 0;
  if (surplus > 0 && !lines.some((line) => line.slice(names.length).some((cell) => strip(cell)))) {
    behind = surplus;
    notes.push(`Each row of ${repr(name)} ends with ${repr(separator)}, but its header does not. The empty cells are ignored.`);
  } else if (surplus > 0) {
    before = surplus;
    const first = surplus === 1 ? "first cell of each row is" : `first ${surplus} cells of each row are`;
    notes.push(`The header of ${repr(name)} is shorter than its rows. The ${first} treated as its name, not as a column.`);
  }
  const width = names.length + before + behind, count = lines.length - 1;
  if (count * width > Math.max(text.length, MOST_FILLED)) throw new ModelError(`${repr(name)} has ${width.toLocaleString("en-US")} columns, but most of its ${count.toLocaleString("en-US")} rows are shorter. If they were padded, the table would have ${(count * width).toLocaleString("en-US")} cells. Write complete rows, or remove columns without values.`);
  const long = lines.findIndex((line, i) => i && line.length > width);
  if (long > 0) throw new ModelError(`Cannot read ${repr(name)} as a table: row ${long} has ${lines[long].length} values instead of ${width}.`);
  if (!count) throw new ModelError(`${repr(name)} has no rows.`);
  const columns = new Map(), words = new Map();
  names.forEach((column, i) => {
    const missing = new Map();
    columns.set(column, lines.slice(1).map((line, row) => {
      const cell = line[i + before];
      if (cell === undefined) return null;
      if (!MISSING.has(cell)) return cell;
      if (cell) missing.set(row, cell);
      return null;
    }));
    words.set(column, missing);
  });
  return { names, columns, words, decimal: decimal ?? "", count };
}

function sniffed(text, name) {
  if (text.slice(0, 1000).includes("\0")) throw new ModelError(`${repr(name)} is not a text file. Tables must be CSV or Parquet files, or .xlsx workbooks.`);
  const parts = text.replace(LEADING, "").split("\n").slice(0, LINES);
  if (!strip(parts[0])) throw new ModelError(`${repr(name)} is empty. A table needs a header and at least one row.`);
  const bare = parts[0].replace(/"[^"]*"/g, ""), count = (sign) => bare.split(sign).length;
  const separator = [",", ";", "\t", "|"].reduce((best, sign) => (count(sign) > count(best) ? sign : best));
  if (separator === ",") return [separator, "."];
  const rows = parts.join("\n").replace(/^[^\r\n]*/, ""), decimal = decimalOf(rows);
  if (decimal) return [separator, decimal];
  const grouped = separator === ";" && /(^|;)-?[0-9]+,[0-9]{3}(?=;|$)/m.test(rows);
  return [separator, grouped ? "," : null];
}

/** Return the decimal sign that the cells of lines show, which are not separated by commas; "" if they show none. */
export function decimalOf(rows) {
  return [",", "."].find((decimal) => {
    const sign = decimal === "." ? "\\." : ",";
    const number = `(?:[0-9]+${sign}(?:[0-9]{1,2}|[0-9]{4,})|(?:0|[0-9]{4,})${sign}[0-9]{3})`;
    return new RegExp(`(^|[;\\t|])-?${number}(?=[;\\t|]|$)`, "m").test(rows);
  }) ?? "";
}

/** Return the rows of a CSV text, as the `csv` module of Python splits them, and whether all quotation marks are closed. */
function csvRows(text, separator) {
  const rows = [];
  let row = [], cell = "", state = "start";
  const end = () => {
    if (state !== "start" || row.length) row.push(cell);
    rows.push(row);
    [row, cell, state] = [[], "", "start"];
  };
  for (let position = 0; position < text.length; position += 1) {
    const character = text[position], isEnd = character === "\n" || character === "\r";
    if (state === "quoted") {
      if (character === '"') state = "quote";
      else cell += character;
    } else if (state === "quote" && character === '"') {
      cell += '"';
      state = "quoted";
    } else if (isEnd) {
      if (character === "\r" && text[position + 1] === "\n") position += 1;
      end();
    } else if (character === separator) {
      row.push(cell);
      [cell, state] = ["", "field"];
    } else if (character === '"' && (state === "start" || state === "field")) state = "quoted";
    else {
      cell += character;
      state = "text";
    }
  }
  if (state === "quoted") return { rows, closed: false };
  if (state !== "start" || row.length) end();
  return { rows, closed: true };
}

function columnNames(header, file, notes) {
  const names = new Set(), times = new Map(), renamed = [];
  header.forEach((cell, index) => {
    const original = strip(cell) || `Unnamed: ${index}`;
    let name = original;
    while (names.has(name)) {
      times.set(original, (times.get(original) ?? 0) + 1);
      name = `${original}.${times.get(original)}`;
    }
    if (name !== original) renamed.push(`Two columns of ${repr(file)} are named ${shown(original)}: column ${index + 1} is renamed to ${shown(name)}.`);
    names.add(name);
  });
  const more = renamed.length - MAX_NOTES;
  if (more > 0) renamed.splice(MAX_NOTES, more, `The same applies to ${plural(more, "more column")} of ${repr(file)}.`);
  notes.push(...renamed);
  return [...names];
}
