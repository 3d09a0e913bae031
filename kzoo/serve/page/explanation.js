// The reasons of a prediction: what each column or word adds to it.

import { make, number, Problem, say, setText, textOr } from "./dom.js";
import { ServerError } from "./server.js";

const MAX_REASONS = 12;

/** Return a section whose button shows what `load` returns: the explanation of a prediction. */
export function explanationPart(load) {
  const status = make("p", { class: "note", role: "status" });
  const button = make("button", { type: "button", class: "quiet", say: "why" });
  const section = make("section", { class: "why", label: "why" }, button, status);
  button.addEventListener("click", async () => {
    button.disabled = true;
    say(status, "begun");
    try {
      const explanation = await load();
      section.replaceChildren(make("h4", { say: "why" }), ...shownExplanation(explanation));
      section.tabIndex = -1;
      section.focus(); // the button with the focus is gone
    } catch (error) {
      button.disabled = false;
      if (error instanceof Problem) say(status, error.key, error.values);
      else if (error instanceof ServerError) setText(status, error.message);
      else {
        console.error(error);
        say(status, "fault");
      }
    }
  });
  return section;
}

function shownExplanation({ method, about, rows, limits }) {
  const sentences = limits.map((limit) => make("li", { say: ["plainly", { text: () => textOr(`limit_${limit}`, limit) }] }));
  return [
    make("p", { class: "note", say: ["plainly", { text: () => textOr(`explained_${method}`, about) }] }),
    ...rows.flatMap(shownReasons),
    make("ul", { class: "notes" }, ...sentences),
  ];
}

function shownReasons({ output, scale, prediction, base, reasons, pieces }) {
  const name = () => textOr(`scale_${scale}`, `${scale} ${output}`, { name: output });
  const title = make("p", {}, make("b", { say: ["plainly", { text: name }] }), " ", make("span", { say: ["plainly", { text: () => number(prediction) }] }),
    base === null ? null : make("span", { class: "note", say: ["whyFrom", { base: () => number(base) }] }));
  const largest = Math.max(...reasons.map(({ amount }) => Math.abs(amount)), 1e-12);
  const list = make("ol", { class: "bars" }, ...reasons.slice(0, MAX_REASONS).map((reason) => bar(reason, Math.abs(reason.amount) / largest)));
  const rest = reasons.slice(MAX_REASONS).reduce((sum, { amount }) => sum + amount, 0);
  const more = reasons.length > MAX_REASONS ? make("p", { class: "note", say: base === null ? ["others", { n: reasons.length - MAX_REASONS }] : ["whyOthers", { n: reasons.length - MAX_REASONS, sum: () => signed(rest) }] }) : null;
  return [title, pieces.length ? markedText(pieces) : null, list, more].filter(Boolean);
}

function bar({ name, value, amount }, share) {
  const fill = make("span", { class: "fill" });
  fill.style.width = `${100 * share}%`;
  return make("li", { class: amount < 0 ? "against" : "" }, make("span", { class: "name", text: value ? `${name} = ${value}` : name }),
    make("span", { class: "track", "aria-hidden": "true" }, fill), make("span", { class: "number", say: ["plainly", { text: () => signed(amount) }] }));
}

function signed(amount) {
  return `${amount > 0 ? "+" : ""}${number(Number(amount.toPrecision(3)))}`;
}

/** Return a text whose words are marked by what they add: for the prediction, or against it. */
function markedText(pieces) {
  const largest = Math.max(...pieces.map(([, amount]) => Math.abs(amount)), 1e-12);
  return make("p", { class: "written", lang: "und" }, ...pieces.map(([text, amount]) => {
    const share = Math.abs(amount) / largest;
    if (share < 0.02) return text;
    const mark = make("mark", { class: amount < 0 ? "against" : undefined, text });
    mark.style.setProperty("--share", `${Math.round(45 * share)}%`);
    return mark;
  }));
}
