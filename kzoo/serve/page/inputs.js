// Input panels: one for each input method of a kind of model.
//
// The `read` function of a panel returns an input: one of `json`, `file`, `files` and `text` (CSV), and what is shown with
// the prediction: `picture`, `pictures`, `names`, `table`, `notes`; `many` is true for tables, even of one row.

import { answerText, bars, label, showPredictions } from "./answers.js";
import { readCsv, writeCsv } from "./csv.js";
import { choices, copyText, make, newId, number, Problem, say, setText } from "./dom.js";
import { pad, picture } from "./drawing.js";
import { explanationPart } from "./explanation.js";
import { newResultPanel, requestForm } from "./request_form.js";
import { explain, generate, predict } from "./server.js";

const SHARES = [0.8, 0.9, 0.95, 0.99]; // levels of sets and intervals, and of answered rows
const DRAWABLE = 64; // pixels: the largest side of an image that can be drawn
const MAX_FILE = 6 << 20, SIDE = 2048; // larger image files (bytes) are resized to this longer side (pixels)
const MAX_SHOWN = 1 << 20; // bytes: larger CSV files are not shown next to their predictions
const MAX_OPTIONS = 200; // with more categories, a text field replaces the list
const OTHER = "\u0000other"; // the value of the option for categories that are not in the list
const TOP = 20, TOP_TOKENS = 100; // requested classes; tokens that the next one is shown with
const MAX_SEED = 2 ** 32; // of the sampling: each continuation of a text is another one
const PAUSE = 250; // milliseconds from the end of a stroke to the prediction

/** Return the part for predictions: `element`, `close()`. `onInput` is called with each input that is sent. */
export function predictionPart(about, path, onInput) {
  const results = newResultPanel();
  const facts = new Set(about.input.facts);
  const promise = promiseControls(about);
  const context = { about, path, results, onInput, promise };
  const panels = !about.input.raw ? [["numbers", numbers]]
    : facts.has("pixels") ? [...(drawable(about) ? [["draw", drawing]] : []), ["choose", photographs]]
    : facts.has("ids") ? (about.answer.continues ? [["continue", continuation]] : [["type", sentence], ["table", table]])
    : facts.has("steps") ? [["table", table]]
    : facts.has("columns") ? [["fill", row], ["table", table]]
    : [["numbers", numbers]];
  const created = new Map();
  const holder = make("div", { class: "panel" });
  let current = null;

  function choose(name) {
    results.stop();
    if (!created.has(name)) created.set(name, panels.find(([panel]) => panel === name)[1](context));
    current?.leave?.();
    current = created.get(name);
    holder.replaceChildren(current.element);
    current.enter?.();
  }

  choose(panels[0][0]);
  const methods = panels.length > 1 ? choices("ways", panels.map(([name]) => [name, `way_${name}`]), choose) : null;
  return {
    element: make("div", { class: "ask" }, make("section", { class: "input", label: "input" }, methods, promise.element, holder), results.element),
    close() {
      current?.leave?.();
      results.close();
    },
  };
}

/**
 * Return the controls for how sure predictions have to be: `element`, null without any, and `query()`, the parameters of a
 * request.
 */
function promiseControls(about) {
  const { classes, kind, confidence, continues } = about.answer;
  const fields = [
    confidence && !continues ? ["confidence", "confidenceLevel"] : null,
    classes.length && kind !== "scores" && !continues && !about.task?.includes("multilabel") ? ["min_probability", "unsureBelow"] : null,
  ].filter(Boolean).map(([name, key]) => {
    const id = newId(name);
    const select = make("select", { id }, make("option", { value: "", say: "off" }), ...SHARES.map((share) => make("option", { value: `${share}`, text: `${Math.round(100 * share)} %` })));
    return { name, select, element: make("span", {}, make("label", { for: id, say: key }), " ", select) };
  });
  return {
    element: fields.length ? make("p", { class: "promise" }, ...fields.map((field) => field.element)) : null,
    query: () => fields.filter(({ select }) => select.value).map(({ name, select }) => `${name}=${select.value}`),
  };
}

