// Elements of the page, and its texts in two languages. What comes from elsewhere goes in as text, never as HTML.

import { STRINGS } from "./strings.js";

const LANGUAGES = ["en", "zh"];
const KEPT = "kzoo-language";
const said = new WeakMap(); // element -> what it says: attribute (or "" for its text), key, values
let language = chosen() ?? (navigator.languages ?? [navigator.language]).map(short).find((one) => LANGUAGES.includes(one)) ?? "en";

function short(tag) {
  return String(tag).slice(0, 2).toLowerCase();
}

function chosen() {
  try {
    const word = localStorage.getItem(KEPT);
    return LANGUAGES.includes(word) ? word : null;
  } catch {
    return null; // a browser that keeps nothing
  }
}

export function currentLanguage() {
  return language;
}

/** Say everything on the page in another language. */
export function switchLanguage() {
  language = LANGUAGES[1 - LANGUAGES.indexOf(language)];
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    // as above
  }
  translate();
}

export function translate() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const element of document.querySelectorAll("[data-say]")) {
    const all = said.get(element) ?? [["", element.dataset.say, {}]];
    for (const [attribute, key, values] of all) put(element, attribute, words(key, values));
  }
}

/** Return a text of the page; `{name}` in it is filled in, numbers as the language writes them. */
export function words(key, values = {}) {
  const text = STRINGS[key][LANGUAGES.indexOf(language)];
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = typeof values[name] === "function" ? values[name]() : values[name];
    return typeof value === "number" ? number(value) : String(value);
  });
}

/** Return a key's text where there is one, else what the server calls it. */
export function known(key, otherwise) {
  return Object.hasOwn(STRINGS, key) ? words(key) : otherwise;
}

/** Let an element say a text, in whatever language is chosen later. */
export function say(element, key, values = {}, attribute = "") {
  const others = (said.get(element) ?? []).filter(([which]) => which !== attribute);
  said.set(element, [...others, [attribute, key, values]]);
  element.dataset.say = "";
  put(element, attribute, words(key, values));
  return element;
}

/** Let an element say nothing, or a text that is no string of ours. */
export function plain(element, text = "") {
  said.delete(element);
  delete element.dataset.say;
  element.textContent = text;
  return element;
}

function put(element, attribute, text) {
  if (attribute) element.setAttribute(attribute, text);
  else element.textContent = text;
}

/**
 * Return an element.
 *
 * Of `options`, `say` and `label` are keys of texts (or a key and its values), `text` is a text of anybody's, functions
 * listen to the event of their name, and all else are attributes.
 */
export function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "say") say(element, ...[value].flat());
    else if (name === "label") say(element, ...pair(value), "aria-label");
    else if (name === "text") element.textContent = value;
    else if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function pair(value) {
  return Array.isArray(value) ? [value[0], value[1] ?? {}] : [value, {}];
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

let count = 0;

/** Return an id that no other element has. */
export function newId(word) {
  count += 1;
  return `${word}-${count}`;
}

/** Return a number as people read it: five digits that count, more where it is whole. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  const few = Math.abs(value) >= 1e5 || Number.isInteger(value) ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 5 };
  const tiny = value !== 0 && Math.abs(value) < 1e-4;
  return new Intl.NumberFormat(language, tiny ? { notation: "scientific", maximumSignificantDigits: 3 } : few).format(value);
}

/** Return a function that writes numbers of one column with as many decimals as five digits of the largest leave. */
export function alike(values) {
  const most = Math.max(...values.filter(Number.isFinite).map(Math.abs), 0);
  const decimals = most > 0 ? Math.min(Math.max(4 - Math.floor(Math.log10(most)), 0), 8) : 0;
  if (values.every(Number.isInteger) || decimals === 8) return number;
  const form = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return (value) => (value === null ? "–" : new Intl.NumberFormat(language, form).format(value));
}

/** Return a share in percent; neither 0 nor 100 where it is neither. */
export function percent(share) {
  const form = (value) => new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(value);
  if (share > 0 && share < 0.001) return `< ${form(0.001)}`;
  if (share < 1 && share > 0.999) return `> ${form(0.999)}`;
  return form(share);
}

/** Return radio buttons as a row of choices; `choose` is called with the value of the one that is chosen. */
export function choices(legend, options, choose, picked = options[0][0]) {
  const name = newId("choice");
  const set = make("fieldset", { class: "choices" }, make("legend", { class: "unseen", say: legend }));
  for (const [value, key] of options) {
    const input = make("input", { type: "radio", name, value, checked: value === picked, change: () => choose(value) });
    set.append(make("label", {}, input, make("span", { say: key })));
  }
  return set;
}

/** Something that a person can put right, said near the input. */
export class Problem extends Error {
  constructor(key, values = {}, at = null) {
    super(key);
    Object.assign(this, { key, values, at });
  }
}
