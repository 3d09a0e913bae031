// Elements of the page, and its texts in two languages. Data from models is inserted as text, never as HTML.

import { STRINGS } from "./strings.js";

const LANGUAGES = ["en", "zh"];
const STORAGE_KEY = "kzoo-language";
const texts = new WeakMap(); // element -> list of [attribute (or "" for its text), key, values]
let language = storedLanguage() ?? (navigator.languages ?? [navigator.language]).map(short).find((code) => LANGUAGES.includes(code)) ?? "en";

function short(tag) {
  return String(tag).slice(0, 2).toLowerCase();
}

function storedLanguage() {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    return LANGUAGES.includes(stored) ? stored : null;
  } catch {
    return null; // storage is disabled in this browser
  }
}

/** Switch all texts of the page to the other language. */
function switchLanguage() {
  language = LANGUAGES[1 - LANGUAGES.indexOf(language)];
  try {
    localStorage.setItem(STORAGE_KEY, language);
  } catch {
    // storage is disabled: the choice lasts until the page is closed
  }
  translate();
}

/** Make a button switch the language of the page. */
export function languageButton(button) {
  const name = () => {
    button.textContent = language === "zh" ? "English" : "中文";
    button.lang = language === "zh" ? "en" : "zh-Hans";
  };
  name();
  button.addEventListener("click", () => {
    switchLanguage();
    name();
  });
}

export function translate() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const element of document.querySelectorAll("[data-say]")) {
    const all = texts.get(element) ?? [["", element.dataset.say, {}]];
    for (const [attribute, key, values] of all) setValue(element, attribute, translated(key, values));
  }
}

/** Return the text of `{en, zh}` in the language of the page. */
export function inLanguage(texts) {
  return texts[language];
}

/** Return a text of the page with its placeholders replaced; numbers are formatted for the language. */
export function translated(key, values = {}) {
  const text = STRINGS[key][LANGUAGES.indexOf(language)];
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = typeof values[name] === "function" ? values[name]() : values[name];
    return typeof value === "number" ? number(value) : String(value);
  });
}

/** Return the text of a key, or a default if the key does not exist. */
export function textOr(key, fallback, values = {}) {
  return Object.hasOwn(STRINGS, key) ? translated(key, values) : fallback;
}

/** Set the text (or an attribute) of an element by its key, so that it follows the language of the page. */
export function say(element, key, values = {}, attribute = "") {
  const others = (texts.get(element) ?? []).filter(([name]) => name !== attribute);
  texts.set(element, [...others, [attribute, key, values]]);
  element.dataset.say = "";
  setValue(element, attribute, translated(key, values));
  return element;
}

/** Set the text of an element to a text that is not translated, or clear it. */
export function setText(element, text = "") {
  texts.delete(element);
  delete element.dataset.say;
  element.textContent = text;
  return element;
}

function setValue(element, attribute, text) {
  if (attribute) element.setAttribute(attribute, text);
  else element.textContent = text;
}

/**
 * Return an element.
 *
 * In `options`, `say` and `label` are keys of texts (or a key and its values), `text` is a text that is not translated,
 * functions are listeners of the event of their name, and all others are attributes.
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

/** Return a unique element id. */
export function newId(prefix) {
  count += 1;
  return `${prefix}-${count}`;
}

/** Return a formatted number: five significant digits, or all digits of an integer. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  const few = Math.abs(value) >= 1e5 || Number.isInteger(value) ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 5 };
  const tiny = value !== 0 && Math.abs(value) < 1e-4;
  return new Intl.NumberFormat(language, tiny ? { notation: "scientific", maximumSignificantDigits: 3 } : few).format(value);
}

/** Return a formatter for one column: the same decimals for all, five significant digits for the largest. */
export function columnFormat(values) {
  const most = Math.max(...values.filter(Number.isFinite).map(Math.abs), 0);
  const decimals = most > 0 ? Math.min(Math.max(4 - Math.floor(Math.log10(most)), 0), 8) : 0;
  if (values.every(Number.isInteger) || decimals === 8) return number;
  const form = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return (value) => (value === null ? "–" : new Intl.NumberFormat(language, form).format(value));
}

/** Return a share in percent; shares other than 0 and 1 are never shown as 0 % or 100 %. */
export function percent(share) {
  const form = (value) => new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(value);
  if (share > 0 && share < 0.001) return `< ${form(0.001)}`;
  if (share < 1 && share > 0.999) return `> ${form(0.999)}`;
  return form(share);
}

/** Return a row of radio buttons; `choose` is called with the value of the selected one. */
export function choices(legend, options, choose, picked = options[0][0]) {
  const name = newId("choice");
  const set = make("fieldset", { class: "choices" }, make("legend", { class: "unseen", say: legend }));
  for (const [value, key] of options) {
    const input = make("input", { type: "radio", name, value, checked: value === picked, change: () => choose(value) });
    set.append(make("label", {}, input, make("span", { say: key })));
  }
  return set;
}

/** An error that the user can fix, shown near the input: the key of its text, its values, and the element. */
export class Problem extends Error {
  constructor(key, values = {}, at = null) {
    super(key);
    Object.assign(this, { key, values, at });
  }
}

/** Copy the text of an element. Without HTTPS, pages have no clipboard: the text is selected for the keyboard. */
export async function copyText(element) {
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
