// Times of the rows of a series: their format, step, gaps, repeats and daylight saving time; see
// `kzoo/inference/kinds/series/times.py` and `time_formats.py`. Times are milliseconds, or numbers.

import { areShortDates, datesOfDigits, dayFirstOfNewRows, DIGIT_FORMATS, formatOffset, inDigitRange, minutesIn, shortYearNotes, toDates, zoneOf } from "./dates.js";
import { readNumbers } from "./numbers.js";
import { general, median, ModelError, plural, repr, shown, sortedIndices } from "./python.js";

const NUMBERS = "numbers", MONTH_FIRST = "month first";
export const DAY_FIRST = "day first";
const MOSTLY = 0.95, FEWEST_DIFFERENT = 3;
const MINUTE = 60_000, HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const UNIT_TOLERANCE = 0.01, GAP = 1.5, MOST_HOLIDAYS = 7, WORKDAY_SHARE = 0.1;
export const MONDAY_TO_FRIDAY = "1111100";
const SECONDS = { week: 604_800, day: 86_400, hour: 3600, minute: 60, second: 1 };
const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const RULES = [ // month, which of its Sundays (-1 is the last) and the local hour of the changes to and from summer time
  [[3, -1, 2], [10, -1, 2]], [[3, -1, 1], [10, -1, 1]], [[3, -1, 3], [10, -1, 3]], [[3, 2, 2], [11, 1, 1]], [[10, 1, 2], [4, 1, 2]], [[9, -1, 2], [4, 1, 2]],
];
const { abs, floor, max } = Math;
export const differences = (values) => Array.from({ length: max(values.length - 1, 0) }, (_, i) => values[i + 1] - values[i]);
export const dayOf = (time) => floor(time / DAY);

/** Return the number of the month of a time, counted from 1970. */
export function monthOf(time) {
  const date = new Date(floor(time));
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
}

/** Return the first day of a month, as a number of days since 1970. */
export function firstDayOf(month) {
  const date = new Date(0);
  date.setUTCFullYear(1970 + floor(month / 12), ((month % 12) + 12) % 12, 1);
  return date.getTime() / DAY;
}

// Working days

const weekday = (day) => (((day + 3) % 7) + 7) % 7; // 1970-01-01 was a Thursday

/** Return the number of working days from a fixed day to before another one. */
function workdaysBefore(day, week) {
  const own = weekday(day), count = (text) => text.split("1").length - 1;
  return ((day - own + 3) / 7) * count(week) + count(week.slice(0, own));
}

/** Return the number of working days from one day to before another one, below 0 backward; see NumPy's `busday_count`. */
export function workdaysBetween(day, other, week) {
  return day <= other ? workdaysBefore(other, week) - workdaysBefore(day, week) : workdaysBefore(other + 1, week) - workdaysBefore(day + 1, week);
}

/** Return the working day some of them after a day, which is first moved to one: back, or forward. */
export function workdayAfter(day, count, week, forward = false) {
  const isWorkday = week[weekday(day)] === "1";
  const number = workdaysBefore(day, week) - (isWorkday || forward ? 0 : 1) + count;
  const places = [...week].flatMap((flag, place) => (flag === "1" ? [place] : []));
  const weeks = floor(number / places.length);
  return 7 * weeks + places[number - weeks * places.length] - 3;
}

export function isWorkday(day, week) {
  return week[weekday(day)] === "1";
}

/** Return which days of the week have rows, "1" or "0" from Monday; "" if all have. */
export function workingDays(days) {
  const counts = new Array(7).fill(0);
  for (const day of days) counts[weekday(day)] += 1;
  const week = counts.map((count) => (count > (WORKDAY_SHARE * days.length) / 7 ? "1" : "0")).join("");
  return week.includes("0") ? week : "";
}

export function weekInWords(week) {
  return week === MONDAY_TO_FRIDAY ? "1 business day" : `1 day (${WEEKDAYS.filter((_, i) => week[i] === "1").join(" ")})`;
}

// Formats of a time column

function allNumbers(cells) {
  const numbers = readNumbers(cells, null, null);
  return cells.every((cell, row) => cell === null || !Number.isNaN(numbers[row])) ? numbers : null;
}

