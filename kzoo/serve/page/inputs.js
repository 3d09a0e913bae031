// What a model is asked with: a panel for each way to give its kind of input.
//
// A panel's `read` returns what is given: `json`, `file`, `files` or `text` (of a CSV), and what belongs beside the answer:
// `picture`, `pictures`, `names`, `table`, `notes`; `many` where it is a table, however few rows it has.

import { bars, label, shownAnswer } from "./answers.js";
import { readCsv, writeCsv } from "./csv.js";
import { choices, make, newId, number, plain, Problem, say } from "./dom.js";
import { newDesk, question } from "./desk.js";
import { pad, picture } from "./drawing.js";
import { answer } from "./server.js";

const SMALL = 64; // pixels of the side of an image that can be drawn
const LARGE = 6 << 20, SIDE = 2048; // bytes of a photograph that is made smaller, and its longer side then
const SHOWN = 1 << 20; // bytes of a CSV file that is shown beside its answers
const LISTED = 200; // categories that are listed
const TOP = 20, DRAWN = 100; // classes that are asked for; tokens that one is drawn from
const PAUSE = 250; // milliseconds after a line of a drawing

/** Return the part of the page that asks a model: `element`, `close()`. `asked` is called with what was given. */
export function askPart(about, place, asked) {
  const desk = newDesk();
  const facts = new Set(about.input.facts);
  const context = { about, place, desk, asked };
  const panels = !about.input.raw ? [["numbers", numbers]]
    : facts.has("pixels") ? [...(drawable(about) ? [["draw", drawing]] : []), ["choose", photographs]]
    : facts.has("ids") ? (about.answer.classes.length ? [["type", sentence], ["table", table]] : [["continue", continuation]])
    : facts.has("steps") ? [["table", table]]
    : facts.has("columns") ? [["fill", row], ["table", table]]
    : [["numbers", numbers]];
  const made = new Map();
  const holder = make("div", { class: "panel" });
  let current = null;

  function choose(name) {
    desk.stop();
    if (!made.has(name)) made.set(name, panels.find(([one]) => one === name)[1](context));
    current?.leave?.();
    current = made.get(name);
    holder.replaceChildren(current.element);
    current.enter?.();
  }

  choose(panels[0][0]);
  const ways = panels.length > 1 ? choices("ways", panels.map(([name]) => [name, `way_${name}`]), choose) : null;
  return {
    element: make("div", { class: "ask" }, make("section", { class: "input", label: "input" }, ways, holder), desk.element),
    close() {
      current?.leave?.();
      desk.close();
    },
  };
}

/** Ask a model, and say what it answers. */
async function asking({ about, place, asked }, given, signal) {
  asked(given);
  const said = await answer(place, given, { signal, query: `?top=${TOP}&history=true` });
  return shownAnswer(about, said, given, () => saved(place, given));
}

