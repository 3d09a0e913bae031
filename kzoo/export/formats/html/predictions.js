// From the outputs of a network to predictions: the task, the stored steps, sets and intervals. See
// `kzoo/inference/tasks`, `kzoo/inference/postprocessors` and `kzoo/inference/predictions.py`.

import { float32Text, floatText, interpolated, ModelError, repr, sortedIndices } from "./python.js";

const TINY = 1e-30, LEAST_BELOW_1 = 2 ** -24, HALF = 0.5;
const UNSURE = "unsure";
const sum = (values) => values.reduce((total, value) => total + value, 0);
const float32 = (values) => values.map(Math.fround);
const sigmoid = (z) => 1 / (1 + Math.exp(-Math.min(Math.max(z, -700), 700)));

// Steps that change outputs: functions of what was learned and of the outputs of one row, which are probabilities

function logitsFrom(outputs, labels) {
  const single = labels || outputs.length === 1;
  const z = outputs.map((p) => Math.log(Math.max(p, TINY)) - (single ? Math.log(Math.max(1 - p, LEAST_BELOW_1)) : 0));
  return labels || outputs.length > 1 ? z : [0, z[0]];
}

function outputsFrom(z, outputs, labels) {
  const single = !labels && outputs.length === 1;
  if (labels || single) return float32((single ? [z[1] - z[0]] : z).map(sigmoid));
  const largest = Math.max(...z), log = Math.log(sum(z.map((value) => Math.exp(value - largest))));
  return float32(z.map((value) => Math.exp(value - largest - log)));
}

function binaryLogits(outputs, labels) {
  const z = logitsFrom(outputs, labels);
  return labels ? z : [z[1] - z[0]];
}

function outputsFromBinary(z, outputs, labels) {
  return outputsFrom(labels ? z : [-z[0] / 2, z[0] / 2], outputs, labels);
}

const CHANGES = {
  temperature_scaling: ({ temperature, labels }, outputs) => outputsFrom(logitsFrom(outputs, labels).map((z) => z / temperature), outputs, labels),
  vector_scaling: ({ factors, shifts }, outputs) => outputsFrom(logitsFrom(outputs, false).map((z, i) => z * factors[i] + shifts[i]), outputs, false),
  platt_scaling: ({ lines, labels }, outputs) => outputsFromBinary(binaryLogits(outputs, labels).map((z, i) => lines[i][0] + lines[i][1] * z), outputs, labels),
  quantile_widths: widened,
  target_range: (learned, outputs) => {
    const count = learned.levels?.length ?? 1;
    return outputs.length === learned.whole.length * count ? float32(outputs.map((value, i) => inRange(learned, value, Math.floor(i / count), nearestWhole))) : outputs;
  },
  isotonic_regression: ({ functions, labels }, outputs) => outputsFromBinary(binaryLogits(outputs, labels).map((z, i) => (functions[i] ? interpolated(z, ...functions[i]) : z)), outputs, labels),
};

/** Correct the distances of quantiles to the median; what is farther from it stays so. */
function widened({ levels, factors }, outputs) {
  const count = levels.length, below = levels.filter((level) => level < HALF).length;
  if (outputs.length !== count * factors.length) return outputs;
  return float32(factors.flatMap((own, target) => {
    const quantiles = outputs.slice(count * target, count * (target + 1)).sort((a, b) => a - b), median = centralOf(quantiles, levels);
    const distances = quantiles.map((value, i) => own[i] * (value - median));
    for (let i = below - 2; i >= 0; i -= 1) distances[i] = Math.min(distances[i], distances[i + 1]);
    for (let i = below + 1; i < count; i += 1) distances[i] = Math.max(distances[i], distances[i - 1]);
    return distances.map((distance) => median + distance);
  }));
}

/** Return the median of quantiles, interpolated without the level 0.5; null if all levels are on one side of it. */
function centralOf(quantiles, levels) {
  const index = nearestLevel(levels);
  if (Math.abs(levels[index] - HALF) < 1e-9) return quantiles[index];
  const above = levels.findIndex((level) => level >= HALF);
  if (above <= 0) return null;
  const share = (HALF - levels[above - 1]) / (levels[above] - levels[above - 1]);
  return (1 - share) * quantiles[above - 1] + share * quantiles[above];
}

/** Return the index of the level nearest to 0.5, the lower one of two. */
function nearestLevel(levels) {
  const distances = levels.map((level) => Number(Math.abs(level - HALF).toFixed(9)));
  return distances.indexOf(Math.min(...distances));
}

