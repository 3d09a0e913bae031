// What is known of a model: its name, its task, and its score beside those of baselines.

import { scoreName, scoreValue } from "./answers.js";
import { make, textOr } from "./dom.js";

const MAX_BASELINES = 4;
const MAJORITY = ["always the most frequent", "most frequent class"]; // the same baseline: of the test data, and of the training data

/** Return the name of a model and facts about it; `more` is an element below them, or null. */
export function headPart(about, more = null) {
  const data = about.trained_on;
  const facts = [["parameters", { n: about.parameters }]];
  if (about.task) facts.unshift(["plainly", { text: () => textOr(`task_${about.task}`, about.task.replaceAll(/[_:]/g, " ")) }]);
  if (data?.name) facts.push(data.train ? ["trained", { name: data.name, n: data.train }] : ["trainedOn", { name: data.name }]);
  const line = make("p", { class: "about" }, ...facts.flatMap((fact, i) => [i ? " · " : "", make("span", { say: fact })]));
  return make("header", { class: "head" }, make("h1", { text: about.name }), line, more);
}

/** Return the section on the score of a model. */
export function scorePart(about) {
  const { score } = about;
  if (!score || score.value === null) return make("p", { class: "note", say: "noScore" });
  const value = () => scoreValue(score, score.value);
  const candidates = score.beside.some((baseline) => baseline.label === MAJORITY[1]) ? score.beside.filter((baseline) => baseline.label !== MAJORITY[0]) : score.beside;
  const baselines = [...candidates].sort((a, b) => (score.best === "max" ? b.value - a.value : a.value - b.value)).slice(0, MAX_BASELINES);
  const isBetter = (baseline) => (score.best === "max" ? baseline.value >= score.value : baseline.value <= score.value);
  const best = baselines.filter(isBetter)[0];
  const rows = [{ name: "thisModel", value: score.value, isModel: true }, ...baselines];
  const most = score.form === "percent" ? 1 : Math.max(...rows.map((row) => row.value));
  const caption = score.examples ? [`score_${score.split}`, { name: () => scoreName(score), n: score.examples }] : [`score_${score.split}_few`, { name: () => scoreName(score) }];
  const list = make("ul", { class: "bars beside" }, ...rows.map((row) => {
    const fill = make("span", { class: "fill" });
    fill.style.width = `${100 * Math.min(Math.max(row.value / most, 0), 1)}%`;
    const track = make("span", { class: "track", "aria-hidden": "true" }, fill);
    if (row.isModel && score.interval) {
      const range = make("span", { class: "range" });
      range.style.left = `${(100 * score.interval[0]) / most}%`;
      range.style.width = `${(100 * (score.interval[1] - score.interval[0])) / most}%`;
      track.append(range);
    }
    const name = row.isModel ? make("span", { class: "name", say: "thisModel" }) : make("span", { class: "name", say: ["plainly", { text: () => textOr(`baseline_${row.label}`, row.label) }] });
    return make("li", { class: row.isModel ? "own" : "base" }, name, track, make("span", { class: "number", say: ["plainly", { text: () => scoreValue(score, row.value) }] }));
  }));
  return make("section", { class: "score", label: "score" },
    make("p", { class: "headline" }, make("strong", { say: ["plainly", { text: value }] }), make("span", { say: caption }),
      score.interval ? make("span", { say: ["interval", { level: score.level, low: () => scoreValue(score, score.interval[0]), high: () => scoreValue(score, score.interval[1]) }] }) : null,
      score.best === "min" ? make("span", { say: "lower" }) : null),
    baselines.length ? list : make("p", { class: "note", say: "noBaseline" }),
    score.warning || best ? make("p", { class: "warning", say: best ? ["beaten", { name: () => textOr(`baseline_${best.label}`, best.label), value: () => scoreValue(score, best.value) }] : ["plainly", { text: score.warning }] }) : null);
}