/** Return whether a column has whole numbers that are dates, such as 20240131. */
export function areDigitDates(cells) {
  const numbers = allNumbers(cells);
  return numbers !== null && formatOfNumbers(numbers, [], "") !== NUMBERS;
}

function formatOfNumbers(numbers, notes, name) {
  const present = Array.from(numbers).filter((number) => !Number.isNaN(number));
  for (const format of DIGIT_FORMATS) {
    if (!present.length || present.filter((number) => inDigitRange(number, format)).length / present.length < MOSTLY || new Set(present).size < FEWEST_DIFFERENT) continue;
    const dates = datesOfDigits(present, format), wrong = present.filter((_, i) => Number.isNaN(dates[i]));
    if (!wrong.length) return format;
    if (wrong.length / present.length <= 1 - MOSTLY) notes.push(`${repr(name)} is read as numbers, not as dates (${format}): ${general(wrong[0], 15)} is not a date.`);
  }
  return NUMBERS;
}

/** Return the format of a time column, given that of the training ("" for dates that are unambiguous); null for such dates. */
export function timeFormatOf(name, cells, notes, learned) {
  const numbers = allNumbers(cells);
  if (numbers) return [NUMBERS, ...DIGIT_FORMATS].includes(learned) ? learned : formatOfNumbers(numbers, notes, name);
  if (!areShortDates(cells)) return null;
  const isKnown = learned === DAY_FIRST || learned === MONTH_FIRST;
  const dayFirst = dayFirstOfNewRows(name, cells, notes, isKnown ? learned === DAY_FIRST : null);
  if (!isKnown) notes.push(...shortYearNotes(name, cells, dayFirst));
  return dayFirst ? DAY_FIRST : MONTH_FIRST;
}

/** Return `times` (in UTC if they state a zone), `minutes` from UTC and `zone` of a column; refuse cells without a time. */
export function timesAndZone(name, cells, format) {
  const dayFirst = format === DAY_FIRST, numbers = readNumbers(cells, null, null);
  const times = format === NUMBERS ? numbers : DIGIT_FORMATS.includes(format) ? datesOfDigits(numbers, format) : toDates(cells, dayFirst);
  const minutes = minutesIn(cells, dayFirst), without = times.findIndex(Number.isNaN);
  if (without >= 0) {
    const isMixed = numbers.some(Number.isNaN) && !numbers.every(Number.isNaN), row = isMixed ? numbers.findIndex(Number.isNaN) : without;
    throw new ModelError(`Time column ${repr(name)} contains no time in row ${row + 1}${cells[row] === null ? "" : `: ${shown(cells[row])}`}. Correct it, or remove the row.`);
  }
  return { times: Float64Array.from(times), minutes, zone: zoneOf(minutes), areDates: format !== NUMBERS };
}

// Moments

/** The values of a time column: `times` in UTC, or as written if no zone is known, `wall` as local times, and `zone`. */
export class Moments {
  constructor(times, wall, zone, areDates) {
    Object.assign(this, { times, wall, zone, areDates });
  }

  static of({ times, minutes, zone, areDates }) {
    if (!areDates || !minutes.length || !minutes.every(Number.isFinite)) return new Moments(times, times, "", areDates);
    const own = !zone || zone.includes(",") ? formatOffset(minutes[argmax(times)]) : zone;
    return new Moments(times, times.map((time, i) => time + minutes[i] * MINUTE), own, true);
  }

  /** Return those of some rows. */
  take(rows) {
    return new Moments(Float64Array.from(rows, (row) => this.times[row]), Float64Array.from(rows, (row) => this.wall[row]), this.zone, this.areDates);
  }

  part(first, end) {
    return new Moments(this.times.slice(first, end), this.wall.slice(first, end), this.zone, this.areDates);
  }
}

export function argmax(values) {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
}

const two = (value) => String(value).padStart(2, "0");