// Numbers within the range of their targets, which were never negative or always whole

const slack = (value) => Math.min(Math.max(1e-5 * Math.abs(value), 1e-5), 0.01);
const nearestWhole = (value) => Math.floor(value + HALF + slack(value)), wholeAbove = (value) => Math.ceil(value - slack(value)), wholeBelow = (value) => Math.floor(value + slack(value));

function inRange(learned, value, target, whole) {
  const changed = learned.whole[target] ? whole(value) : value;
  return learned.never_negative[target] ? Math.max(changed, 0) : changed;
}

// Steps that change predictions: they return the number of the class, or which labels are predicted

const DECISIONS = {
  threshold(learned, p, classes) {
    if (learned.rule !== "cost") {
      const positive = classes.indexOf(learned.positive);
      return p[positive] >= Math.fround(learned.threshold) ? positive : 1 - positive;
    }
    const costs = classes.map((_, predicted) => p.reduce((cost, share, actual) => Math.fround(cost + Math.fround(share * Math.fround(learned.cost[actual][predicted]))), 0));
    return costs.indexOf(Math.min(...costs));
  },
  label_thresholds: ({ thresholds }, p) => p.map((share, i) => share >= thresholds[i]),
};

const TASKS = { classes: ofClasses, ordinal: ofClasses, labels: ofLabels, values: ofValues, quantiles: ofQuantiles };

/**
 * Return the prediction of one row.
 *
 * `model` has the `task`, `kind` of outputs, `classes`, `targets`, `levels` of quantiles, `steps`, and `promises`: level ->
 * what was learned for it. `options` has `confidence` (a key of `promises`) and `minimum`, the lowest probability of a row
 * that is answered. A forecast is that of a `series`: its `scales` of errors, and its `code` among those of the training.
 */
export function predictionOf(model, outputs, options, series = null) {
  let changed = Array.from(outputs);
  if (changed.some((value) => !Number.isFinite(value))) throw new ModelError(`${model.name}/html outputs NaN or infinity for these inputs.`);
  if (model.horizon) return forecastOf(model, changed, options, series);
  for (const { name, learned } of model.steps) {
    if (Object.hasOwn(CHANGES, name)) changed = CHANGES[name](learned, changed);
    else if (!Object.hasOwn(DECISIONS, name)) throw new ModelError(`The postprocessing step ${repr(name)} is not supported.`);
  }
  return TASKS[model.task](model, changed, options);
}

/** Return what was promised for a level of confidence; null without one. */
export function promiseOf(model, { confidence, minimum }) {
  if (minimum && model.classes.includes(UNSURE)) throw new ModelError(`A class is named ${repr(UNSURE)}, the answer for rows below the threshold. Rename the class.`);
  if (!confidence) return null;
  const promise = model.promises[confidence];
  if (promise.error) throw new ModelError(promise.error);
  return promise;
}

function decided(model, p, otherwise) {
  const step = model.steps.find(({ name }) => Object.hasOwn(DECISIONS, name));
  return step ? DECISIONS[step.name](step.learned, p, model.classes) : otherwise();
}

function ofClasses(model, outputs, options) {
  const { classes, kind } = model, isScore = kind === "scores", single = outputs.length === 1;
  const p = single ? [isScore ? -outputs[0] : Math.fround(1 - outputs[0]), outputs[0]] : outputs;
  const usual = () => (model.task === "ordinal" && p.every((share) => share >= 0) ? medianClass(p) : p.indexOf(Math.max(...p)));
  const number = isScore ? usual() : decided(model, p, usual);
  const unsure = options.minimum && !isScore && p[number] < options.minimum;
  const prediction = { label: unsure ? UNSURE : classes[number], shares: p, scores: isScore };
  const promise = promiseOf(model, options);
  if (promise) prediction.set = classes.filter((_, i) => 1 - p[i] <= promise.limit);
  return prediction;
}

/** Return the number of the median class, which has the least expected distance. */
function medianClass(p) {
  let total = 0;
  const cumulated = p.map((share) => (total += share));
  return cumulated.filter((share) => share < total / 2).length;
}

function ofLabels(model, outputs) {
  const chosen = decided(model, outputs, () => outputs.map((share) => share >= HALF));
  return { labels: model.classes.filter((_, i) => chosen[i]), shares: outputs, scores: false };
}

function ofValues(model, outputs, options) {
  return { values: outputs, ...intervals(model, outputs.map((value) => [value, value]), options) };
}

