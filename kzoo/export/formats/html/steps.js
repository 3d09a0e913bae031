// The steps of series on their calendar, and how missing values are filled in: see `kzoo/inference/kinds/series/steps.py` and
// `seasonal_fill.py`.

import { ModelError, plural, rounded } from "./python.js";
import { STEP_TOLERANCE } from "./calendar.js";
import { Moments } from "./times.js";

const MOST_SHARED = 0.2, LAGS = 4, FEWEST_RESIDUALS = 8, AUTOCORRELATION = 0.5, MOST_AUTOCORRELATION = 0.999;

/** Missing rows of a gap; a longer one divides a series. */
export const LONGEST_GAP = 200;
/** Share of the targets in a window that may be filled in. */
export const MOST_FILLED = 0.5;
export const SEVERAL_SEASONS = "seasons";

/** Steps: the row of each (of one without a row, the row before), steps since that row, and the first step of each part. */
export class Steps {
  constructor(fields) {
    Object.assign(this, { unused: [] }, fields);
  }

  /** Return the steps of rows with ascending numbers in each series; a gap of more than `longest` rows divides it. */
  static of(numbers, bounds, longest) {
    const ends = new Set(bounds.slice(1).map((end) => end - 1)), starts = new Set(bounds.slice(0, -1));
    const rows = [], since = [], parts = [], ofRows = [];
    let isDivided = false;
    for (let row = 0; row < numbers.length; row += 1) {
      const missing = ends.has(row) ? 0 : Math.max(numbers[row + 1] - numbers[row] - 1, 0);
      if (starts.has(row) || isDivided) parts.push(rows.length);
      isDivided = missing > longest;
      ofRows.push(rows.length);
      for (let step = 0; step <= (missing > longest ? 0 : missing); step += 1) {
        rows.push(row);
        since.push(step);
      }
    }
    return new Steps({ rows, since, parts: [...parts, rows.length], ofRows });
  }

  /** Return the steps of one series in order of time; of rows with the same step, the last one counts. */
  static ofSeries(calendar, moments, longest, where, last) {
    const numbers = numbersOf(calendar, moments), count = numbers.length;
    const kept = numbers.flatMap((number, i) => (i === count - 1 || numbers[i + 1] > number ? [i] : [])), shared = count - kept.length;
    if (shared > MOST_SHARED * count) {
      throw new ModelError(`${shared.toLocaleString("en-US")} of ${count.toLocaleString("en-US")} rows of ${where} have the step of another row: a series has one row per step of ${calendar.description}. Keep one row of each, or use the mean or sum of them.`);
    }
    const needed = kept.filter((row) => numbers[row] > numbers[count - 1] - last), steps = Steps.of(needed.map((row) => numbers[row]), [0, needed.length], longest);
    const known = new Set(kept), from = needed.length < kept.length ? kept[kept.length - needed.length - 1] + 1 : 0;
    const unused = Array.from({ length: count - from }, (_, i) => from + i).filter((row) => !known.has(row));
    return new Steps({ rows: steps.rows.map((row) => needed[row]), since: steps.since, parts: steps.parts, unused });
  }

  /** Return a step for each row, where no calendar is known. */
  static consecutive(count) {
    return Steps.of(Array.from({ length: count }, (_, i) => i), [0, count], 0);
  }

  get length() {
    return this.rows.length;
  }

  /** Return the steps with some more before the first row, which are missing. */
  preceded(count) {
    const before = Array.from({ length: count }, (_, i) => i - count);
    return new Steps({ rows: [...before.map(() => 0), ...this.rows], since: [...before, ...this.since], parts: [0, ...this.parts.slice(1).map((part) => part + count)], unused: this.unused });
  }

  /** Return notes about steps without a row, from step `first` on. */
  notes(timeOf, rule, first) {
    const lines = [], ahead = this.since.map((_, step) => step).slice(first), missing = ahead.filter((step) => this.since[step] > 0);
    const early = ahead.filter((step) => this.since[step] < 0).length, { length: count } = missing;
    if (early) lines.push(`${plural(early, "row")} before ${timeOf(0)} ${early === 1 ? "is" : "are"} missing. ${rule}`);
    if (count) {
      const most = Math.max(...missing.map((step) => this.since[step])), row = this.rows[missing.find((step) => this.since[step] === most)];
      const run = count > 1 && most > 1 ? `; ${most} in a row` : "";
      lines.push(`${plural(count, "row")} ${count === 1 ? "is" : "are"} missing (between ${timeOf(row)} and ${timeOf(row + 1)}${run}). ${rule}`);
    }
    for (const start of this.parts.slice(1, -1).filter((part) => part > first)) {
      lines.push(`The gap between ${timeOf(this.rows[start - 1])} and ${timeOf(this.rows[start])} is too long to be filled in: no window crosses it.`);
    }
    return lines;
  }

