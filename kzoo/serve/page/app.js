// The page: which models there are, what is known of one, and the part that asks it.

import { scoreName, scoreValue } from "./answers.js";
import { choices, currentLanguage, known, make, percent, plain, Problem, say, switchLanguage, translate } from "./dom.js";
import { askPart } from "./inputs.js";
import * as server from "./server.js";
import { curl, python } from "./snippets.js";

const main = document.getElementById("main"), nav = document.getElementById("models");
const other = document.getElementById("language");
const MOST_BESIDE = 4;
const MAJORITY = ["always the most frequent", "most frequent class"]; // two names for one thing: of the test data, and learned
let shelf = [], part = null, shown = 0;

const skip = say(document.querySelector(".skip"), "skip");
skip.addEventListener("click", (event) => {
  event.preventDefault(); // what stands after the # is a model's name
  main.focus();
});
say(document.querySelector(".bottom a"), "openapi");
nameLanguage();
translate();
other.addEventListener("click", () => {
  switchLanguage();
  nameLanguage();
});
addEventListener("hashchange", () => {
  if (shelf.length) show();
});
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault()); // never leave the page
start();

function nameLanguage() {
  const zh = currentLanguage() === "zh";
  other.textContent = zh ? "English" : "中文";
  other.lang = zh ? "en" : "zh-Hans";
}

async function start() {
  main.replaceChildren(make("p", { class: "note", role: "status", say: "loading" }));
  try {
    shelf = await server.models();
  } catch (error) {
    fail(error, start);
    return;
  }
  say(nav, "models", {}, "aria-label");
  nav.replaceChildren(make("ul", {}, ...shelf.map((model) => make("li", {}, make("a", { href: `#${encodeURIComponent(model.name)}`, text: model.name })))));
  nav.hidden = shelf.length < 2;
  await show();
}

/** Scroll a row sideways until a link is in its middle. `scrollIntoView` would have Tab begin behind the link. */
function center(link, row) {
  const [at, around] = [link, row].map((one) => one.getBoundingClientRect());
  row.scrollLeft += (at.left + at.right - around.left - around.right) / 2;
}

/** Show the model that the address names: `#NAME`, or `#NAME/VERSION`. */
async function show() {
  const [name, version] = location.hash.slice(1).split("/").map(decoded);
  const model = shelf.find((one) => one.name === name) ?? shelf[0];
  const turn = ++shown;
  part?.close();
  part = null;
  for (const link of nav.querySelectorAll("a")) {
    if (link.textContent === model.name) {
      link.setAttribute("aria-current", "page");
      center(link, link.closest("ul"));
    } else link.removeAttribute("aria-current");
  }
  document.title = `${model.name} · kzoo`;
  const place = server.placeOf(model.name, version);
  let about;
  try {
    about = await server.about(place);
  } catch (error) {
    if (turn === shown) fail(error, show);
    return;
  }
  if (turn !== shown) return;
  const code = codePart(new URL(`${place}/answer`, document.baseURI).href, first(about));
  part = askPart(about, place, code.asked);
  main.replaceChildren(headPart(about), ...[scorePart(about)].filter(Boolean), make("h2", { say: "try" }), part.element, code.element);
}

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return ""; // an address that was cut off
  }
}

/** Return an input to show commands with before anything was asked. */
function first(about) {
  const { example } = about;
  if (about.input.facts.includes("pixels")) return { file: { name: "image.png", type: "image/png" } };
  if (about.input.raw && about.input.facts.includes("steps") && !about.input.facts.includes("ids")) return { file: { name: "series.csv" }, media: "text/csv" };
  return { json: Array.isArray(example) ? example : [example] };
}

function fail(error, again) {
  if (error instanceof server.Refusal && error.status === 401) {
    main.replaceChildren(tokenPart());
    main.querySelector("input").focus();
    return;
  }
  const line = make("p", { class: "error", role: "alert" });
  if (error instanceof Problem) say(line, error.key, error.values);
  else if (error instanceof server.Refusal) plain(line, error.message);
  else {
    console.error(error);
    say(line, "fault");
  }
  main.replaceChildren(line, make("div", { class: "actions" }, make("button", { type: "button", say: "again", click: again })));
}

function tokenPart() {
  const input = make("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false" });
  const error = make("p", { class: "error", role: "alert" });
  if (server.wantsToken()) say(error, "wrongToken");
  const form = make("form", { class: "token", novalidate: true }, make("h1", { say: "locked" }), make("label", { for: "token", say: "token" }), input,
    make("p", { class: "note", say: "tokenHint" }), error, make("div", { class: "actions" }, make("button", { type: "submit", class: "primary", say: "open" })));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!input.value.trim()) {
      say(error, "typeToken");
      input.focus();
      return;
    }
    server.setToken(input.value.trim());
    start();
  });
  return form;
}

