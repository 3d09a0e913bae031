// Display of predictions: bars of probabilities, values, charts of forecasts, and tables of many rows.

import { chart } from "./chart.js";
import { columnFormat, make, newId, number, percent, Problem, textOr, translated } from "./dom.js";

const MAX_CLASSES = 8, MAX_ROWS = 100, MAX_COLUMNS = 12, MAX_CHARTS = 6;

/** Return `node` and `summary` (a key and its values) of a response to an input. */
export function showPredictions(about, response, input, download) {
  const { predictions } = response;
  const [node, summary] = predictions.length === 1 && !input.many ? single(about, predictions[0], input, download) : several(about, predictions, input, download);
  if (response.series) node.prepend(...seriesCharts(response.series));
  const notes = [...(input.notes ?? []).map((note) => make("li", { say: note })), ...[response.promise, ...(response.notes ?? [])].filter(Boolean).map((text) => make("li", { text, lang: "en" }))];
  if (notes.length) node.append(make("ul", { class: "notes" }, ...notes));
  return { node, summary };
}

/** Return charts of the columns of a series. */
function seriesCharts(columns) {
  return columns.slice(0, MAX_CHARTS).map(({ name, values }) => make("figure", {}, make("figcaption", {}, make("b", { text: name })),
    chart({ name, before: values, after: [], times: values.map((_, step) => `${step + 1}`) })));
}

function single(about, prediction, input, download) {
  if (prediction.error) throw new Problem("unreadable", { why: prediction.error });
  const node = make("div", {}, input.picture ?? null);
  if (prediction.labels) {
    node.append(labelSet(prediction), labelBars(prediction));
    return [node, prediction.labels.length ? ["saidLabels", { labels: prediction.labels.map(label).join(", ") }] : ["saidNoLabel"]];
  }
  if (prediction.classes) {
    node.append(verdict(prediction), ...setLine(prediction), bars(prediction, about.answer.classes.length));
    const best = prediction.classes[0];
    return [node, best.probability === undefined ? ["saidLabel", { label: label(prediction.label) }] : ["saidClass", { label: label(prediction.label), share: () => percent(best.probability) }]];
  }
  if (isForecast(prediction)) {
    node.append(...forecast(about, prediction), ...(download ? [downloadButton(download)] : []));
    return [node, ["saidForecast", { n: numbersOf(prediction).length }]];
  }
  const values = numbersOf(prediction), names = namesOf(about.answer.targets, prediction);
  node.append(make("dl", { class: "values" }, ...values.map((value, i) => make("div", {}, make("dt", { text: nameOf(names, i) }), make("dd", { text: `${number(value)}${intervalText(prediction, i, values.length)}` })))));
  return [node, ["saidValues", { values: () => values.map((value, i) => `${nameOf(names, i)} ${number(value)}`).join(", ") }]];
}

/** Return the prediction for one input as text, a line for each class or number. */
export function answerText(about, { predictions: [prediction], promise }) {
  const lines = [];
  if (prediction.labels) lines.push(prediction.labels.map(label).join(", ") || translated("noLabel"));
  else if (prediction.classes) lines.push(isUnsure(prediction) ? translated("unsure") : label(prediction.label));
  if (prediction.classes) lines.push(...prediction.classes.map((item) => `${label(item.label)}: ${item.probability === undefined ? number(item.score) : percent(item.probability)}`));
  if (prediction.set) lines.push(setSentence(prediction));
  if (!prediction.classes && isForecast(prediction)) lines.push(...stepLines(about, prediction));
  else if (!prediction.classes) {
    const values = numbersOf(prediction), names = namesOf(about.answer.targets, prediction);
    lines.push(...values.map((value, i) => `${nameOf(names, i)}: ${number(value)}${intervalText(prediction, i, values.length)}`));
  }
  return [...lines, promise].filter(Boolean).join("\n");
}

/** Return a line for each step of a forecast. */
function stepLines(about, prediction) {
  const { lower, upper, times } = prediction, names = namesOf(about.answer.targets, prediction);
  return numbersOf(prediction).map((values, step) => {
    const ends = lower ? { lower: lower[step], upper: upper[step] } : {};
    return `${times?.[step] ?? step + 1}: ${values.map((value, i) => `${names.length > 1 ? `${nameOf(names, i)} ` : ""}${number(value)}${intervalText(ends, i, values.length)}`).join(", ")}`;
  });
}

/** Return a level, such as 0.95, as "95 %". */
const level = (share) => `${Number((100 * share).toFixed(3))} %`;

