// Why a model predicts what it predicts for a row of a table: Shapley values of its columns beside a row of medians and most
// frequent categories. See `kzoo/inference/explanations`.

import { general, plural } from "./python.js";

const EXACT = 12; // columns up to which all coalitions are tried
const PREDICTIONS = 4_000; // of an explanation by sampling
const TURN = 50; // milliseconds of work between two reports of progress
const LIMITS = [
  "This explains the model, not the world: what it uses need not be a cause.",
  "Columns that contain the same information share their amounts, and rows that never occur are predicted too.",
  "The background is one row of medians and most frequent categories, so the amounts depend on that row.",
];

/**
 * Return the explanation of an encoded row `x`.
 *
 * `predict` returns the prediction for an encoded row; `cellOf(name)` is the cell of a column as it was written.
 */
export async function explanationOf(model, predict, x, cellOf, progress) {
  const parts = partsOf(model.reader.columns, x, cellOf), background = Float32Array.from(model.reader.typical), mixed = Float32Array.from(background);
  const names = model.classes.length ? model.classes : model.levels.length ? model.targets.flatMap((name) => model.levels.map((level) => `${name} ${general(level, 6)}`)) : model.targets;
  const prediction = predict(x), outputs = chosenOutputs(model, prediction), end = numbersOf(prediction), start = numbersOf(predict(background));
  let done = 0, reported = Date.now();

  /** Return the numbers of the background row with some parts of the input. */
  async function withParts(isJoined, all) {
    mixed.set(background);
    parts.forEach(({ features }, part) => {
      if (isJoined(part)) for (const feature of features) mixed[feature] = x[feature];
    });
    done += 1;
    if (Date.now() - reported > TURN) {
      await progress(done, all);
      reported = Date.now();
    }
    return numbersOf(predict(mixed));
  }

  const isExact = parts.length <= EXACT;
  const amounts = isExact ? await exact(parts.length, start, end, withParts) : await sampled(parts.length, start, end, withParts);
  return {
    method: isExact ? "Shapley values" : "Shapley values by sampling",
    about: "",
    limits: LIMITS,
    rows: outputs.map((output) => ({
      output: names[output],
      scale: prediction.shares && !prediction.scores ? "probability" : "",
      prediction: end[output],
      base: start[output],
      reasons: parts.map(({ name, cell }, part) => ({ name, value: cell, amount: amounts[part][output] })).sort((a, b) => Math.abs(b.amount) - Math.abs(a.amount)),
      pieces: [],
    })),
  };
}

function numbersOf({ shares, values, quantiles }) {
  return shares ?? values ?? quantiles.flat();
}

/** Return the numbers of the outputs that are explained: the predicted class, each target, or the quantile nearest to the median. */
function chosenOutputs(model, { label, labels, shares, values, quantiles }) {
  if (labels) return [shares.indexOf(Math.max(...shares))];
  if (label !== undefined) return [model.classes.indexOf(label)];
  if (values) return values.map((_, i) => i);
  const distances = model.levels.map((level) => Number(Math.abs(level - 0.5).toFixed(9))), middle = distances.indexOf(Math.min(...distances));
  return quantiles.map((_, target) => target * model.levels.length + middle);
}

/** Return the columns of a row: name, indices of its numbers, and its cell as text. */
function partsOf(columns, x, cellOf) {
  let first = 0;
  return columns.map((column) => {
    const width = (column.length ?? Object.keys(column.medians ?? { number: 0 }).length) + (column.missing ? 1 : 0);
    const features = Array.from({ length: width }, (_, i) => first + i);
    first += width;
    return { name: column.name, features, cell: cellText(column, features.map((feature) => x[feature]), cellOf(column.name)) };
  });
}

function cellText(column, values, written) {
  const isMissing = column.missing && values.at(-1) === 1;
  if (column.kind === "category") return values[0] ? column.values[column.codes.indexOf(values[0])] ?? String(written) : "unknown or missing";
  if (column.kind === "text") {
    const count = values.filter(Boolean).length;
    return count ? `text of ${plural(count, "id")}` : "empty";
  }
  if (isMissing) return "missing";
  if (column.kind === "number") return general(values[0], 6);
  const part = Object.fromEntries(Object.keys(column.medians).map((name, i) => [name, values[i]]));
  const two = (value) => String(Math.round(value)).padStart(2, "0");
  const day = ["year", "month", "day"].filter((name) => name in part).map((name) => two(part[name])).join("-");
  return [day, "hour" in part ? `${two(part.hour)}:00` : ""].filter(Boolean).join(" ");
}

/** Return the Shapley values (parts, outputs), from all coalitions. */
async function exact(count, start, end, withParts) {
  const values = [start], all = 2 ** count;
  for (let joined = 1; joined < all - 1; joined += 1) values.push(await withParts((part) => (joined >> part) & 1, all));
  values.push(end);
  const factorial = (n) => (n < 2 ? 1 : n * factorial(n - 1));
  const weights = Array.from({ length: count }, (_, size) => (factorial(size) * factorial(count - size - 1)) / factorial(count));
  const members = (joined) => joined.toString(2).replaceAll("0", "").length;
  return Array.from({ length: count }, (_, part) => {
    const amounts = start.map(() => 0);
    for (let joined = 0; joined < all; joined += 1) {
      if ((joined >> part) & 1) continue;
      const weight = weights[members(joined)], more = values[joined + 2 ** part];
      values[joined].forEach((value, output) => { amounts[output] += weight * (more[output] - value); });
    }
    return amounts;
  });
}

/** Return estimates of the Shapley values, from random orders of the parts and their reverses. */
async function sampled(count, start, end, withParts) {
  const pairs = Math.max(Math.floor(PREDICTIONS / (2 * (count - 1))), 2), amounts = Array.from({ length: count }, () => start.map(() => 0));
  const random = randomNumbers(1);
  for (let pair = 0; pair < pairs; pair += 1) {
    const order = Array.from({ length: count }, (_, part) => [random(), part]).sort(([a], [b]) => a - b).map(([, part]) => part);
    for (const path of [order, [...order].reverse()]) {
      const joined = new Set();
      let before = start;
      for (const part of path) {
        joined.add(part);
        const after = joined.size === count ? end : await withParts((other) => joined.has(other), 2 * pairs * (count - 1));
        after.forEach((value, output) => { amounts[part][output] += (value - before[output]) / (2 * pairs); });
        before = after;
      }
    }
  }
  return amounts;
}

/** Return a generator of numbers from 0 to 1, the same for the same seed: mulberry32. */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}
