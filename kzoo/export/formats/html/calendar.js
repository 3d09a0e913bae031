// The step of a series in the calendar, and the times of a forecast: see `kzoo/inference/kinds/series/calendar.py`.

import { offsetOf } from "./dates.js";
import { general, median, ModelError, repr } from "./python.js";
import { argmax, DAY, dayOf, differences, firstDayOf, isWorkday, MONDAY_TO_FRIDAY, monthOf, weekInWords, workdayAfter, workdaysBetween, workingDays } from "./times.js";

const REGULAR = 0.9, ROWS_SHARE = 0.75, SINGLE_SHARE = 0.6, JITTER = 0.25, EXACT = 1e-6, FEWEST_TIMES = 3;
const SECONDS_OF_DAY = 86_400, MINUTE = 60_000;
const FIRST = -62_135_596_800_000, LAST = 253_402_300_799_999; // of Python's years 1 to 9999
const UNITS = [["seconds", 3600, "hour"], ["seconds", 60, "minute"], ["seconds", 1, "second"], ["days", 7, "week"], ["days", 1, "day"], ["months", 12, "year"], ["months", 3, "quarter"]];
const NAMES = { numbers: "", months: "month", "business days": "business day" };
const YEAR = { days: 365.2425, "business days": 261 }, HARMONICS = 3, YEAR_HARMONICS = 2;

/** Share of a step by which rows may be off. */
export const STEP_TOLERANCE = 0.3;

export class Calendar {
  constructor({ column, step, every, day = 1, business = "", zone = "", week = "" }) {
    Object.assign(this, { column, step, every, day, business, zone, week: week || MONDAY_TO_FRIDAY });
  }

  /** The step in words, such as "15 minutes". */
  get description() {
    if (this.step === "business days" && this.every === 1) return weekInWords(this.week);
    const [, size, name] = UNITS.find(([step, length]) => step === this.step && this.every % length === 0) ?? [null, 1, NAMES[this.step] ?? "second"];
    const every = this.every / size;
    return `${general(every, 12)} ${name}${every === 1 || !name ? "" : "s"}`.trimEnd();
  }

  /** Lengths of possible seasons, in steps. */
  get seasons() {
    const { step, every } = this;
    if (step === "months") return 12 % every === 0 && every < 12 ? [Math.floor(12 / every)] : [];
    if (step === "business days") return every === 1 ? [this.week.split("1").length - 1] : [];
    if (step === "days") return every === 1 ? [7] : every === 7 ? [52] : [];
    if (step === "seconds" && SECONDS_OF_DAY % every === 0 && every < SECONDS_OF_DAY) return [SECONDS_OF_DAY / every, (7 * SECONDS_OF_DAY) / every];
    return [];
  }

  get season() {
    const { seasons } = this;
    return seasons.length ? Math.min(...seasons) : null;
  }

  fits(areDates) {
    return areDates !== (this.step === "numbers");
  }

  /** Return the number of steps from each row to the next. */
  intervals({ times, wall }) {
    const { step, every } = this;
    if (step === "business days") return Array.from({ length: Math.max(wall.length - 1, 0) }, (_, i) => workdaysBetween(dayOf(wall[i]), dayOf(wall[i + 1]), this.week) / every);
    if (step === "months") return differences(Array.from(wall, monthOf)).map((months) => months / every);
    const unit = step === "numbers" ? 1 : step === "days" ? DAY : 1000;
    return differences(times).map((size) => size / unit / every);
  }

  /** Return whether each interval between different times is the step. */
  matchingSteps(moments) {
    const order = [...moments.times.keys()].sort((a, b) => moments.times[a] - moments.times[b] || a - b);
    const rows = order.filter((row, i) => !i || moments.times[row] !== moments.times[order[i - 1]]);
    return this.intervals(moments.take(rows)).map((count) => Math.abs(count - 1) <= STEP_TOLERANCE);
  }

  /** Return the local time some steps after another one, without changes of the clock; or a number. */
  later(wall, steps) {
    const { step, every } = this, day = dayOf(wall);
    if (step === "numbers") return wall + steps * every;
    if (step === "seconds") return wall + steps * every * 1000;
    if (step === "days") return wall + steps * every * DAY;
    const later = step === "business days" ? workdayAfter(day, steps * every, this.week) : dayOfMonth(monthOf(wall) + steps * every, this.day, this.business);
    return later * DAY + (wall - day * DAY);
  }

  /** Return the times of the next steps: numbers, or `wall` and `offset` from UTC in minutes or null. */
  nextTimes(moments, count) {
    const latest = argmax(moments.times), steps = Array.from({ length: count }, (_, i) => i + 1);
    if (this.step === "numbers") return steps.map((i) => moments.times[latest] + this.every * i);
    const offset = this.offsetToCountIn(moments), wall = wallTime(moments, latest, offset);
    const times = steps.map((i) => ({ wall: this.later(wall, i), offset }));
    if (times.every((time) => time.wall >= FIRST && time.wall < LAST + 1)) return times;
    throw new ModelError(`A step of ${this.description} leads beyond the supported years (1 to 9999). Check the dates in ${repr(this.column)}, and the step of the training.`);
  }

  /** Return the latest times of a series, as `nextTimes`. */
  lastTimes(moments, count) {
    const latest = [...moments.times.keys()].sort((a, b) => moments.times[a] - moments.times[b] || a - b).slice(-count);
    if (this.step === "numbers") return latest.map((row) => moments.times[row]);
    const offset = this.offsetToCountIn(moments);
    return latest.map((row) => ({ wall: wallTime(moments, row, offset), offset }));
  }

