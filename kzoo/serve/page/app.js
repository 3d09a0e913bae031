// The page: the list of models, the facts about one model, and the parts for prediction and code.

import { headPart, scorePart } from "./about.js";
import { choices, copyText, languageButton, make, setText, Problem, say, translate } from "./dom.js";
import { predictionPart } from "./inputs.js";
import * as server from "./server.js";
import { curl, python } from "./snippets.js";

const main = document.getElementById("main"), nav = document.getElementById("models");
let models = [], part = null, shown = 0; // `shown` counts calls of `show`: only the latest may change the page

const skip = say(document.querySelector(".skip"), "skip");
skip.addEventListener("click", (event) => {
  event.preventDefault(); // the URL fragment is the name of a model
  main.focus();
});
say(document.querySelector(".bottom a"), "openapi");
languageButton(document.getElementById("language"));
translate();
addEventListener("hashchange", () => {
  if (models.length) show();
});
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault()); // a file dropped beside a drop zone must not replace the page
start();

async function start() {
  main.replaceChildren(make("p", { class: "note", role: "status", say: "loading" }));
  try {
    models = await server.models();
  } catch (error) {
    fail(error, start);
    return;
  }
  say(nav, "models", {}, "aria-label");
  nav.replaceChildren(make("ul", {}, ...models.map((model) => make("li", {}, make("a", { href: `#${encodeURIComponent(model.name)}`, text: model.name })))));
  nav.hidden = models.length < 2;
  await show();
}

/** Scroll a row horizontally to center a link. `scrollIntoView` would move the starting point of Tab behind the link. */
function center(link, row) {
  const [at, around] = [link, row].map((element) => element.getBoundingClientRect());
  row.scrollLeft += (at.left + at.right - around.left - around.right) / 2;
}

/** Show the model named in the URL: `#NAME` or `#NAME/VERSION`. */
async function show() {
  const [name, version] = location.hash.slice(1).split("/").map(decoded);
  const model = models.find((entry) => entry.name === name) ?? models[0];
  const call = ++shown;
  part?.close();
  part = null;
  for (const link of nav.querySelectorAll("a")) {
    if (link.textContent === model.name) {
      link.setAttribute("aria-current", "page");
      center(link, link.closest("ul"));
    } else link.removeAttribute("aria-current");
  }
  document.title = `${model.name} · kzoo`;
  const path = server.pathOf(model.name, version);
  let about;
  try {
    about = await server.about(path);
  } catch (error) {
    if (call === shown) fail(error, show);
    return;
  }
  if (call !== shown) return;
  const code = codePart(new URL(`${path}/answer`, document.baseURI).href, exampleInput(about));
  part = predictionPart(about, path, code.update);
  main.replaceChildren(headPart(about, versionPart(about)), ...[scorePart(about)].filter(Boolean), make("h2", { say: "try" }), part.element, code.element);
}

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return ""; // a truncated URL
  }
}

/** Return an example input for the code, shown before the first prediction. */
function exampleInput(about) {
  const { example } = about;
  if (about.input.raw && about.answer.continues) return { generation: { prompt: example ?? "", length: 100 } };
  if (about.input.facts.includes("pixels")) return { file: { name: "image.png", type: "image/png" } };
  if (about.input.raw && about.input.facts.includes("steps") && !about.input.facts.includes("ids")) return { file: { name: "series.csv" }, media: "text/csv" };
  return { json: Array.isArray(example) ? example : [example] };
}

function fail(error, retry) {
  if (error instanceof server.ServerError && error.status === 401) {
    main.replaceChildren(tokenPart());
    main.querySelector("input").focus();
    return;
  }
  const line = make("p", { class: "error", role: "alert" });
  if (error instanceof Problem) say(line, error.key, error.values);
  else if (error instanceof server.ServerError) setText(line, error.message);
  else {
    console.error(error);
    say(line, "fault");
  }
  main.replaceChildren(line, make("div", { class: "actions" }, make("button", { type: "button", say: "again", click: retry })));
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

/** Return the choice of a version; null if there is one. */
function versionPart(about) {
  if (about.versions.length < 2) return null;
  const versions = make("select", { id: "version", change: (event) => { location.hash = `${encodeURIComponent(about.name)}/${event.target.value}`; } },
    ...about.versions.map((version) => make("option", { value: version, text: version, selected: version === about.version })));
  return make("p", { class: "version" }, make("label", { for: "version", say: "version" }), " ", versions);
}

/** Return the section with code for a request: `element`, and `update(input)`. */
function codePart(url, input) {
  const generators = { curl, python };
  let language = "curl", parameters = [];
  const code = make("code"), copied = make("span", { class: "note", role: "status" });
  const copy = make("button", { type: "button", click: async () => say(copied, (await copyText(code)) ? "copied" : "notCopied") });
  const write = () => {
    code.textContent = generators[language](parameters.length ? `${url}?${parameters.join("&")}` : url, input);
    say(copy, `copy_${language}`);
    setText(copied);
  };
  const picker = choices("language", Object.keys(generators).map((name) => [name, name]), (value) => {
    language = value;
    write();
  });
  write();
  const box = make("pre", { tabindex: "0", role: "region", label: "code" }, code);
  const element = make("section", { class: "code" }, make("h2", { say: "elsewhere" }), make("p", { class: "note", say: "elsewhereHint" }),
    make("div", { class: "actions" }, picker, copy, copied), box);
  return {
    element,
    update(newInput, newParameters = []) {
      [input, parameters] = [newInput, newParameters];
      write();
    },
  };
}
