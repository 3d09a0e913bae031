// Labelled series: the rows of a table become series, and these numbers: see
// `kzoo/inference/kinds/labelled_series/inference.py`.

import { decimalOf } from "./csv_files.js";
import { hint } from "./near_names.js";
import { MISSING, readNumbers } from "./numbers.js";
import { checkFinite, listed, ModelError, plural, repr, shown, strip } from "./python.js";
import { unreadable, unreadNote } from "./rows.js";
import { timeFormatOf, timesAndZone } from "./times.js";

const MOST = 12, UNEVEN = 1.5;
const NUMBER = /^[+-]?(?:\d|[.,]\d)[\d.,]*(?:e[+-]?\d+)?$/i;

/** Return the table of pasted numbers without a header, for a model of one column; null if the text is something else. */
export function tableOfNumbers(reader, text) {
  const [name] = reader.columns, content = strip(text);
  let words = content.split(/[\s;]+/).map((word) => word.replace(/,$/, ""));
  if (words.length === 1 && /,.*,/.test(content)) words = content.split(",");
  if (reader.columns.length > 1 || words[0] === name || !NUMBER.test(words[0]) || !words.every((word) => NUMBER.test(word) || MISSING.has(word))) return null;
  const cells = words.map((word) => (MISSING.has(word) ? null : word));
  return { names: [name], columns: new Map([[name, cells]]), words: new Map(), decimal: decimalOf(words.join(";")), count: cells.length };
}

/**
 * Return `x`, the encoded series one after another, their `names`, and `series`: the columns of the first one, as far as
 * the network reads it. Append notes for the user.
 */
export function encodeSeries(reader, table, notes) {
  let { series, names } = seriesOf(reader, table, notes);
  if (reader.segment) ({ series, names } = segmentsOf(series, names, reader.segment, notes));
  const { steps, padded } = reader, count = reader.columns.length, width = count + (padded ? 1 : 0);
  const lengths = series.map((columns) => columns[0].length);
  const wrong = lengths.flatMap((length, i) => ((padded ? length > steps : length !== steps) ? [i] : []));
  if (wrong.length && !padded) {
    throw new ModelError(`Series ${repr(names[wrong[0]])} has ${plural(lengths[wrong[0]], "step")}, but all series of the training have ${steps}. Pass series of ${steps} steps.`);
  }
  if (wrong.length) notes.push(`${plural(wrong.length, "series")} longer than the ${steps} steps of the training cut at the end: ${listed(wrong.map((i) => repr(names[i])))}.`);
  const x = new Float32Array(series.length * steps * width);
  series.forEach((columns, number) => {
    for (let step = 0; step < Math.min(lengths[number], steps); step += 1) {
      const at = (number * steps + step) * width;
      columns.forEach((values, column) => { x[at + column] = values[step]; });
      if (padded) x[at + count] = 1;
    }
  });
  checkFinite(x, steps * width);
  return { x, names, series: reader.columns.map((name, i) => ({ name, values: Array.from(series[0][i].slice(0, steps)) })) };
}

/** Return the series of a table, an array for each of their columns, and their names. */
function seriesOf(reader, table, notes) {
  require(table, reader.columns);
  const ids = reader.ids.filter((name) => table.columns.has(name));
  if (ids.length) require(table, reader.ids);
  let { time } = reader;
  if (time !== null && !table.columns.has(time)) {
    notes.push(`There is no time column ${repr(time)}. The rows are assumed to be in order of time.`);
    time = null;
  }
  const panel = panelOf(table, ids, time, reader.times, notes), lines = [];
  const read = reader.columns.map((name) => {
    const cells = table.columns.get(name), writing = reader.writings[name] ?? null;
    const values = readNumbers(cells, writing, table.decimal), rows = unreadable(cells, values, Number.isNaN);
    if (rows.length) lines.push(unreadNote({ name, kind: "number", writing }, cells, rows, table.count));
    return values;
  });
  const series = panel.rows.map((rows) => read.map((values) => filled(rows.map((row) => values[row]))));
  series.forEach((columns, number) => {
    const empty = columns.findIndex((values) => values === null);
    if (empty >= 0) throw new ModelError(`Series ${repr(panel.names[number])} has no number in column ${repr(reader.columns[empty])}. Remove the series.`);
  });
  const missing = read.reduce((sum, values) => sum + values.filter(Number.isNaN).length, 0);
  if (missing) lines.push(`${plural(missing, "missing value")} ${missing === 1 ? "was" : "were"} replaced by the last value before ${missing === 1 ? "it" : "them"}.`);
  notes.push(...lines);
  return { series, names: panel.names };
}