  /** Return the times of all steps, given those of the rows. */
  moments(calendar, given) {
    const moments = given.take(this.rows);
    this.since.forEach((steps, i) => {
      if (!steps) return;
      const wall = moments.wall[i], later = calendar.later(wall, steps);
      moments.times[i] += later - wall;
      moments.wall[i] = later;
    });
    return new Moments(moments.times, moments.wall, moments.zone, moments.areDates);
  }
}

/** Return the number of steps of each row since the first; small differences from whole steps do not add up. */
function numbersOf(calendar, moments) {
  let sum = 0;
  const counts = calendar.intervals(moments).map((count) => (Math.abs(count - rounded(count)) <= STEP_TOLERANCE ? rounded(count) : count));
  return [0, ...counts.map((count) => rounded((sum += count)))];
}

/** Return how missing values are filled in, as a sentence. */
export function fillRule(season, fill, hasCovariates) {
  const pattern = season && fill === SEVERAL_SEASONS ? `from the same step of the seasons of ${plural(season, "step")} around them` : season ? `with the values ${plural(season, "step")} before` : "with a straight line";
  return `Targets are filled in ${pattern}, fitted to the values around them; other columns keep their last value${hasCovariates && fill && season ? ", known events have their usual one" : ""}.`;
}

/** Return the values of a target with missing ones filled in, each part of a series by itself. */
export function filledTarget(column, parts, season, fill) {
  const filled = column.slice();
  if (!column.some(Number.isNaN)) return filled;
  for (let part = 0; part + 1 < parts.length; part += 1) {
    const own = column.slice(parts[part], parts[part + 1]), missing = own.filter(Number.isNaN).length;
    if (!missing) continue;
    const seasonal = season && fill === SEVERAL_SEASONS && missing < own.length && own.length > season ? fromSeasons(own, season) : own;
    fillFromOneSeason(seasonal, season ?? 0);
    filled.set(seasonal, parts[part]);
  }
  return filled;
}

function fillFromOneSeason(column, season) {
  const missing = Array.from(column, Number.isNaN);
  for (let first = 0; first < column.length; first += 1) {
    if (!missing[first]) continue;
    let end = first;
    while (missing[end]) end += 1;
    fillRun(column, first, end, season);
    first = end;
  }
}

function fillRun(column, first, end, season) {
  if (first === 0) {
    column.fill(end < column.length ? column[end] : 0, 0, end);
    return;
  }
  const count = end - first + 1, around = Array.from({ length: count + 1 }, (_, i) => i), after = column.slice(end, end + season + 1);
  let base = around.map(() => 0);
  if (season && first > season) base = repeated(column.slice(first - 1 - season, first), around);
  else if (season && after.filter(Number.isFinite).length === season + 1) base = repeated(after.reverse(), [...around].reverse());
  const left = column[first - 1] - base[0], right = end < column.length ? column[end] - base[count] : left;
  for (let i = 1; i < count; i += 1) column[first + i - 1] = base[i] + left + ((right - left) * i) / count;
}

/** Return the values of a season and the value before it repeated, each time with the change over it. */
function repeated(season, steps) {
  const length = season.length - 1;
  return steps.map((step) => {
    const times = Math.max(Math.ceil(step / length), 1) - 1;
    return season[step - times * length] + times * (season[length] - season[0]);
  });
}

// From several seasons. A column is that of one part.

function fromSeasons(column, season) {
  const before = estimates(column, season), after = estimates(column.slice().reverse(), season).reverse();
  const estimate = before.map((value, i) => (Number.isNaN(value) ? after[i] : value)), rest = carried(column.map((value, i) => value - estimate[i]));
  const isNegative = column.some((value) => value < 0);
  return column.map((value, i) => {
    const expected = estimate[i] + rest[i];
    return !Number.isNaN(value) ? value : isNegative || Number.isNaN(expected) ? expected : Math.max(expected, 0);
  });
}