function ofQuantiles(model, outputs, options) {
  const count = model.levels.length, targets = Array.from({ length: outputs.length / count }, (_, i) => outputs.slice(count * i, count * (i + 1)).sort((a, b) => a - b));
  const promise = promiseOf(model, options);
  return { quantiles: targets, ...intervals(model, targets.map((row) => (promise ? [row[promise.low], row[promise.high]] : row)), options) };
}

/** Return `lower` and `upper` ends of intervals, given the two ends before their correction of each target. */
function intervals(model, pairs, options) {
  const promise = promiseOf(model, options);
  if (!promise) return {};
  const ends = pairs.map(([low, high], i) => {
    const spread = promise.spreads?.[i], width = promise.widths[i] * (spread ? interpolated(low, spread.at, spread.size) : 1);
    const middle = (low - width + (high + width)) / 2; // a negative width may cross the ends
    const [lower, upper] = [Math.min(low - width, middle), Math.max(high + width, middle)];
    return "lowest" in promise ? [Math.max(lower, promise.lowest), Math.max(upper, promise.lowest)] : [lower, upper];
  });
  return { lower: ends.map(([lower]) => lower), upper: ends.map(([, upper]) => upper) };
}

// Forecasts

function forecastOf(model, outputs, options, series) {
  const { horizon, levels } = model, width = outputs.length / horizon, count = levels.length || 1, promise = promiseOf(model, options);
  const learned = model.steps.find(({ name }) => name === "target_range")?.learned, ends = [], prediction = { rows: [], means: [] };
  for (let step = 0; step < horizon; step += 1) {
    let row = outputs.slice(width * step, width * (step + 1));
    for (const { name, learned: own } of model.steps) row = CHANGES[name](own, row);
    const targets = Array.from({ length: width / count }, (_, i) => row.slice(count * i, count * (i + 1)).sort((a, b) => a - b));
    prediction.rows.push(targets);
    if (model.mean) prediction.means.push(targets.map((quantiles, i) => Math.fround(meanOf(model.mean, quantiles, levels, i, series))));
    if (promise) ends.push(targets.map((quantiles, i) => endsOf(promise, learned, quantiles, levels, i, promise.widths[step][i], series)));
  }
  if (promise) Object.assign(prediction, { lower: ends.map((row) => row.map(([lower]) => lower)), upper: ends.map((row) => row.map(([, upper]) => upper)) });
  return prediction;
}

/** Return the mean beside quantiles: the median, moved by the errors of past forecasts on both sides of it. */
function meanOf({ below, above, neverNegative }, given, levels, target, series) {
  const isPositive = neverNegative[target], quantiles = isPositive ? given.map((value) => Math.max(value, 0)) : given, least = series ? 0.1 * series.scales[target] : 0;
  const center = centralOf(quantiles, levels) ?? quantiles[nearestLevel(levels)];
  const mean = center - below[target] * Math.max(center - quantiles[0], least) + above[target] * Math.max(quantiles.at(-1) - center, least);
  return isPositive ? Math.max(mean, 0) : mean;
}

/** Return the ends of an interval of a step, whose width follows the errors of the series. */
function endsOf(promise, learned, quantiles, levels, target, width, series) {
  const [low, high] = levels.length ? [quantiles[promise.low], quantiles[promise.high]] : [quantiles[0], quantiles[0]];
  const own = promise.rule && (promise.own[series.code]?.[target] ?? (promise.rule === "factor" ? 1 : 0));
  const size = promise.rule === "factor" ? width * (series.scales[target] * own) : promise.rule ? (width + own) * series.scales[target] : width;
  let [lower, upper] = [low - size, high + size];
  const middle = (lower + upper) / 2;
  [lower, upper] = [Math.min(lower, middle), Math.max(upper, middle)];
  if ("lowest" in promise) [lower, upper] = [Math.max(lower, promise.lowest), Math.max(upper, promise.lowest)];
  if (!learned) return [lower, upper];
  const point = levels.length ? quantiles[nearestLevel(levels)] : quantiles[0], isWhole = learned.whole[target];
  [lower, upper] = [inRange(learned, lower, target, wholeAbove), inRange(learned, upper, target, wholeBelow)];
  return isWhole ? [Math.min(lower, point), Math.max(upper, point)] : [lower, upper];
}

