// Dates in texts, and their time zones: see `kzoo/inference/tables/dates.py` and `zones.py`. Times are milliseconds since
// 1970, NaN where there is none.

import { MISSING, readNumbers } from "./numbers.js";
import { BLANK, median, repr, strip } from "./python.js";

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const TIME = String.raw`(?:(?:T|[ \t-\r]+)(?<hour>\d{1,2})(?::?(?<minute>\d{2})(?::?(?<second>\d{2})(?:[.,](?<fraction>\d+))?)?)?(?=(?<blank1>[ \t-\r]*))\k<blank1>(?<half>[AaPp][Mm])?(?=(?<blank2>[ \t-\r]*))\k<blank2>(?<zone>Z|UTC|GMT|[+-]\d{2}:?(?:\d{2})?)?)?`;
const YEAR_FIRST = new RegExp(String.raw`^(?<year>\d{4})(?:[-.](?<month>\d{1,2})(?:[-.](?<day>\d{1,2})${TIME})?)?$`);
const COMPACT = new RegExp(String.raw`^(?<year>\d{4})(?<month>\d{2})(?<day>\d{2})${TIME}$`);
const SHORT_DATE = /^(\d{1,2})([-.])(\d{1,2})[-.](\d{4}|\d{2})(?!\d)/;
const MONTH_AND_YEAR = /^(\d{1,2})-(\d{4})$/, YEAR_AND_MONTH = /^((?:19|20)\d\d)(\d{2})$/;
const QUARTER = /^(?:Q([1-4])[- \t-\r]?((?:19|20)\d\d)|((?:19|20)\d\d)[- \t-\r]?Q([1-4]))$/i;
const LETTER = "[\\p{L}\\p{Nl}\\p{No}]", SPACE = `[${BLANK}]`;
const WEEKDAY = new RegExp(`^(${LETTER}{2,12})(?:\\.?,?${SPACE}+|,)(?=\\d{1,2}(?!\\d)|${LETTER}{3,12}\\.?${SPACE}+\\d)`, "u");
const NAMED = new RegExp(`^(?:(\\d{1,2})(?:st|nd|rd|th|er|\\.)?[\\-${BLANK}]*(?:de${SPACE}+)?)?(${LETTER}{3,12})\\.?([\\-'’]|,?${SPACE}+(?:de${SPACE}+)?|)`
  + `(?:(\\d{1,2})(?:st|nd|rd|th)?(?:,${SPACE}*|${SPACE}+))?(\\d{4}|\\d{2})(?!\\d)`, "iu");
const YEAR_FIRST_NAMED = new RegExp(`^(\\d{4})[\\-${BLANK}](${LETTER}{3,12})\\.?[\\-${BLANK}](\\d{1,2})(?!\\d)`, "u");
const MONTHS = Object.fromEntries(["jan jän ene gen", "feb fev fév", "mar mär mrz maa", "apr abr avr", "may mai mag mei", "jun giu juin", "jul lug juil", "aug ago aou aoû", "sep set", "oct okt ott out", "nov", "dec déc dez dic"]
  .flatMap((names, month) => names.split(" ").map((letters) => [letters, month + 1])));
const LAST_YEAR = 68, LAST = 253_402_300_799_999, FIRST = -62_135_596_800_000; // of Python's years 1 to 9999
const MOSTLY = 0.95, MAX_MISSING = 0.5, SHORTEST_MONTH = 27, WEEKEND = 3;
const ORDERS = ["day-first", "month-first"];
const ZERO = ["Z", "UTC", "GMT", "+00:00", "-00:00", "+0000", "-0000", "+00", "-00"];
const NO_ZONE = "none";

function dateText(cell) {
  const text = strip(cell).replace(/[年月/]/g, "-").replaceAll("日", "").replace(/-$/, "");
  const match = WEEKDAY.exec(text);
  return match === null || monthNamed(match[1]) ? text : text.slice(match[0].length);
}

/** Return the number of a month, given its name or the first letters of it. */
export function monthNamed(name) {
  const letters = Array.from(name);
  return [4, 3].map((count) => MONTHS[letters.slice(0, count).join("").toLowerCase().replaceAll("ſ", "s")]).find(Boolean);
}

