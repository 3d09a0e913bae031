// How the cells of a time column are written, so that times of a forecast are written alike: see
// `kzoo/inference/kinds/series/written_times.py`. A time has `wall`, its local time, and `offset` in minutes or null.

import { monthNamed, toDates } from "./dates.js";
import { strip } from "./python.js";
import { microseconds, momentTexts } from "./times.js";

const SAMPLE = 200, MICROSECOND = 0.001;
const TOKEN = /\p{Nd}+|[\p{L}\p{Nl}\p{No}]+|[^]/gu;
const ZONE = /^([^]*[:T\s]\d[^]*?)(\s*)(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$/;
const WIDTHS = { Y: 4, y: 2, q: 1 };
const CLOCK = ["H", "I", "M", "S", "f"], JOINED = { 8: ["Ymd"], 6: ["Ym", "HMS"], 4: ["HM"] };
const ENGLISH = {
  B: "January February March April May June July August September October November December".split(" "),
  A: "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(" "),
};
const EXCLUSIVE = { y: "Y", I: "H" };
const dateOf = ({ wall }) => new Date(Math.floor(wall));
const FIELDS = {
  Y: (time) => dateOf(time).getUTCFullYear(), m: (time) => dateOf(time).getUTCMonth() + 1, d: (time) => dateOf(time).getUTCDate(), H: (time) => dateOf(time).getUTCHours(),
  M: (time) => dateOf(time).getUTCMinutes(), S: (time) => dateOf(time).getUTCSeconds(), q: (time) => Math.floor(dateOf(time).getUTCMonth() / 3) + 1,
  I: (time) => dateOf(time).getUTCHours() % 12 || 12, y: (time) => dateOf(time).getUTCFullYear() % 100,
};
const NAMED = { B: FIELDS.m, A: (time) => (dateOf(time).getUTCDay() + 6) % 7, p: (time) => Math.floor(dateOf(time).getUTCHours() / 12) };
const digits = (value, width) => String(value).padStart(width, "0");

/** Return a part of a time as text; null if it cannot be written so. */
function partText({ name = "", width = 0, text = "", names = null }, time) {
  if (!name) return text;
  if (name === "z") return zoneText(time.offset, text);
  if (name in NAMED) return names.get(NAMED[name](time)) ?? null;
  if (name === "f") return microseconds(time.wall).slice(0, width).padEnd(width, "0");
  return [...name].map((field) => digits(FIELDS[field](time), name.length > 1 ? WIDTHS[field] ?? 2 : width || 1)).join("");
}

function zoneText(minutes, example) {
  if (minutes === null) return null;
  if (!"+-".includes(example[0])) return minutes ? null : example;
  const hours = Math.floor(Math.abs(minutes) / 60), rest = Math.abs(minutes) % 60;
  const sign = minutes < 0 || (!minutes && example[0] === "-" && !Number(example.slice(1, 3))) ? "-" : "+";
  if (example.length === 3 && !rest) return `${sign}${digits(hours, 2)}`;
  return `${sign}${digits(hours, 2)}${example.includes(":") || example.length === 3 ? ":" : ""}${digits(rest, 2)}`;
}

/** Return a function that writes times as cells of a column; null if its cells have no format, or not a single one. */
export function writtenTimes(cells, wall, { areDates, hasZone, dayFirst }) {
  if (!areDates || !wall.length) return null;
  const last = wall.length - 1, sample = [...new Set(Array.from({ length: SAMPLE }, (_, i) => (i === SAMPLE - 1 ? last : Math.floor(i * (last / (SAMPLE - 1))))))];
  const own = sample.map((row) => cells[row]), times = sample.map((row) => ({ wall: wall[row], offset: null }));
  const areNumbers = own.every((cell) => typeof cell === "number");
  if (areNumbers ? !own.every(Number.isInteger) : !own.every((cell) => typeof cell === "string")) return null;
  let texts = own.map((cell) => strip(String(cell))), zone = [];
  if (hasZone) {
    const matches = texts.map((text) => ZONE.exec(text));
    if (!matches.every(Boolean) || new Set(matches.map((match) => match[2])).size > 1) return null;
    zone = [{ text: matches[0][2] }, { name: "z", text: matches.at(-1)[3] }];
    texts = matches.map((match) => match[1]);
  }
  const tokens = texts.map((text) => text.match(TOKEN) ?? []);
  if (new Set(tokens.map((row) => row.length)).size > 1) return null;
  const columns = tokens[0].map((_, i) => tokens.map((row) => row[i])), { value: parts } = assignments(columns, times, dayFirst, new Set()).next();
  if (!parts || !parts.some(({ name = "" }) => name.includes("Y") || name === "y")) return null;
  return (ahead) => written([...parts, ...zone], ahead);
}

/** Return times in a format; in the form 2024-01-31 if one of them would be read otherwise. */
function written(parts, times) {
  if (times.some((time) => typeof time === "number")) return momentTexts(times);
  const hasZone = parts.some(({ name }) => name === "z"), texts = times.map((time) => {
    const words = hasZone === (time.offset !== null) ? parts.map((part) => partText(part, time)) : [null];
    return words.includes(null) ? null : words.join("");
  });
  if (texts.includes(null)) return momentTexts(times);
  const order = parts.map(({ name }) => name).filter((name) => name === "d" || name === "m"), read = toDates(texts, order[0] === "d", true);
  return times.every(({ wall }, i) => Math.abs(read[i] - wall) < MICROSECOND / 2) ? texts : momentTexts(times);
}

/** Yield the parts that the tokens of cells may be, the likeliest first; no field is used twice. */
function* assignments(columns, times, dayFirst, used) {
  if (!columns.length) {
    yield [];
    return;
  }
  for (const part of partsOf(columns[0], times, dayFirst)) {
    const name = part.name ?? "", fields = name === "B" ? ["m"] : [...name].map((field) => EXCLUSIVE[field] ?? field);
    if (fields.some((field) => used.has(field))) continue;
    for (const rest of assignments(columns.slice(1), times, dayFirst, new Set([...used, ...fields]))) yield [part, ...rest];
  }
}

function* partsOf(words, times, dayFirst) {
  const fits = (part) => times.every((time, i) => partText(part, time) === words[i]);
  if (!/^\p{Nd}+$/u.test(words[0])) {
    for (const [name, number] of /^\p{L}+$/u.test(words[0]) ? Object.entries(NAMED) : []) {
      const names = new Map(times.map((time, i) => [number(time), words[i]]));
      if (new Set(names.values()).size < names.size || !areNames(name, names)) continue;
      const part = { name, names: allNames(name, names) };
      if (fits(part)) yield part;
    }
    if (new Set(words).size === 1) yield { text: words[0] };
    return;
  }
  const widths = new Set(words.map((word) => word.length));
  for (const name of widths.size === 1 ? JOINED[words[0].length] ?? [] : []) if (fits({ name })) yield { name };
  for (const name of [...(dayFirst ? ["Y", "d", "m", "y", "q"] : ["Y", "m", "d", "y", "q"]), ...CLOCK]) {
    const width = name === "f" ? Math.max(...widths) : WIDTHS[name] ?? 0, part = (width ? [width] : [2, 0]).map((count) => ({ name, width: count })).find(fits);
    if (part) yield part;
  }
}

function areNames(name, names) {
  if (name === "B") return [...names].every(([number, text]) => monthNamed(text) === number);
  return names.size > 1 || allNames(name, names) !== names;
}

/** Return the names of all months or days if those of some are English, else those that are known. */
function allNames(name, names) {
  for (const length of [3, Infinity]) {
    for (const change of [(word) => word, (word) => word.toUpperCase(), (word) => word.toLowerCase()]) {
      const all = new Map((ENGLISH[name] ?? []).map((word, i) => [i + (name === "B" ? 1 : 0), change(word.slice(0, length))]));
      if (all.size && [...names].every(([number, word]) => all.get(number) === word)) return all;
    }
  }
  return names;
}