/** Return the line with the set of classes of a prediction, in a list; [] without one. */
function setLine({ set, confidence }) {
  if (!set) return [];
  return [make("p", { class: "note", say: ["plainly", { text: () => setSentence({ set, confidence }) }] })];
}

function setSentence({ set, confidence }) {
  return set.length ? translated("setOf", { share: level(confidence), classes: set.map(label).join(", ") }) : translated("emptySet", { share: level(confidence) });
}

/** Return the interval beside number `index` of `count`: of several quantiles of a target, beside the last one. */
function intervalText({ lower, upper }, index, count) {
  if (!lower) return "";
  const each = count / lower.length;
  if ((index + 1) % each) return "";
  const target = (index + 1) / each - 1;
  return ` (${number(lower[target])} – ${number(upper[target])})`;
}

/** Return whether the numbers of a prediction have a row for each step: `quantiles` have an axis more than `values`. */
function isForecast({ values, quantiles }) {
  return Array.isArray(values ? values[0] : quantiles[0][0]);
}

/** Return the values of a prediction, or the quantiles of all its targets one after another, for each step of a forecast. */
function numbersOf(prediction) {
  if (prediction.values) return prediction.values;
  return isForecast(prediction) ? prediction.quantiles.map((row) => row.flat()) : prediction.quantiles.flat();
}

/** Return the names of the numbers: those of the targets, with the level of each quantile, such as `load_q0.9`. */
function namesOf(targets, { values, levels }) {
  return values || !levels ? targets : targets.flatMap((name) => levels.map((level) => `${name}_q${level}`));
}

function nameOf(names, index) {
  return names[index] ?? `${index + 1}`;
}

/** Return the name of a class with invisible characters made visible. */
export function label(name) {
  if (name === null) return "–";
  return name.trim() === "" ? JSON.stringify(name) : name.replaceAll("\n", "⏎");
}

function verdict(prediction) {
  const best = prediction.classes[0];
  const probability = best.probability === undefined ? null : make("span", { text: percent(best.probability) });
  if (isUnsure(prediction)) return make("p", { class: "verdict" }, make("strong", { say: "unsure" }), make("span", { text: `${label(best.label)} ${percent(best.probability)}` }));
  return make("p", { class: "verdict" }, make("strong", { text: label(prediction.label) }), probability);
}

function isUnsure({ label: name, classes }) {
  return name === "unsure" && classes.every((item) => item.label !== "unsure");
}

/** Return the labels of an input, or that it has none. */
function labelSet(prediction) {
  if (!prediction.labels.length) return make("p", { class: "verdict" }, make("strong", { say: "noLabel" }));
  return make("p", { class: "verdict" }, make("strong", { text: prediction.labels.map(label).join(", ") }));
}

/** Return a bar for each of the most likely labels; those that are predicted are bold. */
function labelBars(prediction) {
  const list = make("ol", { class: "bars" }), shown = prediction.classes.slice(0, Math.max(MAX_CLASSES, prediction.labels.length));
  for (const item of shown) {
    const chosen = prediction.labels.includes(item.label);
    list.append(bar(make(chosen ? "strong" : "span", { class: "name", text: label(item.label) }), item.probability, chosen ? "" : "rest"));
  }
  return list;
}

/** Return a bar for each of the most likely classes, and one for all others together. */
export function bars(prediction, count) {
  const top = prediction.classes.slice(0, MAX_CLASSES);
  const list = make("ol", { class: "bars" });
  if (top[0].probability === undefined) {
    list.append(...top.map((item) => make("li", {}, make("span", { class: "name", text: label(item.label) }), make("span", { class: "number", text: number(item.score) }))));
    return make("div", {}, make("p", { class: "note", say: "scores" }), list);
  }
  for (const item of top) list.append(bar(make("span", { class: "name", text: label(item.label) }), item.probability));
  const others = Math.max(count, prediction.classes.length) - top.length;
  const otherProbability = 1 - top.reduce((sum, item) => sum + item.probability, 0);
  if (others > 0) list.append(bar(make("span", { class: "name", say: ["others", { n: others }] }), Math.max(otherProbability, 0), "rest"));
  return list;
}

function bar(name, share, className = "") {
  const fill = make("span", { class: "fill" });
  fill.style.width = `${100 * share}%`;
  return make("li", { class: className }, name, make("span", { class: "track", "aria-hidden": "true" }, fill), make("span", { class: "number", text: percent(share) }));
}

