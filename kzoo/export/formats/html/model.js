// The model of this page: from cells or numbers to predictions, here or in a worker.

import { decoded, readTable } from "./csv_files.js";
import { encodeForecasts } from "./forecasts.js";
import { pixelsOf } from "./images.js";
import { network } from "./network.js";
import { cellsOf, columnNames, csvLine, forecastColumns, inputText, predictionOf, promiseOf, responseOf } from "./predictions.js";
import { checkFinite, ModelError } from "./python.js";
import { explanationOf } from "./reasons.js";
import { codeIn, encodeRows, tableOfObjects } from "./rows.js";
import { encodeSeries, tableOfNumbers } from "./series.js";
import { encodeTexts, textsOf, textsOfInput } from "./texts.js";

const SHOWN = 100; // rows of a table that the page shows, with all of their classes
const TURN = 50; // milliseconds of work between two reports of progress
const NAME = "the table"; // of an uploaded file, in messages

/** Return functions that return predictions, and their explanation, from the stored model and its weights. */
export function createModel(stored, weights) {
  const run = network(stored.network, weights);

  async function predictRows(x, count, options, progress, use, seriesOf = () => null) {
    const width = x.length / count;
    let reported = Date.now();
    for (let row = 0; row < count; row += 1) {
      use(predictionOf(stored, run(x.subarray(row * width, (row + 1) * width)), options, seriesOf(row)), row);
      if (Date.now() - reported < TURN) continue;
      await progress(row + 1, count);
      reported = Date.now();
    }
  }

  async function predictTable(table, options, progress, notes) {
    const { texts } = stored.reader, predictions = [], lines = [];
    const x = texts ? encodeTexts(texts, textsOf(texts, table, notes), notes) : encodeRows(stored.reader, table, notes);
    const names = columnNames(stored, options), kept = table.names.map((name) => ([...names, "input"].includes(name) ? `input_${name}` : name));
    lines.push(csvLine(["input", ...kept, ...names]));
    const written = (name, row) => table.words.get(name)?.get(row) ?? inputText(table.columns.get(name)[row]);
    await predictRows(x, table.count, options, progress, (prediction, row) => {
      const top = table.count > 1 && row >= SHOWN ? 1 : options.top;
      predictions.push(responseOf(stored, prediction, { ...options, top }, row));
      lines.push(csvLine([String(row), ...table.names.map((name) => written(name, row)), ...cellsOf(stored, prediction)]));
    });
    return { predictions, csv: lines };
  }

  async function predictArrays(input, options, progress, notes) {
    const names = input.files?.map((file) => file.name) ?? (stored.reader.texts ? textsOfInput(stored.reader.texts, input.json, notes) : null);
    const [x, count] = input.files ? await numbersOfFiles(input.files, progress) : names ? [encodeTexts(stored.reader.texts, names, notes), names.length] : numbersOf(input.json, stored.shape);
    return predictNamed(x, count, (row) => names?.[row] ?? row, options, progress);
  }

  /** Return the predictions of inputs that are not rows of a table; `nameOf` returns the name or number of one. */
  async function predictNamed(x, count, nameOf, options, progress) {
    if (stored.horizon) return predictSteps(x, count, [["input", Array.from({ length: count }, (_, row) => nameOf(row))]], options, progress);
    const predictions = [], lines = [csvLine(["input", ...columnNames(stored, options)])];
    await predictRows(x, count, options, progress, (prediction, row) => {
      predictions.push(responseOf(stored, prediction, options, nameOf(row)));
      lines.push(csvLine([String(nameOf(row)), ...cellsOf(stored, prediction)]));
    });
    return { predictions, csv: lines };
  }

  async function predictForecasts(table, options, progress, notes) {
    const read = encodeForecasts(stored.reader.forecasts, table, notes), { names, ids, scales, history, times, historyTimes, write } = read;
    const { known, calendar } = stored.reader.forecasts, seriesOf = (row) => ({ scales: scales[row], code: known ? codeIn(known, names[row]) : 0 });
    const columns = [...ids, ...(times.length ? [[calendar.column, write(times.flat())]] : [])];
    const result = await predictSteps(read.x, names.length, columns, options, progress, seriesOf);
    result.predictions.forEach((row, i) => {
      Object.assign(row, { input: names[i], history: history[i] });
      if (ids.length) row.ids = Object.fromEntries(ids.map(([name, cells]) => [name, cells[i]]));
      if (times.length) Object.assign(row, { times: write(times[i]).map(String), history_times: write(historyTimes[i]).map(String) });
    });
    return result;
  }

  /** Return forecasts. `columns` are names and cells of their CSV file before the numbers: a cell for each forecast, or each step. */
  async function predictSteps(x, count, columns, options, progress, seriesOf) {
    const taken = columns.map(([name]) => name), first = [...taken, taken.includes("step") ? "forecast_step" : "step"], { names, cells } = forecastColumns(stored, options, first);
    const predictions = [], lines = [csvLine([...first, ...names])], { horizon } = stored;
    await predictRows(x, count, options, progress, (prediction, row) => {
      predictions.push(responseOf(stored, prediction, options, row));
      cells(prediction).forEach((numbers, i) => lines.push(csvLine([...columns.map(([, own]) => inputText(own[own.length === count ? row : row * horizon + i])), String(i + 1), ...numbers])));
    }, seriesOf);
    return { predictions, csv: lines };
  }

  async function predictSeries(table, options, progress, notes) {
    const { x, names, series } = encodeSeries(stored.reader.series, table, notes);
    const result = await predictNamed(x, names.length, (row) => names[row], options, progress);
    return { ...result, series: names.length === 1 ? series : undefined };
  }

  async function numbersOfFiles(files, progress) {
    const images = [];
    for (const file of files) {
      images.push(await pixelsOf(file, stored.shape));
      await progress(images.length, files.length);
    }
    return [Float32Array.from(images.flatMap((image) => Array.from(image))), files.length];
  }

  /** `input` has `json` (objects, texts, rows of numbers, or pixels), `text` (CSV), `bytes` (of a CSV file), or `files` (images). */
  async function predict(input, options, progress = async () => {}) {
    const notes = [], promise = promiseOf(stored, options);
    const isTable = stored.reader.columns || stored.reader.series || stored.reader.forecasts || input.text !== undefined || input.bytes;
    const predictCells = stored.reader.forecasts ? predictForecasts : stored.reader.series ? predictSeries : predictTable;
    const result = isTable ? await predictCells(tableOf(input, stored.reader, notes), options, progress, notes) : await predictArrays(input, options, progress, notes);
    notes.push(...(promise?.notes ?? []));
    return { predictions: result.predictions, csv: result.csv, ...(result.series ? { series: result.series } : {}), ...(promise ? { promise: promise.text } : {}), ...(notes.length ? { notes } : {}) };
  }

  /** Return why the model predicts what it predicts for the object of a row. */
  async function explain(input, options, progress = async () => {}) {
    const [row] = input.json, x = encodeRows(stored.reader, tableOfObjects([row]), []);
    return explanationOf(stored, (encoded) => predictionOf(stored, run(encoded), options), x, (name) => row[name], progress);
  }

  return { predict, explain };
}