/** Return the names of the numbers of a forecast, and a function from a prediction to their texts, a row for each step. */
export function forecastColumns(model, { confidence }, taken) {
  const isQuantiles = model.levels.length > 0, endings = isQuantiles ? [...(model.mean ? ["_mean"] : []), ...model.levels.map((level) => `_q${Number(level.toPrecision(6))}`)] : [""];
  const used = new Set(model.targets.flatMap((name) => endings.map((ending) => name + ending))), reserved = new Set([...taken, "error"]);
  const names = model.targets.flatMap((name) => [...endings.map((ending) => name + ending), ...(confidence ? ["_lower", "_upper"].map((end) => (used.has(name + end) ? `interval_${name}${end}` : name + end)) : [])]);
  const cells = ({ rows, means, lower, upper }) => rows.map((targets, step) => targets.flatMap((row, i) => [...(model.mean ? [means[step][i]] : []), ...row, ...(lower ? [lower[step][i], upper[step][i]] : [])].map((value) => float32Text(Math.fround(value)))));
  return { names: names.map((name) => (reserved.has(name) ? `target_${name}` : name)), cells };
}

/** Return a prediction as the server sends it, with the most likely classes, at most `top`. */
export function responseOf(model, prediction, { top, confidence }, index) {
  const row = { input: index, ...(confidence ? { confidence: Number(confidence) } : {}) };
  if (prediction.rows) Object.assign(row, model.levels.length ? { quantiles: prediction.rows, levels: model.levels } : { values: prediction.rows.map((targets) => targets.flat()) }, { targets: model.targets });
  if (prediction.rows && model.mean) Object.assign(row, { mean: prediction.means });
  if (prediction.values) Object.assign(row, { values: prediction.values });
  if (prediction.quantiles) Object.assign(row, { quantiles: prediction.quantiles, levels: model.levels });
  if (prediction.lower) Object.assign(row, { lower: prediction.lower, upper: prediction.upper });
  if (!prediction.shares) return row;
  const { shares, scores, label, labels, set } = prediction;
  let best = sortedIndices(shares.map((share) => -share));
  if (!labels && label !== model.classes[best[0]] && model.classes.includes(label)) best = [model.classes.indexOf(label), ...best.filter((i) => model.classes[i] !== label)];
  Object.assign(row, labels ? { labels } : { label });
  row.classes = best.slice(0, top).map((i) => ({ label: model.classes[i], [scores ? "score" : "probability"]: shares[i] }));
  if (set) row.set = set;
  return row;
}

// The CSV file of predictions

/** Return the names of the columns of a CSV file of predictions, without those of the input. */
export function columnNames(model, { confidence }) {
  if (model.task === "labels") return ["labels", ...model.classes.map((name) => `p_${name}`)];
  if (model.classes.length) return ["label", ...(confidence ? ["set"] : []), ...model.classes.map((name) => `${model.kind === "scores" ? "score" : "p"}_${name}`)];
  const endings = model.task === "quantiles" ? model.levels.map((level) => `_q${Number(level.toPrecision(6))}`) : [""];
  const used = new Set(model.targets.flatMap((name) => endings.map((ending) => name + ending)));
  const names = model.targets.flatMap((name) => [...endings.map((ending) => name + ending), ...(confidence ? ["_lower", "_upper"].map((end) => (used.has(name + end) ? `interval_${name}${end}` : name + end)) : [])]);
  return names.map((name) => (name === "input" || name === "error" ? `target_${name}` : name));
}

/** Return the cells of a prediction under `columnNames`. */
export function cellsOf(model, prediction) {
  const { shares, values, quantiles, lower, upper, set } = prediction;
  if (shares) {
    const first = prediction.labels ? [prediction.labels.join(model.separator)] : [prediction.label, ...(set ? [`{${set.join("; ")}}`] : [])];
    return [...first, ...shares.map(float32Text)];
  }
  return (quantiles ?? values.map((value) => [value])).flatMap((row, i) => [...row.map(float32Text), ...(lower ? [lower[i], upper[i]].map((end) => float32Text(Math.fround(end))) : [])]);
}

/** Return a row of a CSV file; texts that a spreadsheet would run as formulas get an apostrophe in front. */
export function csvLine(cells) {
  return `${cells.map((cell) => quoted(safe(cell))).join(",")}\n`;
}

function safe(cell) {
  const isFormula = /^[=+\-@\t\r]/.test(cell) && !/^[+-](?:(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity|nan)$/i.test(cell.trim());
  return isFormula ? `'${cell}` : cell;
}

function quoted(cell) {
  return /[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** Return a cell of the input as text. */
export function inputText(cell) {
  return cell === null ? "" : typeof cell === "number" ? (Number.isInteger(cell) ? String(cell) : floatText(cell)) : cell;
}