function forecast(about, prediction) {
  const values = numbersOf(prediction), levels = prediction.values ? [] : prediction.levels, count = levels.length || 1;
  const targets = prediction.targets?.length ? prediction.targets : about.answer.targets, names = namesOf(targets, prediction);
  const times = prediction.times ?? values.map((_, step) => `${step + 1}`);
  const pastTimes = prediction.history_times ?? prediction.history?.map((_, step) => `${step + 1 - prediction.history.length}`) ?? [];
  const repeated = Math.max(pastTimes.lastIndexOf(pastTimes[0]), 0); // the first row of a short series is repeated before it
  const history = (prediction.history ?? []).slice(repeated), historyTimes = pastTimes.slice(repeated);
  const title = (name) => (typeof prediction.input === "string" ? `${prediction.input}: ${name}` : name);
  const charts = targets.slice(0, MAX_CHARTS).map((name, i) => {
    const column = (rows, index) => rows.map((row) => row[index]), first = i * count;
    const ends = prediction.lower ? { low: column(prediction.lower, i), high: column(prediction.upper, i) } : null;
    const bounds = ends ?? (levels.length ? { low: column(values, first), high: column(values, first + count - 1) } : {});
    const band = ends ? [" ", legend("intervals", level(prediction.confidence))] : levels.length ? [" ", legend("band", `${levels[0]} – ${levels.at(-1)}`)] : [];
    return make("figure", {}, make("figcaption", {}, make("b", { text: title(name) }), " ", legend("before"), " ", legend("after"), ...band),
      chart({ name: title(name), before: column(history, i), after: values.map((row) => median(row.slice(first, first + count), levels)), ...bounds, times: [...historyTimes, ...times] }));
  });
  const formats = names.map((_, i) => columnFormat(values.map((row) => row[i])));
  const columns = [
    { head: ["step"], cells: values.map((_, step) => `${step + 1}`) },
    ...(prediction.times ? [{ head: ["time"], cells: times }] : []),
    ...names.map((name, i) => ({ head: name, cells: values.map((row) => formats[i](row[i])), main: true })),
    ...endColumns(targets, prediction.lower ? prediction.lower.map((row, step) => ({ lower: row, upper: prediction.upper[step] })) : []),
  ];
  return [...charts, table(columns)];
}

/** Return the median of quantiles: interpolated without the level 0.5, the nearest quantile if all are on one side; a single value as it is. */
function median(values, levels) {
  if (!levels.length) return values[0];
  const above = levels.findIndex((level) => level > 0.5 - 1e-9), below = above - 1;
  if (above < 0) return values.at(-1);
  if (above === 0 || Math.abs(levels[above] - 0.5) < 1e-9) return values[above];
  const share = (0.5 - levels[below]) / (levels[above] - levels[below]);
  return (1 - share) * values[below] + share * values[above];
}

/** Return columns of the ends of intervals, given an object with `lower` and `upper` for each row; [] without rows. */
function endColumns(targets, rows) {
  if (!rows.length) return [];
  return targets.flatMap((name, i) => ["lower", "upper"].map((end) => {
    const format = columnFormat(rows.map((row) => row[end][i]));
    return { head: `${name}_${end}`, cells: rows.map((row) => format(row[end][i])) };
  }));
}

function legend(key, detail = "") {
  return make("span", { class: "key" }, make("i", { class: key, "aria-hidden": "true" }), make("span", { say: key }), detail ? ` ${detail}` : "");
}

/** Return the forecasts of many series: the chart and the table of the one that is selected. */
function manyForecasts(about, predictions, download) {
  const id = newId("series"), holder = make("div");
  const show = (index) => holder.replaceChildren(...forecast(about, predictions[index]));
  const select = make("select", { id, change: () => show(Number(select.value)) }, ...predictions.map((prediction, i) => make("option", { value: `${i}`, text: `${prediction.input}` })));
  show(0);
  const picker = predictions.length > 1 ? make("p", { class: "pick" }, make("label", { for: id, say: ["oneOfSeries", { n: predictions.length }] }), " ", select) : null;
  const node = make("div", {}, picker, holder, download ? downloadButton(download) : null);
  return [node, ["saidForecasts", { n: predictions.length, steps: numbersOf(predictions[0]).length }]];
}

function downloadButton(click) {
  return make("button", { type: "button", class: "quiet download", say: "download", click });
}