function namedDate(text) {
  let match = YEAR_FIRST_NAMED.exec(text), year, name, day;
  if (match) [, year, name, day] = match;
  else if ((match = NAMED.exec(text))) {
    const [, before, named, sign, after, digits] = match;
    [year, name, day] = [digits, named, before ?? after ?? 1];
    if (digits.length === 2 && before === undefined && after === undefined && !strip(sign)) return null; // Aug 18 may be a day or a year
  } else return null;
  const month = monthNamed(name);
  return month ? `${fullYear(year)}-${month}-${day}${text.slice(match[0].length)}` : null;
}

function fullYear(digits) {
  return digits.length === 4 ? digits : `${Number(digits) <= LAST_YEAR ? 20 : 19}${digits}`;
}

/** Return the time that a text states, in UTC or as local time. */
function timeOf(cell, dayFirst, wallClock) {
  let text = dateText(cell), match;
  if ((match = SHORT_DATE.exec(text))) {
    let [day, month] = dayFirst ? [match[1], match[3]] : [match[3], match[1]];
    if (Number(month) > 12) [day, month] = [month, day];
    text = `${fullYear(match[4])}-${month}-${day}${text.slice(match[0].length)}`;
  } else if ((match = MONTH_AND_YEAR.exec(text))) text = `${match[2]}-${match[1]}`;
  else if ((match = YEAR_AND_MONTH.exec(text))) text = `${match[1]}-${match[2]}`;
  else if ((match = QUARTER.exec(text))) text = `${match[2] ?? match[3]}-${3 * Number(match[1] ?? match[4]) - 2}`;
  else text = namedDate(text) ?? text;
  text = text.replace(/:(\d)(?!\d)/g, ":0$1");
  const parts = (YEAR_FIRST.exec(text) ?? COMPACT.exec(text))?.groups;
  if (!parts) return NaN;
  let hour = Number(parts.hour ?? 0);
  if (parts.half) {
    if (hour < 1 || hour > 12) return NaN;
    hour = (hour % 12) + (parts.half.toLowerCase() === "pm" ? 12 : 0);
  }
  const [year, month, day, minute, second] = [parts.year, parts.month ?? 1, parts.day ?? 1, parts.minute ?? 0, parts.second ?? 0].map(Number);
  if (year < 1 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return NaN;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCDate() !== day) return NaN;
  const milliseconds = Number((parts.fraction ?? "0").padEnd(6, "0").slice(0, 6)) / 1000;
  const moment = date.getTime() + hour * HOUR + minute * MINUTE + second * 1000 + milliseconds;
  const result = wallClock ? moment : moment - offsetIn(parts.zone);
  return result < FIRST || result >= LAST + 1 ? NaN : result;
}

function offsetIn(zone) {
  if (!zone || !"+-".includes(zone[0])) return 0;
  const digits = zone.slice(1).replace(":", "").padEnd(4, "0");
  return (zone[0] === "-" ? -1 : 1) * (Number(digits.slice(0, 2)) * HOUR + Number(digits.slice(2)) * MINUTE);
}

/** Return cells as times. */
export function toDates(cells, dayFirst = false, wallClock = false) {
  const read = new Map();
  return Float64Array.from(cells, (cell) => {
    const text = wordOf(cell);
    if (!read.has(text)) read.set(text, timeOf(text, dayFirst, wallClock));
    return read.get(text);
  });
}

function wordOf(cell) {
  return cell === null ? "" : strip(String(cell)).replaceAll("\r\n", "\n");
}

/** Return a part of times: "year", "month", "day", "weekday" (Monday is 0) or "hour". */
export function datePart(times, part) {
  const day = (time) => Math.floor(time / DAY);
  const parts = {
    year: (time) => new Date(Math.floor(time)).getUTCFullYear(),
    month: (time) => new Date(Math.floor(time)).getUTCMonth() + 1,
    day: (time) => new Date(Math.floor(time)).getUTCDate(),
    weekday: (time) => (((day(time) + 3) % 7) + 7) % 7, // 1970-01-01 was a Thursday
    hour: (time) => Math.floor((time - day(time) * DAY) / HOUR),
  };
  return times.map((time) => (Number.isNaN(time) ? NaN : parts[part](time)));
}