/** Return times, `wall` and `offset` in minutes or null each, or numbers, as texts that are as short as all of them allow. */
export function momentTexts(times) {
  if (times.some((time) => typeof time === "number")) return times.map((time) => general(time, 15));
  const isDay = times.every(({ wall, offset }) => offset === null && wall % DAY === 0), isWhole = times.every(({ wall }) => wall % MINUTE === 0);
  return times.map(({ wall, offset }) => {
    const [day, clock] = isoOf(wall);
    if (isDay) return day;
    const time = isWhole ? clock.slice(0, 5) : wall % 1000 ? `${clock.slice(0, 9)}${microseconds(wall)}` : clock.slice(0, 8);
    return `${day} ${time}${offset === null ? "" : offsetText(offset)}`;
  });
}

/** Return the six digits of a time after its second. */
export function microseconds(time) {
  return String(Math.round((time - floor(time / 1000) * 1000) * 1000)).padStart(6, "0");
}

/** Return the day and the time of day, to milliseconds, of a time. */
function isoOf(time) {
  return new Date(floor(time)).toISOString().slice(0, 23).split("T");
}

function offsetText(minutes) {
  return `${minutes < 0 ? "-" : "+"}${two(floor(abs(minutes) / 60))}:${two(abs(minutes) % 60)}`;
}

/** Return local times, or numbers, as texts. */
export function wallTexts(wall, areDates) {
  return momentTexts(Array.from(wall, (time) => (areDates ? { wall: time, offset: null } : time)));
}

// The usual interval between rows

class Step {
  constructor(count = 1, unit = "", week = "1111111") {
    Object.assign(this, { count, unit, week });
  }

  static of(times, areDates) {
    const steps = differences(times);
    if (!areDates) return new Step(median(steps));
    const candidates = [new Step(median(steps) / 1000, "seconds")], days = candidates[0].count / SECONDS.day;
    if (days >= 27) candidates.push(new Step(max(median(differences(Array.from(times, monthOf))), 1), "months"));
    else if (days === 1) {
      const week = workingDays(Array.from(times, dayOf));
      if (week) candidates.push(new Step(1, "working days", week));
    }
    const off = candidates.map((step) => step.intervals(times).filter((count) => abs(count - 1) > UNIT_TOLERANCE).length);
    return candidates[off.indexOf(Math.min(...off))];
  }

  intervals(times) {
    if (this.unit === "months") return differences(Array.from(times, monthOf)).map((months) => months / this.count);
    if (this.unit === "working days") return Array.from({ length: times.length - 1 }, (_, i) => workdaysBetween(dayOf(times[i]), dayOf(times[i + 1]), this.week) / this.count);
    const steps = differences(times).map((step) => (this.unit ? step / 1000 : step));
    return steps.map((step) => (this.count ? step / this.count : step > 0 ? 2 : 0));
  }

  toString() {
    if (this.unit === "working days") return weekInWords(this.week);
    if (this.unit === "seconds") return durationText(this.count);
    if (this.unit !== "months") return general(this.count, 12);
    const months = Math.round(this.count);
    return months && months % 12 === 0 ? plural(months / 12, "year") : plural(months, "month");
  }
}

function durationText(seconds) {
  for (const [unit, length] of Object.entries(SECONDS)) if (seconds >= length && seconds % length === 0) return plural(seconds / length, unit);
  const [unit, length] = Object.entries(SECONDS).find(([name, size]) => name !== "week" && seconds >= 2 * size) ?? ["second", 1];
  return `${general(seconds / length, 3)} ${unit}s`;
}

// The times of the rows of one series

/** Times in the order of the table: `timestamps`, the same in `standard` time, and the offsets that cells state, in `minutes`. */
export class Times {
  constructor(fields) {
    Object.assign(this, fields);
  }

  /** Return the times of rows; where the clock changes of a region explain gaps and repeats, `standard` has none of them. */
  static of(column, { times: timestamps, minutes, zone, areDates }, format) {
    const times = new Times({ column, timestamps, standard: timestamps, minutes, format, zone, areDates });
    if (!areDates || timestamps.length < 3 || minutes.some(Number.isFinite)) return times;
    const { irregularities } = times, { unit, count } = times.step;
    if (!irregularities || unit !== "seconds" || count >= SECONDS.day) return times;
    const candidates = RULES.map((rules) => new Times({ ...times.fields, standard: toStandardTime(timestamps, ...rules) }));
    const counts = candidates.map((candidate) => candidate.irregularities), best = candidates[counts.indexOf(Math.min(...counts))];
    return best.irregularities < irregularities ? best : times;
  }