function require(table, names) {
  const missing = names.find((name) => !table.columns.has(name));
  if (missing === undefined) return;
  const near = hint(missing, table.names);
  throw new ModelError(`Column ${repr(missing)} is not in the series. ${near ? `${near} ` : ""}Columns: ${listed(table.names, MOST)}.`);
}

/** Return the `names` of series, in the order in which they appear, and the `rows` of each in order of time. */
function panelOf(table, ids, time, learned, notes) {
  const words = ids.map((name) => table.columns.get(name).map((cell, row) => {
    if (cell === null) throw new ModelError(`series_id=${repr(name)} is missing in row ${row + 1}. Fill it in.`);
    return typeof cell === "number" ? repr(cell) : strip(cell).replaceAll("\r\n", "\n");
  }));
  const numbers = new Map(), names = [], rows = [];
  for (let row = 0; row < table.count; row += 1) {
    const key = words.map((column) => column[row]), code = JSON.stringify(key);
    if (!numbers.has(code)) {
      numbers.set(code, names.length);
      names.push(ids.length ? key.join(" / ") : "1");
      rows.push([]);
    }
    rows[numbers.get(code)].push(row);
  }
  if (time !== null) sortByTime(table.columns.get(time), time, learned, { names, rows }, ids.length > 0, notes);
  return { names, rows };
}

function sortByTime(cells, time, learned, { names, rows }, hasIds, notes) {
  const { times } = timesAndZone(time, cells, timeFormatOf(time, cells, notes, learned)), steps = [];
  for (const own of rows) own.sort((a, b) => times[a] - times[b] || a - b);
  rows.forEach((own, number) => own.slice(1).forEach((row, i) => {
    const step = times[row] - times[own[i]];
    if (step === 0) {
      const series = hasIds ? `Series ${repr(names[number])}` : "Without an id column the table is a series, which";
      throw new ModelError(`${series} has two rows with ${repr(time)} = ${shown(String(cells[own[i]]))}: rows ${own[i] + 1} and ${row + 1}. Remove one, or name all columns that tell series apart with series_id=.`);
    }
    steps.push([step, number]);
  }));
  if (!steps.length) return;
  const sorted = steps.map(([step]) => step).sort((a, b) => a - b), middle = sorted.length >> 1;
  const usual = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  const uneven = [...new Set(steps.filter(([step]) => step > UNEVEN * usual).map(([, number]) => number))];
  if (uneven.length) notes.push(`Rows are missing in ${plural(uneven.length, "series")} (${listed(uneven.map((number) => repr(names[number])))}): the rows around a gap are treated as consecutive.`);
}

/** Return values without missing ones: the last before, or else the first after; null without any value. */
function filled(values) {
  const first = values.find((value) => !Number.isNaN(value));
  if (first === undefined) return null;
  let last = first;
  return values.map((value) => {
    if (!Number.isNaN(value)) last = value;
    return last;
  });
}

function segmentsOf(series, names, [length, stride], notes) {
  const cut = { series: [], names: [] }, short = [];
  let lost = 0;
  series.forEach((columns, number) => {
    const all = columns[0].length;
    if (all < length) {
      short.push(names[number]);
      return;
    }
    let start = 0;
    for (; start + length <= all; start += stride) {
      cut.series.push(columns.map((values) => values.slice(start, start + length)));
      cut.names.push(`${names[number]} from ${start}`);
    }
    lost += all - (start - stride + length);
  });
  if (!cut.series.length) {
    const longest = Math.max(...series.map((columns) => columns[0].length));
    throw new ModelError(`segment=${length} is longer than every series: the longest has ${longest} steps. Use a smaller segment.`);
  }
  if (short.length) notes.push(`${plural(short.length, "series")} shorter than segment=${length} left out: ${listed(short.map(repr))}.`);
  if (lost) notes.push(`${plural(lost, "step")} at the ends of series are in no segment.`);
  return cut;
}