const DATE = new RegExp(String.raw`^[${BLANK}]*(?:\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2}|(?:19|20)\d\d(?:[-/]\d{1,2}[${BLANK}]*$|年\d{1,2}月)|(?:0?[1-9]|1[0-2])[-/](?:19|20)\d\d[${BLANK}]*$)`);
const MONTH_NAME = new RegExp(Object.keys(MONTHS).join("|"), "iu"), LONGEST_NAMED = 50;
const DIGITS = { YYYYMMDD: [19_000_000, 21_010_000], YYYYMM: [190_000, 210_100] }, FEWEST_DIGITS = { YYYYMMDD: 3, YYYYMM: 12 };

/** The formats of whole numbers that are dates. */
export const DIGIT_FORMATS = Object.keys(DIGITS);

/** Return whether numbers are in the range of a format of digits. */
export function inDigitRange(number, format) {
  return number >= DIGITS[format][0] && number < DIGITS[format][1];
}

/** Return numbers such as 20240131 as times, NaN where a number is no date from 1900 to 2100. */
export function datesOfDigits(numbers, format) {
  return numbers.map((number) => {
    if (!inDigitRange(number, format) || !Number.isInteger(number)) return NaN;
    const [months, day] = format === "YYYYMMDD" ? [Math.floor(number / 100), number % 100] : [number, 1];
    const month = months % 100, time = Date.UTC(Math.floor(months / 100), month - 1, day);
    return month >= 1 && month <= 12 && day >= 1 && new Date(Math.floor(time)).getUTCMonth() === month - 1 ? time : NaN;
  });
}

/** Return whether at least 95 % of the cells of a column are dates, or all are digits such as 20240818. */
export function areDates(cells) {
  if (areWholeDates(cells)) return true;
  const present = cells.filter((cell) => cell !== null), texts = counted(cells);
  if (!present.some((cell) => typeof cell === "string")) return false;
  let others = 0;
  for (const [text, count] of texts) if (!mayBeDate(text)) others += count;
  if (1 - others / present.length < MOSTLY) return false;
  return toDates(present).filter((time) => !Number.isNaN(time)).length / present.length >= MOSTLY;
}

function mayBeDate(text) {
  if (DATE.test(text) || QUARTER.test(strip(text))) return true;
  return Array.from(text).length <= LONGEST_NAMED && MONTH_NAME.test(text) && namedDate(dateText(text)) !== null;
}

function areWholeDates(cells) {
  const different = [...new Set(cells)];
  if (!different.every((cell) => cell === null || (typeof cell === "number" ? Number.isInteger(cell) : /^\p{Nd}+$/u.test(strip(cell)) || MISSING.has(strip(cell))))) return false;
  const numbers = [...new Set(readNumbers(different, null, null))].filter((number) => !Number.isNaN(number));
  return DIGIT_FORMATS.some((format) => numbers.length >= FEWEST_DIGITS[format] && !datesOfDigits(numbers, format).some(Number.isNaN));
}

/** Return whether any date of a column has day and month before the year. */
export function areShortDates(cells) {
  return [...counted(cells).keys()].some((text) => SHORT_DATE.test(dateText(text)));
}

/** Return a note about years of two digits in dates, in a list. */
export function shortYearNotes(name, cells, dayFirst) {
  const short = [...counted(cells).keys()].filter((text) => hasShortYear(dateText(text))), dates = toDates(short, dayFirst);
  const last = dates.reduce((best, time, i) => (Number.isNaN(time) || (best >= 0 && time <= dates[best]) ? best : i), -1);
  if (last < 0) return [];
  return [`Years of two digits in ${repr(name)} are read as 1969 to 2068, ${repr(short[last])} as ${new Date(Math.floor(dates[last])).toISOString().slice(0, 19).replace("T", " ").replace(/ 00:00:00$/, "")}. If that is wrong, write four digits.`];
}

function hasShortYear(text) {
  const match = SHORT_DATE.exec(text);
  if (match) return match[4].length === 2;
  const named = NAMED.exec(text);
  return named !== null && named[5].length === 2 && namedDate(text) !== null;
}