/** Send an input to the model and return the node and summary of its predictions. */
async function predictInput({ about, path, onInput, promise }, input, signal, progress) {
  const parameters = promise.query();
  onInput(input, parameters);
  const response = await predict(path, input, { signal, query: `?${[`top=${TOP}`, "history=true", ...parameters].join("&")}`, progress });
  const shown = showPredictions(about, response, input, () => downloadCsv(path, input, parameters));
  if (about.explains && !input.many && input.json?.length === 1) shown.node.append(explanationPart(() => explain(path, input)));
  if (about.isLocal && !input.many && response.predictions.length === 1) shown.node.append(copyButton(() => answerText(about, response)));
  return shown;
}

/** Return a button that copies a text. */
function copyButton(text) {
  const written = make("pre", { class: "unseen", "aria-hidden": "true" }), status = make("span", { class: "note", role: "status" });
  const button = make("button", { type: "button", class: "quiet", say: "copyAnswer", click: async () => {
    written.textContent = text();
    say(status, (await copyText(written)) ? "copied" : "notCopied");
  } });
  return make("p", { class: "copy" }, button, status, written);
}

async function downloadCsv(path, input, parameters) {
  const blob = await predict(path, input, { accept: "text/csv", query: parameters.length ? `?${parameters.join("&")}` : "" });
  const link = make("a", { href: URL.createObjectURL(blob), download: "answers.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function predictionForm(context, body, read, key) {
  return requestForm(context.results, body, read, (input, signal, progress) => predictInput(context, input, signal, progress), key);
}

// Images

function drawable(about) {
  const { height, width, channels } = about.input.form ?? {};
  return channels === 1 && Math.max(height, width) <= DRAWABLE;
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
  const form = predictionForm(context, [sheet.element, hint], () => {
    const pixels = sheet.pixels();
    if (!pixels) throw new Problem("drawFirst", {}, sheet.element);
    const seen = make("figure", { class: "seen" }, picture(pixels), make("figcaption", { say: ["seenSize", { width, height }] }));
    return { json: [pixels], picture: seen };
  });
  form.actions.append(make("button", { type: "button", class: "quiet", say: "clear", click: () => { sheet.clear(); context.results.markOutdated(); } }));
  return { element: form.element, leave: () => clearTimeout(timer) };
}

function photographs(context) {
  let files = [], urls = [];
  const previews = make("div", { class: "previews" });
  const input = make("input", { type: "file", accept: "image/*", multiple: true, change: () => take([...input.files]) });
  const zone = dropZone(input, "dropImage", (dropped) => take(dropped));
  const camera = make("input", { type: "file", accept: "image/*", capture: "environment", change: () => take([...camera.files]) });
  const photo = context.about.isLocal && matchMedia("(pointer: coarse)").matches ? [make("label", { class: "camera" }, camera, make("span", { say: "takePhoto" }))] : [];
  const form = predictionForm(context, [zone, ...photo, previews], async () => {
    if (!files.length) throw new Problem("imageFirst", {}, input);
    const notImage = files.find((file) => file.type && !file.type.startsWith("image/"));
    if (notImage) throw new Problem("noImage", { name: notImage.name }, input);
    const notes = [];
    const sent = context.about.isLocal ? files : await Promise.all(files.map((file) => resized(file, notes)));
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

/** Return an image file; a large one is scaled down, with a note. */
async function resized(file, notes) {
  if (file.size <= MAX_FILE) return file;
  const image = await createImageBitmap(file).catch(() => null);
  if (!image) return file;
  const share = Math.min(1, SIDE / Math.max(image.width, image.height));
  const canvas = make("canvas", { width: Math.round(image.width * share), height: Math.round(image.height * share) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  notes.push(["shrunk", { name: file.name, width: canvas.width, height: canvas.height }]);
  return new File([blob], file.name, { type: "image/jpeg" });
}

/** Return a drop zone around a file input. */
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
  const form = predictionForm(context, field, () => {
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

/** Continue a text: it grows while the server streams its tokens. */
function continuation(context) {
  const { about, path, results, onInput } = context;
  const { level, length } = about.input.form;
  const unit = level === "words" ? "Words" : "Characters";
  const [field, area] = textField("beginning", `readsLast${unit}`, { n: length });
  const [count, countRow] = slider(`add${unit}`, { min: 1, max: level === "words" ? 60 : 300, step: 1, value: level === "words" ? 20 : 120 });
  const [temperature, temperatureRow] = slider("temperature", { min: 0, max: 1.5, step: 0.1, value: 0.8 }, "temperatureHint");
  const form = requestForm(results, [...field, make("div", { class: "fields" }, countRow, temperatureRow)], () => {
    if (!area.value) throw new Problem("typeFirst", {}, area);
    const seed = Math.floor(Math.random() * MAX_SEED);
    return { prompt: area.value, length: Number(count.value), temperature: Number(temperature.value), seed };
  }, async (settings, signal) => {
    onInput({ generation: settings });
    const response = await predict(path, { json: [settings.prompt] }, { signal, query: `?top=${TOP_TOKENS}` });
    const [first] = response.predictions;
    const added = make("mark"), text = make("p", { class: "written", lang: "und" }, settings.prompt, added);
    const node = make("div", {}, text, make("h4", { say: "nextToken" }), bars(first, first.classes.length));
    try {
      for await (const piece of generate(path, settings, signal)) {
        added.append(piece);
        if (!node.isConnected) results.show(node);
      }
    } catch (error) {
      if (error.name !== "AbortError" || !node.isConnected) throw error;
      // cancelled: the text so far stays
    }
    return { node, summary: ["saidText", { text: added.textContent.trim() }] };
  }, "continue");
  return { element: form.element };
}

function slider(key, attributes, hintKey) {
  const id = newId("slider");
  const value = make("output", { for: id });
  const input = make("input", { type: "range", id, ...attributes, input: () => setText(value, number(Number(input.value))) });
  setText(value, number(attributes.value));
  const hint = hintKey ? make("small", { say: hintKey, id: newId("hint") }) : null;
  if (hint) input.setAttribute("aria-describedby", hint.id);
  return [input, make("div", { class: "field" }, make("label", { for: id }, make("span", { say: key }), " ", value), input, hint)];
}

// Rows

function row(context) {
  const fields = context.about.input.form.columns.map(fieldOf);
  const form = predictionForm(context, [make("div", { class: "fields" }, ...fields.map((field) => field.element))], () => {
    const notes = [];
    return { json: [Object.fromEntries(fields.map((field) => [field.name, field.read(notes)]))], notes };
  });
  const reset = () => {
    fields.forEach((field) => field.reset());
    context.results.markOutdated();
  };
  form.actions.append(make("button", { type: "button", class: "quiet", say: "usual", click: reset }));
  return { element: form.element };
}

function fieldOf(column) {
  const id = newId("field");
  const { name } = column;
  const typical = column.kind === "number" ? String(Number(column.default.toPrecision(5))) : column.default ?? "";
  let input, list = null, hint = null, other = null;
  if (column.kind === "category" && column.values.length && column.values.length <= MAX_OPTIONS) {
    const last = column.others ? make("option", { value: OTHER, say: "other" }) : null;
    input = make("select", { id, change: () => showOther() }, ...column.values.map((value) => make("option", { value, text: label(value) })), make("option", { value: "", say: "missing" }), last);
    if (last) other = make("input", { type: "text", autocomplete: "off", hidden: true, label: ["otherValue", { name }] });
  } else if (column.kind === "category") {
    list = make("datalist", { id: newId("list") }, ...column.values.map((value) => make("option", { value })));
    input = make("input", { id, type: "text", list: list.id, autocomplete: "off" });
  } else if (column.kind === "text") {
    input = make("textarea", { id, rows: 3 });
  } else if (column.kind === "date") {
    input = make("input", { id, type: typical.includes(" ") ? "datetime-local" : "date" });
  } else {
    input = make("input", { id, type: "number", step: "any", inputmode: column.low < 0 || column.default < 0 ? "text" : "decimal" });
    if (column.low !== undefined) hint = make("small", { id: newId("hint"), say: ["range", { low: column.low, high: column.high }] });
  }
  if (hint) input.setAttribute("aria-describedby", hint.id);
  if (list || column.kind === "number") say(input, "empty", {}, "placeholder");
  const slider = column.slider ? sliderOf(column.slider, input) : null;
  const showOther = () => { if (other) other.hidden = input.value !== OTHER; };
  const reset = () => {
    input.value = column.kind === "date" ? typical.replace(" ", "T") : typical;
    showOther();
    slider?.follow();
  };
  reset();

  function read(notes) {
    const value = input.value === OTHER ? other.value : input.value;
    if (input.validity?.badInput) throw new Problem("noNumber", { name }, input);
    if (column.kind === "category" || column.kind === "text") return value === "" ? null : value;
    if (value === "") {
      if (column.missing) return null;
      notes.push(["replaced", { name, value: column.kind === "number" ? column.default : typical }]);
      return column.kind === "number" ? column.default : null; // the number that the model would use, as the note tells
    }
    if (column.kind === "date") return value + (column.offset ?? "");
    const { low, high } = column;
    if (low !== undefined && (Number(value) < low || Number(value) > high)) notes.push(["clipped", { name, bound: Number(value) < low ? low : high }]);
    return Number(value);
  }

  return { name, read, reset, element: make("div", { class: "field" }, make("label", { for: id, text: name }), input, slider?.element, other, list, hint) };
}

/** Return a slider that sets a field of a number, and `follow()`, which sets it to the field. It is for pointers only. */
function sliderOf([low, high], input) {
  const set = (event) => {
    input.value = String(Number(element.valueAsNumber.toPrecision(4)));
    input.dispatchEvent(new Event(event, { bubbles: true }));
  };
  const element = make("input", { type: "range", min: low, max: high, step: "any", tabindex: "-1", "aria-hidden": "true", input: () => set("input"), change: () => set("change") });
  const follow = () => { element.value = input.value; };
  input.addEventListener("input", follow);
  return { element, follow };
}

// Tables and series

function table(context) {
  const { about } = context;
  const { form: format, facts } = about.input;
  const steps = facts.includes("steps") && !facts.includes("ids") ? format.steps : null;
  const columns = format.columns?.map((column) => column.name ?? column) ?? [format.column ?? "text"];
  const [id, hintId] = [newId("csv"), newId("hint")];
  let file = null;
  const chosen = make("p", { class: "note" });
  const input = make("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", change: () => take([...input.files]) });
  const area = make("textarea", { id, rows: 8, class: "csv", wrap: "off", spellcheck: "false", "aria-describedby": hintId, input: () => { file = null; setText(chosen); } });
  const list = columns.length > 12 ? `${columns.slice(0, 12).join(", ")}, …` : columns.join(", ");
  const labelled = steps && format.series_id?.length > 0; // series with a prediction each
  const panel = labelled && Boolean(format.covariates); // series with a forecast each
  const covariates = (role) => (format.covariates ?? []).filter((column) => !role || column.role === role).map((column) => column.name).join(", ");
  const wanted = panel ? "panel" : labelled ? "labelledSeries" : format.time ? "seriesTimed" : "series";
  const texts = { n: steps, columns: panel && covariates() ? `${list}, ${covariates()}` : list, time: format.time, ids: format.series_id?.join(", ") };
  const hint = make("p", { class: "note", id: hintId, say: steps ? [wanted, texts] : ["columns", { columns: list }] });
  const later = panel && covariates("known") ? make("p", { class: "note", say: ["panelAhead", { n: format.horizon, known: covariates("known") }] }) : null;
  const zone = dropZone(input, "dropTable", take);
  const form = predictionForm(context, [make("label", { for: id, say: "paste" }), area, hint, ...(later ? [later] : []), zone, chosen], async () => {
    const many = !steps || panel, rows = many && !panel;
    if (file && facts.includes("ids") && /\.(txt|md)$/i.test(file.name)) return { file, media: "text/plain" }; // the file is a single text
    if (file) {
      const text = file.size <= MAX_SHOWN ? await file.text() : null;
      return { file, media: "text/csv", many, table: rows && text ? readCsv(text) : null };
    }
    if (!area.value.trim()) throw new Problem("pasteFirst", {}, area);
    return { text: area.value, many, table: rows ? readCsv(area.value) : null };
  });

  function take([selected]) {
    if (!selected) return;
    file = selected;
    area.value = "";
    say(chosen, "chosen", { name: selected.name, size: Math.ceil(selected.size / 1000) });
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

/** Numbers in the input shape of the network, for models without a preprocessor. */
function numbers(context) {
  const { input: { shape }, example } = context.about;
  const [field, area] = textField("numbers", "numbersHint", { shape: shape.slice(1).map((size) => size ?? "n").join(" × ") });
  area.classList.add("csv");
  if (example !== null && example !== undefined) area.value = JSON.stringify(example);
  const form = predictionForm(context, field, () => {
    if (!area.value.trim()) throw new Problem("typeFirst", {}, area);
    let values;
    try {
      values = JSON.parse(area.value);
    } catch {
      throw new Problem("noJson", {}, area);
    }
    return { json: Array.isArray(values) ? values : [values] };
  });
  return { element: form.element };
}