  get fields() {
    const { column, timestamps, standard, minutes, format, zone, areDates } = this;
    return { column, timestamps, standard, minutes, format, zone, areDates };
  }

  take(rows) {
    const some = (values) => Float64Array.from(rows, (row) => values[row]);
    return new Times({ ...this.fields, timestamps: some(this.timestamps), standard: some(this.standard), minutes: some(this.minutes) });
  }

  get moments() {
    return Moments.of({ times: this.timestamps, minutes: this.minutes, zone: this.zone, areDates: this.areDates });
  }

  /** Local times as written. */
  get wall() {
    return this.areDates ? this.timestamps.map((time, i) => time + (Number.isFinite(this.minutes[i]) ? this.minutes[i] * MINUTE : 0)) : this.timestamps;
  }

  get order() {
    this.sorted ??= sortedIndices(this.standard);
    return this.sorted;
  }

  get ordered() {
    return this.order.map((row) => this.standard[row]);
  }

  get step() {
    this.usual ??= this.standard.length > 1 ? Step.of(this.ordered, this.areDates) : new Step();
    return this.usual;
  }

  get isRepeat() {
    return differences(this.ordered).map((step) => step === 0);
  }

  /** Rows, in order of time, before which rows are missing. */
  get gaps() {
    if (this.standard.length < 2) return [];
    const { isRepeat, step } = this, longest = max(GAP, step.unit === "working days" ? 1 + MOST_HOLIDAYS : 0);
    return step.intervals(this.ordered).flatMap((count, i) => (count > longest && !isRepeat[i] ? [i + 1] : []));
  }

  get irregularities() {
    return this.gaps.length + this.isRepeat.filter(Boolean).length;
  }

  /** Return a time as text: the date, with the time of day if rows have different ones. */
  text(time) {
    if (!this.areDates) return general(time, 15);
    const [day, clock] = isoOf(time);
    this.areDays ??= this.timestamps.every((other) => other % DAY === 0);
    if (this.areDays) return day;
    return `${day} ${clock.slice(6, 8) === "00" ? clock.slice(0, 5) : clock.slice(0, 8)}${this.minutes.some(Number.isFinite) ? " UTC" : ""}`;
  }

  /** Return the time of a row, counted in order of time, as text. */
  at(row) {
    return this.text(this.timestamps[this.order[row]]);
  }
}

function toStandardTime(times, forward, back) {
  const ofYears = [...new Set(Array.from(times, (time) => new Date(floor(time)).getUTCFullYear()))];
  const years = [...new Set(ofYears.flatMap((year) => [year, year - 1]))];
  const changes = years.flatMap((year) => [forward, back].map((rule) => [sundayOf(year, ...rule), rule === forward])).sort((a, b) => a[0] - b[0]);
  const starts = changes.map(([time, isForward]) => (isForward ? time : time + HOUR)); // the repeated hour is first summer time
  const repeatedHours = new Set(changes.filter(([, isForward]) => !isForward).map(([time]) => floor(time / HOUR)));
  const steps = differences(times), isDescending = steps.filter((step) => step < 0).length / steps.length > 0.5;
  const order = isDescending ? sortedIndices([...times].reverse()).map((row) => times.length - 1 - row) : sortedIndices(times);
  const isRepeat = new Set(order.slice(1).filter((row, i) => times[row] === times[order[i]]));
  return times.map((time, row) => {
    const previous = starts.findLastIndex((start) => start <= time), isSummer = previous >= 0 && changes[previous][1];
    return isSummer && !(isRepeat.has(row) && repeatedHours.has(floor(time / HOUR))) ? time - HOUR : time; // of two equal times, the second is standard time
  });
}

/** Return an hour of the n-th Sunday, -1 for the last, of a month. */
function sundayOf(year, month, n, hour) {
  const start = firstDayOf((year - 1970) * 12 + month - (n > 0 ? 1 : 0));
  return workdayAfter(start, n > 0 ? n - 1 : n, "0000001", true) * DAY + hour * HOUR;
}