function several(about, predictions, input, download) {
  const node = make("div");
  const valid = predictions.filter((prediction) => !prediction.error), shown = predictions.slice(0, MAX_ROWS);
  if ((valid[0]?.values || valid[0]?.quantiles) && isForecast(valid[0])) return manyForecasts(about, valid, download);
  const hasLabels = predictions.some((prediction) => prediction.labels);
  const hasClasses = !hasLabels && Boolean(predictions[0].classes), hasProbabilities = hasClasses && valid[0]?.classes[0].probability !== undefined;
  if (hasClasses) node.append(classCounts(valid.map((prediction) => [prediction.label]), valid.length));
  if (hasLabels) node.append(classCounts(valid.map((prediction) => prediction.labels), valid.length));
  const ids = about.input.form?.series_id ?? []; // series with a prediction each are named by their ids
  node.append(make("p", { class: "note", say: predictions.length > MAX_ROWS ? ["firstRows", { n: MAX_ROWS, all: predictions.length }] : [ids.length ? "manySeries" : "rows", { n: predictions.length }] }));
  const results = hasLabels ? [{ head: ["labels"], cells: shown.map((prediction) => prediction.error ?? (prediction.labels.map(label).join(", ") || "–")), main: true }] : hasClasses
    ? [{ head: ["class"], cells: shown.map((prediction) => prediction.error ?? label(prediction.label)), main: true }]
    : namesOf(about.answer.targets, valid[0] ?? {}).map((name, i) => {
      const format = columnFormat(valid.map((prediction) => numbersOf(prediction)[i]));
      return { head: name, cells: shown.map((prediction) => (prediction.error ? (i ? "" : prediction.error) : format(numbersOf(prediction)[i]))), main: true };
    });
  if (hasProbabilities) results.push({ head: ["probability"], cells: shown.map((prediction) => (prediction.error ? "" : percent(prediction.classes[0].probability))) });
  if (hasClasses && valid[0]?.set) results.push({ head: ["set"], cells: shown.map((prediction) => (prediction.error ? "" : prediction.set.map(label).join(", ") || "–")) });
  if (valid[0]?.lower && valid.length === predictions.length) results.push(...endColumns(namesOf(about.answer.targets, { values: true }), shown));
  const inputTable = input.table && input.table.rows.length === predictions.length ? input.table : { head: [] };
  const inputColumns = inputTable.head.slice(0, MAX_COLUMNS).map((name, i) => ({ head: name, cells: shown.map((_, n) => inputTable.rows[n][i] ?? "") }));
  const names = shown.map((prediction, n) => input.names?.[n] ?? (ids.length ? `${prediction.input}` : `${n + 1}`));
  node.append(table([{ head: ids.length ? ids.join(" / ") : ["row"], cells: names }, ...results, ...inputColumns], input.pictures));
  if (download) node.append(downloadButton(download));
  return [node, ["saidRows", { n: predictions.length }]];
}

/** Return bars with the number of predictions per class or label, given the names of each of `count` predictions. */
function classCounts(names, count) {
  const counts = new Map();
  for (const name of names.flat()) counts.set(name, (counts.get(name) ?? 0) + 1);
  const mostFrequent = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MAX_CLASSES);
  const list = make("ol", { class: "bars" });
  for (const [name, times] of mostFrequent) {
    const item = bar(make("span", { class: "name", text: label(name) }), times / count);
    item.lastChild.textContent = number(times);
    list.append(item);
  }
  return list;
}

/**
 * Return a table of columns: `head` (a list with the key of a text, or a name as a string), `cells`, and `main` for bold
 * columns.
 *
 * The first column contains the row headers: names, or `pictures`.
 */
function table(columns, pictures) {
  const classes = columns.map(({ cells, main }) => [main ? "main" : "", cells.every((cell) => /^([<>] )?[-−–]?[\d.,\s]*([Ee][-−]?\d+)?%?$/.test(cell)) ? "figure" : ""].join(" ").trim() || undefined);
  const heads = columns.map(({ head }, i) => make("th", { scope: "col", class: classes[i], ...(Array.isArray(head) ? { say: head[0] } : { text: head }) }));
  const rows = columns[0].cells.map((_, n) => make("tr", {}, ...columns.map(({ cells }, i) => {
    if (i) return make("td", { class: classes[i], text: cells[n] });
    return pictures ? make("th", { scope: "row" }, make("img", { src: pictures[n], alt: cells[n] })) : make("th", { scope: "row", class: classes[i], text: cells[n] });
  })));
  return make("div", { class: "scroll", tabindex: "0", role: "region", label: "table" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows)));
}

/** Return the name of a score in the language of the page. */
export function scoreName(score) {
  const name = textOr(`score_${score.name}`, score.label);
  return score.weighted ? translated("weightedScore", { name }) : name;
}

export function scoreValue(score, value) {
  return score.form === "percent" ? percent(value) : number(Number(value.toPrecision(4)));
}