function tableOf({ json, text, bytes }, reader, notes) {
  if (json) return tableOfObjects(json);
  const numbers = reader.series && text !== undefined ? tableOfNumbers(reader.series, text) : null;
  return numbers ?? readTable(text === undefined ? decoded(bytes, NAME, notes) : text.replaceAll("\r\n", "\n").replace(/^\ufeff/, ""), NAME, notes);
}

/** Return rows of numbers of the input shape of the network, one after another, and how many they are; or a single row. */
function numbersOf(inputs, shape) {
  const width = shape.reduce((product, size) => product * size, 1), isSingle = inputs.flat(Infinity).length === width;
  const flat = (isSingle ? [inputs] : inputs).map((row) => [row].flat(Infinity));
  if (flat.some((row) => row.length !== width || !row.every((value) => typeof value === "number"))) throw new ModelError(`Inputs must have the shape (N, ${shape.join(", ")}), and consist of numbers.`);
  const x = Float32Array.from(flat.flat());
  checkFinite(x, width);
  return [x, flat.length];
}

/** Answer messages to a worker: first the stored model, then a task ("predict" or "explain") and its input. */
export function answerMessages(scope) {
  let model = null;
  scope.addEventListener("message", async ({ data }) => {
    if (data.stored) {
      model = createModel(data.stored, data.weights);
      return;
    }
    try {
      scope.postMessage({ result: await model[data.task](data.input, data.options, async (done, all) => scope.postMessage({ done, all })) });
    } catch (error) {
      scope.postMessage(error instanceof ModelError ? { error: error.message } : { fault: String(error.stack ?? error) });
    }
  });
}
