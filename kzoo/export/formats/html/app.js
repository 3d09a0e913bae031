// The page of an exported model: facts about it, an example that is already answered, and the forms for other inputs.

import { headPart, scorePart } from "./about.js";
import { writeCsv } from "./csv.js";
import { inLanguage, languageButton, make, say, translate } from "./dom.js";
import { predictionPart } from "./inputs.js";
import { facts, greeting } from "./local.js";

const PAUSE = 30; // milliseconds between predictions while a slider moves
let waiting = null;
const main = document.getElementById("main");

say(document.querySelector(".skip"), "skip");
languageButton(document.getElementById("language"));
translate();
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault()); // a file dropped beside a drop zone must not replace the page
document.title = `${facts.name} · kzoo`;
const exported = make("p", { class: "note", say: facts.author ? ["exportedBy", { author: facts.author, date: facts.created }] : ["exportedOn", { date: facts.created }] });
const part = predictionPart({ ...facts, isLocal: true }, "", () => {});
const stays = make("p", { class: "stays", say: greeting });
main.replaceChildren(headPart(facts, stays), exported, ...(formsAreAllowed() ? [] : [make("p", { class: "warning", say: "noForms" })]), ...[scorePart(facts)].filter(Boolean), make("h2", { say: "try" }), part.element, limitsPart());
for (const name of ["input", "change"]) part.element.addEventListener(name, followFields);
if (facts.input.facts.includes("columns") && facts.example !== null) { // the example
  if (facts.input.raw && facts.input.facts.includes("steps")) part.element.querySelector("textarea").value = writeCsv(facts.example);
  part.element.querySelector("form").requestSubmit();
}

/** Return whether the page may submit forms: a frame with `sandbox` may forbid it, and then nothing happens. */
function formsAreAllowed() {
  const form = make("form", { hidden: true });
  let isAllowed = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    isAllowed = true;
  });
  document.body.append(form);
  form.requestSubmit();
  form.remove();
  return isAllowed;
}

/** Predict again when a field of a row or the confidence was changed, or a slider moves. */
function followFields({ type, target }) {
  const form = part.element.querySelector("form:has(.fields)"), isSlider = target.matches("[type=range]");
  const isDone = type === "change" && target.matches("select, input:not([type=radio], [type=file], [type=range]), textarea");
  if (!form || !(isSlider || isDone) || form.querySelector(":invalid")) return;
  clearTimeout(waiting);
  waiting = setTimeout(() => form.requestSubmit(), isSlider ? PAUSE : 0);
}

/** Return what the model is not for, and where its data comes from. */
function limitsPart() {
  const { source, licence } = facts.origin;
  return make("section", { class: "limits" }, make("h2", { say: "limits" }), make("ul", {}, ...facts.limits.en.map((text, index) => make("li", { say: ["plainly", { text: () => inLanguage(facts.limits)[index] }] }))),
    source ? make("p", { class: "note", say: ["dataFrom", { source, licence }] }) : null);
}
