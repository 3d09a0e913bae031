// What a model has answered: bars of probabilities, values, a forecast as a picture, a table of many.

import { chart } from "./chart.js";
import { alike, known, make, number, percent, Problem } from "./dom.js";

const MOST_CLASSES = 8, MOST_ROWS = 100, MOST_COLUMNS = 12, MOST_CHARTS = 6;

/** Return `node` and `summary` (a key and its values) of an answer. */
export function shownAnswer(about, said, given, download) {
  const all = said.predictions;
  const [node, summary] = all.length === 1 && !given.many ? one(about, all[0], given) : several(about, all, given, download);
  const notes = [...(given.notes ?? []).map((note) => make("li", { say: note })), ...(said.notes ?? []).map((text) => make("li", { text, lang: "en" }))];
  if (notes.length) node.append(make("ul", { class: "notes" }, ...notes));
  return { node, summary };
}

function one(about, answer, given) {
  if (answer.error) throw new Problem("unreadable", { why: answer.error });
  const node = make("div", {}, given.picture ?? null);
  if (answer.classes) {
    node.append(verdict(answer), bars(answer, about.answer.classes.length));
    const best = answer.classes[0];
    return [node, best.probability === undefined ? ["saidLabel", { label: label(answer.label) }] : ["saidClass", { label: label(answer.label), share: () => percent(best.probability) }]];
  }
  if (Array.isArray(answer.values[0])) {
    node.append(...forecast(about, answer));
    return [node, ["saidForecast", { n: answer.values.length }]];
  }
  const names = about.answer.targets;
  node.append(make("dl", { class: "values" }, ...answer.values.map((value, i) => make("div", {}, make("dt", { text: nameOf(names, i) }), make("dd", { text: number(value) })))));
  return [node, ["saidValues", { values: () => answer.values.map((value, i) => `${nameOf(names, i)} ${number(value)}`).join(", ") }]];
}

function nameOf(names, place) {
  return names[place] ?? `${place + 1}`;
}

/** Return a class's name so that nothing of it is invisible. */
export function label(name) {
  if (name === null) return "–";
  return name.trim() === "" ? JSON.stringify(name) : name.replaceAll("\n", "⏎");
}

function verdict(answer) {
  const best = answer.classes[0];
  const sure = best.probability === undefined ? null : make("span", { text: percent(best.probability) });
  return make("p", { class: "verdict" }, make("strong", { text: label(answer.label) }), sure);
}

/** Return a bar for each of the likeliest classes, and one for all others together. */
export function bars(answer, count) {
  const some = answer.classes.slice(0, MOST_CLASSES);
  const list = make("ol", { class: "bars" });
  if (some[0].probability === undefined) {
    list.append(...some.map((each) => make("li", {}, make("span", { class: "name", text: label(each.label) }), make("span", { class: "number", text: number(each.score) }))));
    return make("div", {}, make("p", { class: "note", say: "scores" }), list);
  }
  for (const each of some) list.append(bar(make("span", { class: "name", text: label(each.label) }), each.probability));
  const others = Math.max(count, answer.classes.length) - some.length;
  const rest = 1 - some.reduce((sum, each) => sum + each.probability, 0);
  if (others > 0) list.append(bar(make("span", { class: "name", say: ["others", { n: others }] }), Math.max(rest, 0), "rest"));
  return list;
}

function bar(name, share, extra = "") {
  const fill = make("span", { class: "fill" });
  fill.style.width = `${100 * share}%`;
  return make("li", { class: extra }, name, make("span", { class: "track", "aria-hidden": "true" }, fill), make("span", { class: "number", text: percent(share) }));
}

function forecast(about, answer) {
  const { values } = answer;
  const names = answer.targets?.length ? answer.targets : about.answer.targets;
  const times = answer.times ?? values.map((_, step) => `${step + 1}`);
  const history = answer.history ?? [];
  const before = answer.history_times ?? history.map((_, step) => `${step + 1 - history.length}`);
  const charts = names.slice(0, MOST_CHARTS).map((name, i) => {
    const column = (rows) => rows.map((row) => row[i]);
    return make("figure", {}, make("figcaption", {}, make("b", { text: name }), key("before"), key("after")),
      chart({ name, before: column(history), after: column(values), times: [...before, ...times] }));
  });
  const write = names.map((_, i) => alike(values.map((row) => row[i])));
  const columns = [
    { head: ["step"], cells: values.map((_, step) => `${step + 1}`) },
    ...(answer.times ? [{ head: ["time"], cells: times }] : []),
    ...names.map((name, i) => ({ head: name, cells: values.map((row) => write[i](row[i])), main: true })),
  ];
  return [...charts, table(columns)];
}

function key(which) {
  return make("span", { class: "key" }, make("i", { class: which, "aria-hidden": "true" }), make("span", { say: which }));
}

function several(about, all, given, download) {
  const node = make("div");
  const good = all.filter((each) => !each.error), some = all.slice(0, MOST_ROWS);
  const classes = Boolean(all[0].classes), sure = classes && good[0]?.classes[0].probability !== undefined;
  if (classes) node.append(counted(good));
  node.append(make("p", { class: "note", say: all.length > MOST_ROWS ? ["firstRows", { n: MOST_ROWS, all: all.length }] : ["rows", { n: all.length }] }));
  const answers = classes
    ? [{ head: ["class"], cells: some.map((each) => each.error ?? label(each.label)), main: true }]
    : about.answer.targets.map((name, i) => {
      const write = alike(good.map((each) => each.values[i]));
      return { head: name, cells: some.map((each) => (each.error ? (i ? "" : each.error) : write(each.values[i]))), main: true };
    });
  if (sure) answers.push({ head: ["probability"], cells: some.map((each) => (each.error ? "" : percent(each.classes[0].probability))) });
  const own = given.table && given.table.rows.length === all.length ? given.table : { head: [] };
  const columns = own.head.slice(0, MOST_COLUMNS).map((name, i) => ({ head: name, cells: some.map((_, n) => own.rows[n][i] ?? "") }));
  node.append(table([{ head: ["row"], cells: some.map((_, n) => given.names?.[n] ?? `${n + 1}`) }, ...answers, ...columns], given.pictures));
  if (download) node.append(make("button", { type: "button", class: "quiet download", say: "download", click: download }));
  return [node, ["saidRows", { n: all.length }]];
}

/** Return how many there are of each class, as bars. */
function counted(all) {
  const counts = new Map();
  for (const { label: name } of all) counts.set(name, (counts.get(name) ?? 0) + 1);
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MOST_CLASSES);
  const list = make("ol", { class: "bars" });
  for (const [name, count] of most) {
    const item = bar(make("span", { class: "name", text: label(name) }), count / all.length);
    item.lastChild.textContent = number(count);
    list.append(item);
  }
  return list;
}

/**
 * Return a table of columns: `head` (a list is the key of a text, a string a name), `cells`, and whether it is `main`.
 *
 * Of the first, which names the rows, pictures may stand in the place of names.
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
  return known(`score_${score.name}`, score.label);
}

export function scoreValue(score, value) {
  return score.form === "percent" ? percent(value) : number(Number(value.toPrecision(4)));
}