/** Return whether 3/2/2024 is February 3 in new rows: as in training, unless the new rows contradict it. */
export function dayFirstOfNewRows(name, cells, notes, learned) {
  const texts = counted(cells);
  if (!areShortDates(cells)) return Boolean(learned);
  if (learned === null) return detectDayFirst(name, texts, notes);
  const slashed = new Map([...texts.keys()].map((text) => [text.replaceAll(".", "/"), 0])), ambiguous = [];
  for (const text of texts.keys()) slashed.set(text.replaceAll(".", "/"), slashed.get(text.replaceAll(".", "/")) + 1);
  const dayFirst = detectDayFirst(name, slashed, ambiguous);
  if (ambiguous.length || dayFirst === learned) return learned;
  const [current, previous] = dayFirst ? ["day first", "month first"] : ["month first", "day first"];
  notes.push(`Dates in ${repr(name)} are ${current} here but were ${previous} in training. Each is read as written.`);
  return dayFirst;
}

function counted(cells) {
  const counts = new Map();
  for (const cell of cells) if (cell !== null) counts.set(String(cell), (counts.get(String(cell)) ?? 0) + 1);
  return counts;
}

function detectDayFirst(name, texts, notes) {
  const short = [...texts].map(([text, count]) => [text, SHORT_DATE.exec(dateText(text)), count]).filter(([, match]) => match);
  const isDay = [1, 3].map((group) => short.filter(([, match]) => Number(match[group]) > 12));
  const [first, second] = isDay.map((days) => days.reduce((sum, [, , count]) => sum + count, 0));
  if (first === second) return dayFirstByStep(name, short, notes);
  const dayFirst = first > second, contrary = isDay[Number(dayFirst)];
  if (contrary.length) {
    const [order, other] = dayFirst ? ORDERS : [...ORDERS].reverse(), sum = (list) => list.reduce((total, [, , count]) => total + count, 0).toLocaleString("en-US");
    notes.push(`Dates in ${repr(name)} are read ${spoken(order)}, except ${sum(contrary)} of ${sum(short)} dates that can only be ${spoken(other)}, such as ${repr(contrary[0][0])}. Write all in one order.`);
  }
  return dayFirst;
}

function dayFirstByStep(name, short, notes) {
  if (!short.some(([, match]) => Number(match[1]) !== Number(match[3]))) return false;
  const cells = short.map(([text]) => text), regular = [true, false].map((dayFirst) => hasRegularStep(toDates(cells, dayFirst)));
  const dotted = short.some(([, match]) => match[2] === "."), other = regular[0] > regular[1] ? ORDERS[1] : ORDERS[0];
  if (regular[0] !== regular[1]) {
    notes.push(`Dates in ${repr(name)} are read ${spoken(ORDERS[Number(!regular[0])])}: only that order gives a regular step. If that is wrong, set date_order=${repr(other)}.`);
    return regular[0];
  }
  if (!dotted) notes.push(`Dates in ${repr(name)} are ambiguous and were read month first. If that is wrong, set date_order='day-first' in training, or write them as 2024-02-03.`);
  return dotted;
}

function spoken(order) {
  return order.replace("-", " ");
}

function hasRegularStep(dates) {
  const days = [...new Set([...dates].filter((time) => !Number.isNaN(time)).map((time) => Math.floor(time / DAY)))].sort((a, b) => a - b);
  if (days.length < 3) return false;
  let steps = days.slice(1).map((day, i) => day - days[i]);
  if (median(steps) >= SHORTEST_MONTH) {
    const dates = days.map((day) => new Date(day * DAY)), ofMonth = dates.map((date) => date.getUTCDate());
    if (Math.max(...ofMonth) - Math.min(...ofMonth) > WEEKEND) return false;
    const months = dates.map((date) => date.getUTCFullYear() * 12 + date.getUTCMonth());
    steps = months.slice(1).map((month, i) => month - months[i]);
  }
  const step = Math.max(median(steps), 1), counts = steps.map((value) => value / step);
  const whole = counts.filter((count) => Number.isInteger(count)).length / counts.length;
  return whole >= MOSTLY && counts.reduce((sum, count) => sum + count - 1, 0) / counts.length <= MAX_MISSING;
}

// Time zones

/** Return the offset of a zone such as "UTC" or "+01:00" in minutes; null for other names. */
export function offsetOf(zone) {
  if (zone === "UTC") return 0;
  const match = /^([+-])(\d{2}):(\d{2})$/.exec(zone);
  return match ? (match[1] === "-" ? -1 : 1) * (60 * Number(match[2]) + Number(match[3])) : null;
}

