// What a model has answered: bars of probabilities, values, a forecast as a picture, a table of many.

import { chart } from "./chart.js";
import { known, make, number, percent, Problem } from "./dom.js";

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
  const rows = values.map((row, step) => [`${step + 1}`, ...(answer.times ? [times[step]] : []), ...row.map(number)]);
  const head = [["step"], ...(answer.times ? [["time"]] : []), ...names.map((name) => name)];
  return [...charts, table(head, rows, answer.times ? 2 : 1)];
}

function key(which) {
  return make("span", { class: "key" }, make("i", { class: which, "aria-hidden": "true" }), make("span", { say: which }));
}

function several(about, all, given, download) {
  const node = make("div");
  const good = all.filter((each) => !each.error);
  if (all[0].classes) node.append(counted(good));
  node.append(make("p", { class: "note", say: all.length > MOST_ROWS ? ["firstRows", { n: MOST_ROWS, all: all.length }] : ["rows", { n: all.length }] }));
  const own = given.table && given.table.rows.length === all.length ? given.table : null;
  const places = own ? own.head.map((_, i) => i).slice(0, MOST_COLUMNS) : [];
  const classes = Boolean(all[0].classes), sure = classes && good[0]?.classes[0].probability !== undefined;
  const targets = classes ? [] : about.answer.targets;
  const head = [["row"], ...(classes ? [["class"]] : targets), ...(sure ? [["probability"]] : []), ...places.map((i) => own.head[i])];
  const rows = all.slice(0, MOST_ROWS).map((each, i) => [
    given.names?.[i] ?? `${i + 1}`,
    ...(each.error ? [each.error, ...targets.slice(1).map(() => "")] : classes ? [label(each.label)] : each.values.map((value) => number(value))),
    ...(sure ? [each.error ? "" : percent(each.classes[0].probability)] : []),
    ...places.map((place) => own.rows[i][place] ?? ""),
  ]);
  node.append(table(head, rows, 1, given.pictures));
  if (download) node.append(make("button", { type: "button", class: "quiet", say: "download", click: download }));
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

/** Return a table; of its head a list is the key of a text, a string a name. */
function table(head, rows, left, pictures) {
  const cell = (words) => make("td", { text: words, class: /^[-−–+]?[\d.,\s]*%?$/.test(words) ? "figure" : undefined });
  const first = (row, i) => make("th", { scope: "row", text: pictures ? undefined : row[0] }, pictures ? make("img", { src: pictures[i], alt: row[0] }) : null);
  return make("div", { class: "scroll", tabindex: "0", role: "region", label: "table" },
    make("table", {},
      make("thead", {}, make("tr", {}, ...head.map((name, i) => make("th", Array.isArray(name) ? { scope: "col", say: name[0], class: i >= left ? "" : undefined } : { scope: "col", text: name })))),
      make("tbody", {}, ...rows.map((row, i) => make("tr", {}, first(row, i), ...row.slice(1).map(cell))))));
}

/** Return the name of a score in the language of the page. */
export function scoreName(score) {
  return known(`score_${score.name}`, score.label);
}

export function scoreValue(score, value) {
  return score.form === "percent" ? percent(value) : number(Number(value.toPrecision(4)));
}