function headPart(about) {
  const data = about.trained_on;
  const facts = [["parameters", { n: about.parameters }]];
  if (about.task) facts.unshift(["plainly", { text: () => known(`task_${about.task}`, about.task.replaceAll(/[_:]/g, " ")) }]);
  if (data?.name) facts.push(data.train ? ["trained", { name: data.name, n: data.train }] : ["trainedOn", { name: data.name }]);
  const line = make("p", { class: "about" }, ...facts.flatMap((fact, i) => [i ? " · " : "", make("span", { say: fact })]));
  const versions = about.versions.length > 1 ? make("select", { id: "version", change: (event) => { location.hash = `${encodeURIComponent(about.name)}/${event.target.value}`; } },
    ...about.versions.map((version) => make("option", { value: version, text: version, selected: version === about.version }))) : null;
  return make("header", { class: "head" }, make("h1", { text: about.name }), line,
    versions ? make("p", { class: "version" }, make("label", { for: "version", say: "version" }), " ", versions) : null);
}

function scorePart(about) {
  const { score } = about;
  if (!score || score.value === null) return make("p", { class: "note", say: "noScore" });
  const value = () => scoreValue(score, score.value);
  const scored = score.beside.some((one) => one.label === MAJORITY[1]) ? score.beside.filter((one) => one.label !== MAJORITY[0]) : score.beside;
  const beside = [...scored].sort((a, b) => (score.best === "max" ? b.value - a.value : a.value - b.value)).slice(0, MOST_BESIDE);
  const better = (one) => (score.best === "max" ? one.value >= score.value : one.value <= score.value);
  const best = beside.filter(better)[0];
  const rows = [{ name: "thisModel", value: score.value, own: true }, ...beside];
  const most = score.form === "percent" ? 1 : Math.max(...rows.map((one) => one.value));
  const caption = score.examples ? [`score_${score.split}`, { name: () => scoreName(score), n: score.examples }] : [`score_${score.split}_few`, { name: () => scoreName(score) }];
  const list = make("ul", { class: "bars beside" }, ...rows.map((one) => {
    const fill = make("span", { class: "fill" });
    fill.style.width = `${100 * Math.min(Math.max(one.value / most, 0), 1)}%`;
    const track = make("span", { class: "track", "aria-hidden": "true" }, fill);
    if (one.own && score.interval) {
      const range = make("span", { class: "range" });
      range.style.left = `${(100 * score.interval[0]) / most}%`;
      range.style.width = `${(100 * (score.interval[1] - score.interval[0])) / most}%`;
      track.append(range);
    }
    const name = one.own ? make("span", { class: "name", say: "thisModel" }) : make("span", { class: "name", say: ["plainly", { text: () => known(`baseline_${one.label}`, one.label) }] });
    return make("li", { class: one.own ? "own" : "base" }, name, track, make("span", { class: "number", say: ["plainly", { text: () => scoreValue(score, one.value) }] }));
  }));
  return make("section", { class: "score", label: "score" },
    make("p", { class: "headline" }, make("strong", { say: ["plainly", { text: value }] }), make("span", { say: caption }),
      score.interval ? make("span", { say: ["interval", { low: () => percent(score.interval[0]), high: () => percent(score.interval[1]) }] }) : null,
      score.best === "min" ? make("span", { say: "lower" }) : null),
    beside.length ? list : make("p", { class: "note", say: "noBaseline" }),
    score.warning || best ? make("p", { class: "warning", say: best ? ["beaten", { name: () => known(`baseline_${best.label}`, best.label), value: () => scoreValue(score, best.value) }] : ["plainly", { text: score.warning }] }) : null);
}

/** Return the part with the commands, and a function that tells it what was asked. */
function codePart(url, given) {
  const makers = { curl, python };
  let way = "curl";
  const code = make("code"), copied = make("span", { class: "note", role: "status" });
  const copy = make("button", { type: "button", click: async () => say(copied, (await copiedText(code)) ? "copied" : "notCopied") });
  const write = () => {
    code.textContent = makers[way](url, given);
    say(copy, `copy_${way}`);
    plain(copied);
  };
  const picks = choices("language", Object.keys(makers).map((name) => [name, name]), (value) => {
    way = value;
    write();
  });
  write();
  const box = make("pre", { tabindex: "0", role: "region", label: "code" }, code);
  const element = make("section", { class: "code" }, make("h2", { say: "elsewhere" }), make("p", { class: "note", say: "elsewhereHint" }),
    make("div", { class: "actions" }, picks, copy, copied), box);
  return {
    element,
    asked(question) {
      given = question;
      write();
    },
  };
}

/** Copy a text; without https there is no clipboard for a page, and it is selected for the keyboard. */
async function copiedText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    try {
      return document.execCommand("copy");
    } catch {
      return false;
    }
  }
}