/** Return the minutes from UTC that each cell states, NaN where it states none. */
export function minutesIn(cells, dayFirst) {
  const words = cells.map(wordOf), mayBeZoned = (text) => ["Z", "C", "T"].includes(text.at(-1)) || text.includes("+") || Array.from(text).slice(10).includes("-");
  if (!words.some((word) => mayBeZoned(strip(word)))) return new Float64Array(cells.length).fill(NaN);
  const wall = toDates(cells, dayFirst, true), utc = toDates(cells, dayFirst);
  return wall.map((time, i) => {
    const minutes = (time - utc[i]) / MINUTE;
    return minutes === 0 && !ZERO.some((end) => words[i].endsWith(end)) ? NaN : minutes;
  });
}

/** Return cells as local times of a zone, given the offsets that they state; as written without a zone. */
export function localTimes(cells, dayFirst, zone, minutes) {
  const wall = toDates(cells, dayFirst, true);
  if (!zone || zone.includes(",") || !minutes.some(Number.isFinite)) return wall;
  return wall.map((time, i) => (Number.isFinite(minutes[i]) ? time + (offsetOf(zone) - minutes[i]) * MINUTE : time));
}

/** Return the offsets of those cells that hold a time. */
function ofTimes(cells, minutes, dayFirst) {
  const dates = toDates(cells, dayFirst);
  return [...minutes].filter((value, i) => Number.isFinite(value) || !Number.isNaN(dates[i]));
}

/** Return the zone of cells with these offsets in minutes, NaN for cells that state none. */
export function zoneOf(minutes) {
  const stated = [...new Set([...minutes].filter((value) => !Number.isNaN(value)))].sort((a, b) => a - b).map(formatOffset);
  const names = minutes.some(Number.isNaN) ? [...stated, NO_ZONE] : stated;
  return names.length === 1 && names[0] === NO_ZONE ? "" : names.join(",");
}

/** Return minutes from UTC as a zone. */
export function formatOffset(minutes) {
  const size = Math.abs(Math.trunc(minutes)), two = (value) => String(value).padStart(2, "0");
  return minutes ? `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}` : "UTC";
}

/** Return notes if new times of a column are in a zone that does not match that of the training. */
export function zoneNotes(name, zone, cells, minutes, dayFirst) {
  if (!zone && !minutes.some(Number.isFinite)) return [];
  return zoneNotesOf(name, zone, ofTimes(cells, minutes, dayFirst));
}

/** Return the same, given the offsets of the cells that hold a time; `zone` is null if it was not stored. */
export function zoneNotesOf(name, zone, offsets) {
  if (zone === null) return [];
  const current = zoneOf(offsets);
  const parts = (current || NO_ZONE).split(","), learned = (zone || NO_ZONE).split(",");
  if (!offsets.length || parts.every((part) => learned.includes(part))) return [];
  const stated = parts.filter((part) => part !== NO_ZONE).join(" and "), quoted = repr(name);
  if (!zone) return [`Times of ${quoted} state ${stated}, but those of the training stated no zone, which is assumed to be the same. If that is wrong, convert them to the zone of the training.`];
  if (learned.length > 1) {
    const missing = parts.filter((part) => !learned.includes(part));
    const difference = (missing.length === 1 && missing[0] === NO_ZONE) || !stated ? "state no zone" : `state ${stated}`;
    const known = learned.filter((part) => part !== NO_ZONE).join(" and ");
    return [`Times of ${quoted} ${difference}, but those of the training stated ${known}. They are read as written. If that is wrong, convert them to that clock.`];
  }
  if (parts.includes(NO_ZONE)) {
    const difference = stated ? "do not all state a zone" : "state no zone";
    return [`Times of ${quoted} ${difference}, but those of the training stated ${zone}, which is assumed for them. If that is wrong, add their offset, as in 2024-01-31T10:00+02:00.`];
  }
  if (offsetOf(zone)) return [`Times of ${quoted} state ${stated}, but those of the training stated ${zone}. They are converted to ${zone}. If the training clock has daylight saving, train on a full year.`];
  return [];
}