  /** Return the offset from UTC in which steps are counted: that of the training, unless more rows match in their own time. */
  offsetToCountIn(moments) {
    const own = moments.zone ? offsetOf(moments.zone) : null, learned = this.zone ? offsetOf(this.zone) : null;
    if (learned === null || own === null) return learned ?? own;
    const ofTraining = this.matches(moments.times.map((time) => time + learned * MINUTE));
    return this.matches(moments.wall) > ofTraining ? own : learned;
  }

  /** Return the number of local times on days of this calendar and at the most frequent time of day. */
  matches(wall) {
    const counts = new Map(), clocks = Array.from(wall, (time) => time - dayOf(time) * DAY);
    for (const clock of clocks) counts.set(clock, (counts.get(clock) ?? 0) + 1);
    const most = Math.max(...counts.values()), usual = Math.min(...[...counts].filter(([, count]) => count === most).map(([clock]) => clock));
    const isOwn = {
      days: () => true, seconds: () => false, "business days": (day) => isWorkday(day, this.week),
      months: (day) => day === dayOfMonth(monthOf(day * DAY), this.day, this.business),
    }[this.step];
    return clocks.filter((clock, row) => clock === usual && isOwn(dayOf(wall[row]))).length;
  }

  /** The seasons whose phase a network reads: [steps, number of harmonics]. */
  get phases() {
    const seasons = [...new Set(this.seasons)].sort((a, b) => a - b).filter((steps) => steps > 1).map((steps) => [steps, Math.min(HARMONICS, Math.floor(steps / 2))]);
    return this.every === 1 && this.step in YEAR ? [...seasons, [YEAR[this.step], YEAR_HARMONICS]] : seasons;
  }

  /** Return sine and cosine of the phase of the number of a step in each season. */
  channels(number) {
    return this.phases.flatMap(([steps, harmonics]) => {
      const phase = (2 * Math.PI * (((number % steps) + steps) % steps)) / steps;
      return Array.from({ length: harmonics }, (_, k) => [Math.sin((k + 1) * phase), Math.cos((k + 1) * phase)]).flat();
    });
  }
}

function wallTime(moments, row, offset) {
  return offset === null || !moments.zone ? moments.wall[row] : moments.times[row] + offset * MINUTE;
}

/** Return a day of a month, or its last one if it is shorter, moved to a business day if requested. */
function dayOfMonth(month, day, business) {
  const first = firstDayOf(month), date = first + Math.min(day, firstDayOf(month + 1) - first) - 1;
  return business ? workdayAfter(date, 0, MONDAY_TO_FRIDAY, business === "first") : date;
}

/** Return the calendar of a series with these times, in any order; null if most of its intervals are not one step. */
export function learnCalendar(given, column) {
  if (given.times.length < FEWEST_TIMES) return null;
  const moments = given.take([...given.times.keys()].sort((a, b) => given.times[a] - given.times[b] || a - b));
  const unique = (values) => [...new Set(values)].sort((a, b) => a - b);
  const steps = differences(unique(moments.times));
  if (!moments.areDates) {
    const every = regularStep(steps, EXACT);
    return every === null ? null : new Calendar({ column, step: "numbers", every });
  }
  const walls = unique(moments.wall), days = walls.map(dayOf), seconds = steps.map((step) => step / 1000);
  let fields = null;
  if (new Set(walls.map((wall, i) => wall - days[i] * DAY)).size === 1 && days.length >= FEWEST_TIMES) fields = monthlyStep(days) ?? dailyStep(days);
  else if (seconds.length) {
    const every = regularStep(seconds, median(seconds) < SECONDS_OF_DAY ? JITTER : EXACT);
    fields = every === null ? null : { step: "seconds", every };
  }
  return fields && new Calendar({ column, zone: moments.zone, ...fields });
}

function regularStep(steps, jitter) {
  if (steps.length < FEWEST_TIMES - 1) return null;
  const step = median(steps), shareOf = (test) => steps.filter(test).length / steps.length;
  if (!(step > 0 && Number.isFinite(step))) return null;
  const share = shareOf((size) => Math.abs(size - step) <= jitter * step);
  if (share >= REGULAR) return step;
  const countOf = (size) => Math.max(Math.round(size / step), 1);
  const whole = shareOf((size) => Math.abs(size - countOf(size) * step) <= jitter * step);
  const all = steps.reduce((sum, size) => sum + countOf(size), 0);
  return share >= SINGLE_SHARE && whole >= REGULAR && steps.length >= ROWS_SHARE * all ? step : null;
}

function monthlyStep(days) {
  const months = days.map((day) => monthOf(day * DAY)), steps = differences(months), every = steps.every((step) => step > 0) ? regularStep(steps, 0) : null;
  if (every === null) return null;
  const last = Math.max(...days.map((day, i) => day - firstDayOf(months[i]))) + 1;
  for (const [day, business] of [[last, ""], [31, "last"], [1, "first"]]) {
    if (days.filter((date, i) => date === dayOfMonth(months[i], day, business)).length / days.length >= REGULAR) return { step: "months", every, day, business };
  }
  return null;
}

function dailyStep(days) {
  const steps = differences(days), week = workingDays(days), hasDaysOff = steps.length && median(steps) === 1 && steps.some((step) => step > 1);
  if (week && hasDaysOff && regularStep(days.slice(1).map((day, i) => workdaysBetween(days[i], day, week)), 0) === 1) return { step: "business days", every: 1, week };
  const every = regularStep(steps, 0);
  return every === null ? null : { step: "days", every };
}