async function saved(place, given) {
  const blob = await answer(place, given, { accept: "text/csv" });
  const link = make("a", { href: URL.createObjectURL(blob), download: "answers.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function plainQuestion(context, body, read, key) {
  return question(context.desk, body, read, (given, signal) => asking(context, given, signal), key);
}

// Images

function drawable(about) {
  const { height, width, channels } = about.input.form ?? {};
  return channels === 1 && Math.max(height, width) <= SMALL;
}

function drawing(context) {
  const { height, width } = context.about.input.form;
  let timer = null;
  const sheet = pad(height, width, () => {
    clearTimeout(timer);
    timer = setTimeout(() => sheet.pixels() && form.element.requestSubmit(), PAUSE);
  });
  const hint = make("p", { class: "note", say: "padHint", id: newId("hint") });
  sheet.element.setAttribute("aria-describedby", hint.id);
  const form = plainQuestion(context, [sheet.element, hint], () => {
    const pixels = sheet.pixels();
    if (!pixels) throw new Problem("drawFirst", {}, sheet.element);
    const seen = make("figure", { class: "seen" }, picture(pixels), make("figcaption", { say: ["seenSize", { width, height }] }));
    return { json: [pixels], picture: seen };
  });
  form.actions.append(make("button", { type: "button", class: "quiet", say: "clear", click: () => { sheet.clear(); context.desk.old(); } }));
  return { element: form.element, leave: () => clearTimeout(timer) };
}

function photographs(context) {
  let files = [], urls = [];
  const previews = make("div", { class: "previews" });
  const input = make("input", { type: "file", accept: "image/*", multiple: true, change: () => take([...input.files]) });
  const zone = dropZone(input, "dropImage", (dropped) => take(dropped));
  const form = plainQuestion(context, [zone, previews], async () => {
    if (!files.length) throw new Problem("imageFirst", {}, input);
    const wrong = files.find((file) => file.type && !file.type.startsWith("image/"));
    if (wrong) throw new Problem("noImage", { name: wrong.name }, input);
    const notes = [];
    const sent = await Promise.all(files.map((file) => smaller(file, notes)));
    const names = files.map((file) => file.name);
    return sent.length === 1 ? { file: sent[0], names, notes } : { files: sent, names, pictures: urls, notes };
  });

  function take(chosen) {
    if (!chosen.length) return;
    urls.forEach((url) => URL.revokeObjectURL(url));
    files = chosen;
    urls = chosen.map((file) => URL.createObjectURL(file));
    previews.replaceChildren(...urls.slice(0, 12).map((src, i) => make("img", { src, alt: files[i].name, error: (event) => event.target.remove() })));
    form.element.requestSubmit();
  }

  const pasted = (event) => {
    const images = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (images.length) take(images);
  };
  return {
    element: form.element,
    enter: () => document.addEventListener("paste", pasted),
    leave: () => document.removeEventListener("paste", pasted),
  };
}

/** Return a photograph that the server takes: a large one is scaled down, which is said. */
async function smaller(file, notes) {
  if (file.size <= LARGE) return file;
  const image = await createImageBitmap(file).catch(() => null);
  if (!image) return file;
  const share = Math.min(1, SIDE / Math.max(image.width, image.height));
  const canvas = make("canvas", { width: Math.round(image.width * share), height: Math.round(image.height * share) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  notes.push(["shrunk", { name: file.name, width: canvas.width, height: canvas.height }]);
  return new File([blob], file.name, { type: "image/jpeg" });
}

/** Return a place to drop files on, around an input of files. */
function dropZone(input, key, take) {
  const zone = make("label", { class: "drop" }, input, make("span", { say: key }));
  for (const name of ["dragover", "dragleave", "drop"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", name === "dragover");
      if (name === "drop") take([...event.dataTransfer.files]);
    });
  }
  return zone;
}

// Texts

function sentence(context) {
  const { level, length } = context.about.input.form;
  const [field, area] = textField("sentence", level === "words" ? "readsWords" : "readsCharacters", { n: length });
  const form = plainQuestion(context, field, () => {
    if (!area.value.trim()) throw new Problem("typeFirst", {}, area);
    return { json: [area.value] };
  });
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    form.element.requestSubmit();
  });
  return { element: form.element };
}

function textField(key, hintKey, values) {
  const [id, hint] = [newId("text"), newId("hint")];
  const area = make("textarea", { id, rows: 5, "aria-describedby": hint, spellcheck: "false" });
  return [[make("label", { for: id, say: key }), area, make("p", { class: "note", id: hint, say: [hintKey, values] })], area];
}

/** Go on with a text: each token is drawn from the likeliest ones, and asked for by itself. */
function continuation(context) {
  const { about, place, desk, asked } = context;
  const { level, length } = about.input.form;
  const by = level === "words" ? "Words" : "Characters";
  const [field, area] = textField("beginning", `readsLast${by}`, { n: length });
  const [count, countRow] = slider(`add${by}`, { min: 1, max: level === "words" ? 60 : 300, step: 1, value: level === "words" ? 20 : 120 });
  const [heat, heatRow] = slider("temperature", { min: 0, max: 1.5, step: 0.1, value: 0.8 }, "temperatureHint");
  const form = question(desk, [...field, make("div", { class: "fields" }, countRow, heatRow)], () => {
    if (!area.value) throw new Problem("typeFirst", {}, area);
    return area.value;
  }, async (start, signal) => {
    asked({ json: [start] });
    const added = make("mark"), text = make("p", { class: "written", lang: "und" }, start, added), next = make("div");
    const node = make("div", {}, text, make("h4", { say: "nextToken" }), next);
    let whole = start, first = null;
    for (let n = 0; n < Number(count.value); n += 1) {
      let said;
      try {
        said = await answer(place, { json: [whole] }, { signal, query: `?top=${DRAWN}` });
      } catch (error) {
        if (error.name !== "AbortError" || !first) throw error;
        break; // what has been written so far stays
      }
      const token = drawn(said.predictions[0].classes, Number(heat.value));
      if (!first) {
        first = said.predictions[0];
        next.replaceChildren(bars(first, first.classes.length));
        desk.show(node);
      }
      const between = level === "words" && whole && !/\s$/.test(whole) ? " " : "";
      added.append(between + token);
      whole += between + token;
    }
    return { node, summary: ["saidText", { text: added.textContent.trim() }] };
  }, "continue");
  return { element: form.element };
}

/** Return a token out of the likeliest, neither padding nor the unknown one; at temperature 0 the likeliest. */
function drawn(classes, temperature) {
  const some = classes.filter((each) => each.label !== "<pad>" && each.label !== "<unk>");
  if (!some.length) throw new Problem("noToken");
  if (!temperature) return some[0].label;
  const weights = some.map((each) => Math.pow(each.probability / some[0].probability, 1 / temperature));
  let left = Math.random() * weights.reduce((sum, one) => sum + one, 0);
  return some[Math.max(weights.findIndex((one) => (left -= one) < 0), 0)].label;
}

function slider(key, attributes, hintKey) {
  const id = newId("slider");
  const value = make("output", { for: id });
  const input = make("input", { type: "range", id, ...attributes, input: () => plain(value, number(Number(input.value))) });
  plain(value, number(attributes.value));
  const hint = hintKey ? make("small", { say: hintKey, id: newId("hint") }) : null;
  if (hint) input.setAttribute("aria-describedby", hint.id);
  return [input, make("div", { class: "field" }, make("label", { for: id }, make("span", { say: key }), " ", value), input, hint)];
}

// Rows

function row(context) {
  const fields = context.about.input.form.columns.map(fieldOf);
  const form = plainQuestion(context, [make("div", { class: "fields" }, ...fields.map((field) => field.element))], () => {
    const notes = [];
    return { json: [Object.fromEntries(fields.map((field) => [field.name, field.read(notes)]))], notes };
  });
  const reset = () => {
    fields.forEach((field) => field.reset());
    context.desk.old();
  };
  form.actions.append(make("button", { type: "button", class: "quiet", say: "usual", click: reset }));
  return { element: form.element };
}

function fieldOf(column) {
  const id = newId("field");
  const { name } = column;
  const usual = column.kind === "number" ? String(Number(column.default.toPrecision(5))) : column.default ?? "";
  let input, list = null, hint = null;
  if (column.kind === "category" && column.values.length <= LISTED) {
    input = make("select", { id }, ...column.values.map((value) => make("option", { value, text: label(value) })), make("option", { value: "", say: "missing" }));
  } else if (column.kind === "category") {
    list = make("datalist", { id: newId("list") }, ...column.values.map((value) => make("option", { value })));
    input = make("input", { id, type: "text", list: list.id, autocomplete: "off" });
  } else if (column.kind === "date") {
    input = make("input", { id, type: usual.includes(" ") ? "datetime-local" : "date" });
  } else {
    input = make("input", { id, type: "number", step: "any", inputmode: column.low < 0 || column.default < 0 ? "text" : "decimal" });
    if (column.low !== undefined) hint = make("small", { id: newId("hint"), say: ["range", { low: column.low, high: column.high }] });
  }
  if (hint) input.setAttribute("aria-describedby", hint.id);
  const reset = () => { input.value = usual.replace(" ", column.kind === "date" ? "T" : " "); };
  reset();

  function read(notes) {
    const value = input.value;
    if (input.validity?.badInput) throw new Problem("noNumber", { name }, input);
    if (column.kind === "category") return value === "" ? null : value;
    if (value === "") {
      if (!column.missing) throw new Problem("fillIn", { name }, input);
      return null;
    }
    if (column.kind === "date") return value + (column.offset ?? "");
    const { low, high } = column;
    if (low !== undefined && (Number(value) < low || Number(value) > high)) notes.push(["clipped", { name, bound: Number(value) < low ? low : high }]);
    return Number(value);
  }

  return { name, read, reset, element: make("div", { class: "field" }, make("label", { for: id, text: name }), input, list, hint) };
}

// Tables and series

function table(context) {
  const { about } = context;
  const { form: asks, facts } = about.input;
  const steps = facts.includes("steps") && !facts.includes("ids") ? asks.steps : null;
  const columns = asks.columns?.map((column) => column.name ?? column) ?? [asks.column ?? "text"];
  const [id, hintId] = [newId("csv"), newId("hint")];
  let file = null;
  const chosen = make("p", { class: "note" });
  const input = make("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", change: () => take([...input.files]) });
  const area = make("textarea", { id, rows: 8, class: "csv", wrap: "off", spellcheck: "false", "aria-describedby": hintId, input: () => { file = null; plain(chosen); } });
  const list = columns.length > 12 ? `${columns.slice(0, 12).join(", ")}, …` : columns.join(", ");
  const hint = make("p", { class: "note", id: hintId, say: steps ? [asks.time ? "seriesTimed" : "series", { n: steps, columns: list, time: asks.time }] : ["columns", { columns: list }] });
  const zone = dropZone(input, "dropTable", take);
  const form = plainQuestion(context, [make("label", { for: id, say: "paste" }), area, hint, zone, chosen], async () => {
    const many = !steps;
    if (file && facts.includes("ids") && /\.(txt|md)$/i.test(file.name)) return { file, media: "text/plain" }; // one text
    if (file) {
      const text = file.size <= SHOWN ? await file.text() : null;
      return { file, media: "text/csv", many, table: many && text ? readCsv(text) : null };
    }
    if (!area.value.trim()) throw new Problem("pasteFirst", {}, area);
    return { text: area.value, many, table: many ? readCsv(area.value) : null };
  });

  function take([one]) {
    if (!one) return;
    file = one;
    area.value = "";
    say(chosen, "chosen", { name: one.name, size: Math.ceil(one.size / 1000) });
    form.element.requestSubmit();
  }

  if (about.example !== null && typeof about.example === "object") {
    form.actions.append(make("button", { type: "button", class: "quiet", say: "example", click: () => {
      area.value = writeCsv(rounded(about.example));
      area.dispatchEvent(new Event("input", { bubbles: true }));
      area.focus();
    } }));
  }
  return { element: form.element };
}

function rounded(rows) {
  return [rows].flat().map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, typeof value === "number" ? Number(value.toPrecision(5)) : value])));
}

/** Numbers as the network takes them: of a model of which nothing more is known. */
function numbers(context) {
  const { input: { shape }, example } = context.about;
  const [field, area] = textField("numbers", "numbersHint", { shape: shape.slice(1).map((size) => size ?? "n").join(" × ") });
  area.classList.add("csv");
  if (example !== null && example !== undefined) area.value = JSON.stringify(example);
  const form = plainQuestion(context, field, () => {
    if (!area.value.trim()) throw new Problem("typeFirst", {}, area);
    let given;
    try {
      given = JSON.parse(area.value);
    } catch {
      throw new Problem("noJson", {}, area);
    }
    return { json: Array.isArray(given) ? given : [given] };
  });
  return { element: form.element };
}