/** Return the weighted mean of the values of earlier seasons at each step, shifted to its level; NaN without. */
function estimates(column, season) {
  const size = column.length, missing = Array.from(column, Number.isNaN), total = new Float64Array(size), weights = new Float64Array(size);
  for (let count = 1; count <= Math.floor((size - 1) / season); count += 1) {
    const lag = count * season, isWanted = (i) => missing[i] && weights[i] === 0;
    if (count > LAGS && !missing.some((_, i) => isWanted(i) && i >= lag)) break;
    const earlier = column.map((_, i) => (i >= lag ? column[i - lag] : NaN)), level = localMean(column.map((value, i) => value - earlier[i]), season);
    earlier.forEach((value, i) => {
      const shifted = value + level[i];
      if (!Number.isFinite(shifted) || (count > LAGS && !isWanted(i))) return;
      total[i] += shifted / count;
      weights[i] += 1 / count;
    });
  }
  return total.map((value, i) => (weights[i] > 0 ? value / weights[i] : NaN));
}

/** Return the mean of changes, some of which are missing, in the season before each step. */
function localMean(changes, season) {
  const size = changes.length, known = Array.from(changes, Number.isFinite), largest = changes.reduce((sum, value) => sum + (Number.isFinite(value) ? Math.abs(value) : 0), 0), unit = largest > 0 ? largest : 1;
  const sums = new Float64Array(size + 1), counts = new Float64Array(size + 1);
  for (let i = 0; i < size; i += 1) {
    sums[i + 1] = sums[i] + (known[i] ? changes[i] / unit : 0);
    counts[i + 1] = counts[i] + (known[i] ? 1 : 0);
  }
  const has = [], mean = new Float64Array(size + 1);
  for (let step = 0; step < size; step += 1) {
    const first = Math.max(step - season, 0), after = Math.min(step + 1, size), end = Math.min(step + season + 1, size);
    let total = sums[step] - sums[first], count = counts[step] - counts[first];
    if (2 * count < season) {
      total += sums[end] - sums[after];
      count += counts[end] - counts[after];
    }
    has.push(count > 0);
    mean[step] = count > 0 ? (unit * total) / count : 0;
  }
  const [left, right] = around(has);
  return mean.slice(0, size).map((value, step) => {
    const [low, high] = [left[step], right[step]];
    if (has[step]) return value;
    if (low >= 0 && high < size) return (mean[low] * (high - step) + mean[high] * (step - low)) / Math.max(high - low, 1);
    return low >= 0 ? mean[low] : high < size ? mean[high] : 0;
  });
}

/** Return the last known step up to each, -1 for none, and the next one, the number of steps for none. */
function around(known) {
  const size = known.length, before = new Int32Array(size), after = new Int32Array(size);
  for (let i = 0, last = -1; i < size; i += 1) before[i] = last = known[i] ? i : last;
  for (let i = size - 1, next = size; i >= 0; i -= 1) after[i] = next = known[i] ? i : next;
  return [before, after];
}

/** Return what residuals let expect where they are missing: those around a gap, fading into it. */
function carried(residuals) {
  const size = residuals.length, known = Array.from(residuals, Number.isFinite), values = residuals.map((value, i) => (known[i] ? value : 0));
  let pairs = 0, power = 0, product = 0;
  for (let i = 1; i < size; i += 1) {
    if (!known[i] || !known[i - 1]) continue;
    pairs += 1;
    power += values[i - 1] ** 2;
    product += values[i] * values[i - 1];
  }
  const correlation = Math.min(Math.max(pairs < FEWEST_RESIDUALS ? AUTOCORRELATION : product / (power > 0 ? power : 1), 0), MOST_AUTOCORRELATION);
  const [before, after] = around(known);
  return values.map((value, i) => {
    if (known[i]) return value;
    const left = before[i] >= 0 ? correlation ** (i - before[i]) : 0, right = after[i] < size ? correlation ** (after[i] - i) : 0;
    const scale = Math.max(1 - (left * right) ** 2, 1e-12);
    return ((left * (1 - right ** 2)) / scale) * values[Math.max(before[i], 0)] + ((right * (1 - left ** 2)) / scale) * values[Math.min(after[i], size - 1)];
  });
}
