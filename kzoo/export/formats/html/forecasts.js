// Forecasts: the last rows of each series of a table become a window of the network, and the times after it. See
// `kzoo/inference/kinds/series`: one_series.py, panel.py, windows.py, covariates.py and error_scale.py.

import { Calendar, learnCalendar } from "./calendar.js";
import { areDates, zoneNotesOf } from "./dates.js";
import { hint } from "./near_names.js";
import { MISSING, readNumbers } from "./numbers.js";
import { checkFinite, general, listed, ModelError, plural, repr, shown, strip } from "./python.js";
import { codeIn, unreadable, unreadNote } from "./rows.js";
import { fillRule, filledTarget, LONGEST_GAP, MOST_FILLED, SEVERAL_SEASONS, Steps } from "./steps.js";
import { areDigitDates, DAY, DAY_FIRST, differences, momentTexts, Moments, MONDAY_TO_FRIDAY, monthOf, timeFormatOf, Times, timesAndZone, wallTexts, workdaysBetween } from "./times.js";
import { writtenTimes } from "./written_times.js";

const MOST = 12, FAR = 3, SEASONS_READ = 4, FEWEST_STEP_ROWS = 4, REPEATED = 0.2, PANEL_ROWS = 4;
const MOST_IDS = 4, MOST_CANDIDATES = 12, MOST_TRIED = 20_000;
const FEWEST_PAIRS = 4, PAIRS_SHARE = 0.75, FLOOR = 0.01; // of the scale of errors
const range = (count, first = 0) => Array.from({ length: count }, (_, i) => first + i);
const sum = (values) => values.reduce((total, value) => total + value, 0);
const grouped = (count) => count.toLocaleString("en-US");

/**
 * Return `x`, the windows of the series of a table one after another, and for each series: `names`, `ids` (columns and their cells),
 * `scales` (of the errors of each target), `history` (steps of targets), `times` of the steps ahead and `historyTimes`, []
 * if they are not known, and `write`, which returns times as cells. Append notes for the user.
 */
export function encodeForecasts(reader, table, notes) {
  const calendar = reader.calendar && new Calendar(reader.calendar);
  const read = reader.ids ? readPanel(reader, calendar, table, notes) : readSeries(reader, calendar, table, notes);
  const { windows, panel, firsts, lasts } = read, { steps } = reader, width = windows[0][0].length;
  const x = Float32Array.from(windows.flat(2));
  const hasTimes = calendar !== null && (reader.ids || hasTimesOf(panel, calendar, notes));
  checkFinite(x, steps * width);
  const history = windows.map((window) => window.map((row) => Array.from(row.slice(0, reader.outputs))));
  const scales = history.map((rows, series) => errorScale(rows, read.measured[series], calendar === null ? null : calendar.season, reader.outputs));
  const write = panel.write ?? momentTexts, times = [], historyTimes = [];
  if (hasTimes) {
    firsts.forEach((first, series) => {
      const moments = panel.moments.part(first, lasts[series] + 1), past = calendar.lastTimes(moments, steps);
      times.push(calendar.nextTimes(panel.times ? panel.times.moments : moments, reader.horizon));
      historyTimes.push([...range(steps - past.length).map(() => past[0]), ...past]);
    });
  }
  return { x, names: reader.ids ? panel.names : [0], ids: panel.ids ?? [], scales, history, times, historyTimes, write };
}

function require(table, names, where) {
  const missing = names.find((name) => !table.columns.has(name));
  if (missing === undefined) return;
  const near = hint(missing, table.names);
  throw new ModelError(`Column ${repr(missing)} is not in ${where}. ${near ? `${near} ` : ""}Columns: ${listed(table.names, MOST)}.`);
}

const numbersIn = (reader, table, name) => readNumbers(table.columns.get(name), reader.writings[name] ?? null, table.decimal);
const targetsOf = (reader) => listedNames(reader.columns.slice(0, reader.outputs), " or ");

/** Return quoted names joined, at most three. */
function listedNames(names, separator) {
  return names.slice(0, 3).map(repr).join(separator) + (names.length > 3 ? ` and ${names.length - 3} more` : "");
}

// One series

function readSeries(reader, calendar, given, notes) {
  const { steps } = reader, { table, times, future } = pastRows(reader, given, notes);
  if (times) notes.push(...timeColumnNotes(reader, times));
  notes.push(...checkedStep(calendar, times, steps));
  const panel = seriesPanel(reader, calendar, times, table.count), content = panelValues(reader, calendar, table, panel);
  if (times) panel.write = writtenTimes(table.columns.get(times.column), times.wall, { areDates: times.areDates, hasZone: times.minutes.length > 0 && times.minutes.every(Number.isFinite), dayFirst: times.format === DAY_FIRST });
  const count = panel.order.length, first = count - steps;
  if (first < 0) throw new ModelError(`A forecast needs the last ${steps} rows${future ? ` with a value of ${targetsOf(reader)}` : ""}; got ${count}.`);
  const empty = reader.columns.find((name) => content.missing[name].length === table.count);
  if (empty !== undefined) throw new ModelError(`Column ${repr(empty)} of the series has no number in any row.`);
  const filled = sum(content.filled.map((column) => column.slice(first).filter(Boolean).length)), all = steps * reader.outputs;
  if (filled > MOST_FILLED * all) {
    throw new ModelError(`${filled} of the ${all} targets in the last ${plural(steps, "step")}, which the forecast is based on${times ? `, from ${panel.timeOf(first)} on` : ""}, are missing. At most half of them are filled in: add the rows or the values.`);
  }
  notes.push(
    ...unreadNotes(reader, table, content.unread), ...futureNote(reader, table, times, future), ...missingNote(reader, panel, content, first),
    ...gapNotes(reader, panel, first), ...farNotes(reader, content.values.map((column) => column.slice(first)), (step) => (times ? `at ${panel.timeOf(first + step)}` : `in step ${step + 1}`)),
  );
  const windows = [range(steps, first).map((row) => content.values.map((column) => column[row]))];
  return { windows, panel, firsts: [first], lasts: [count - 1], measured: [range(steps, first).map((row) => content.filled.map((column) => !column[row]))] };
}

/** Return the past of a series: its rows in order of time, without those at the end that have no target. */
function pastRows(reader, table, notes) {
  const times = readTimes(reader, table, notes);
  require(table, reader.columns, "the series");
  const targets = reader.columns.slice(0, reader.outputs).map((name) => numbersIn(reader, table, name));
  const hasTarget = range(table.count).map((row) => targets.some((values) => !Number.isNaN(values[row])));
  if (!hasTarget.some(Boolean)) throw new ModelError(`No row of the series has a number in ${targetsOf(reader)}.`);
  const order = times ? times.order : range(table.count), end = order.findLastIndex((row) => hasTarget[row]) + 1, kept = order.slice(0, end);
  const columns = new Map([...table.columns].map(([name, cells]) => [name, kept.map((row) => cells[row])]));
  return { table: { ...table, columns, count: end }, times: times && times.take(kept), future: table.count - end };
}

/** Return the times of the rows of a series, from the column of the training or else the first one of dates; null without. */
function readTimes(reader, table, notes) {
  const column = table.columns.has(reader.time) ? reader.time : [areDates, areDigitDates].map((isTime) => table.names.find((name) => isTime(table.columns.get(name)))).find((name) => name !== undefined);
  if (column === undefined) return null;
  const cells = table.columns.get(column), format = timeFormatOf(column, cells, notes, reader.times), read = timesAndZone(column, cells, format);
  const times = Times.of(column, read, format), repeats = times.isRepeat.filter(Boolean).length;
  if (repeats && repeats >= REPEATED * table.count) refuseSeveralSeries(table, column, times.timestamps, repeats);
  return times;
}

function refuseSeveralSeries(table, time, timestamps, repeats) {
  const line = `${grouped(repeats)} of ${grouped(table.count)} rows repeat a time in ${repr(time)}`, ids = idColumns(table, time, timestamps);
  if (!ids.length) throw new ModelError(`${line}, and no columns tell several series apart. A series has one row per time: keep one, or use the mean or sum of them.`);
  const names = ids.map((name) => table.columns.get(name).map(wordOf)), count = new Set(range(table.count).map((row) => JSON.stringify(names.map((words) => words[row])))).size;
  throw new ModelError(`${line}: the table has ${grouped(count)} series, told apart by ${listed(ids.map(repr), MOST)}. Pass the rows of one of them.`);
}

function wordOf(cell) {
  return cell === null ? null : typeof cell === "number" ? repr(cell) : strip(cell).replaceAll("\r\n", "\n");
}

/** Return the columns that tell the series of a table apart: the fewest with which no time is repeated; [] without. */
function idColumns(table, time, timestamps) {
  const places = new Map([...new Set(timestamps)].sort((a, b) => a - b).map((value, i) => [value, i])), times = Array.from(timestamps, (value) => places.get(value));
  const codes = new Map(), counts = new Map();
  for (const name of table.names) {
    if (name === time) continue;
    const words = table.columns.get(name).map((cell) => wordOf(cell) ?? "None"), known = new Map([...new Set(words)].map((word, i) => [word, i]));
    if (known.size < 2 || known.size > Math.floor(places.size / 2)) continue;
    codes.set(name, words.map((word) => known.get(word)));
    counts.set(name, known.size);
  }
  const names = [...codes.keys()].sort((a, b) => counts.get(a) - counts.get(b)).slice(0, MOST_CANDIDATES);
  const ofTime = new Array(places.size).fill(0);
  for (const place of times) ofTime[place] += 1;
  let total = 0;
  const tried = ofTime.findIndex((count) => (total += count) >= MOST_TRIED), some = range(table.count).filter((row) => tried < 0 || times[row] <= tried);
  const areDifferent = (rows, columns) => new Set(rows.map((row) => [times[row], ...columns.map((column) => column[row])].join())).size === rows.length;
  for (let size = 1; size <= MOST_IDS; size += 1) {
    for (const chosen of combinations(names, size)) {
      const columns = chosen.map((name) => codes.get(name));
      if (areDifferent(some, columns) && areDifferent(range(table.count), columns)) return table.names.filter((name) => chosen.includes(name));
    }
  }
  return [];
}

function* combinations(items, size, first = 0) {
  if (size === 0) yield [];
  for (let i = first; size > 0 && i < items.length; i += 1) for (const rest of combinations(items, size - 1, i + 1)) yield [items[i], ...rest];
}

function timeColumnNotes(reader, times) {
  if (reader.time === null) return [];
  const lines = times.column === reader.time ? [] : [`There is no time column ${repr(reader.time)}. ${repr(times.column)} is used instead.`];
  const isUncertain = reader.zone === "" || times.minutes.some(Number.isNaN); // otherwise times are in UTC
  return isUncertain ? [...lines, ...zoneNotesOf(times.column, reader.zone, Array.from(times.minutes))] : lines;
}

/** Refuse a series if most of its intervals are not the step of the training; return a note in a list. */
function checkedStep(calendar, given, last) {
  if (calendar === null || given === null) return [];
  const [current, learned] = calendar.step === "numbers" ? ["dates", "numbers"] : ["numbers", "dates"];
  if (!calendar.fits(given.areDates)) return [`Times of ${repr(given.column)} are ${current} in the series, but were ${learned} in training. Their steps may differ.`];
  const times = given.take(given.order.slice(-Math.max(last, FEWEST_STEP_ROWS))), moments = new Moments(times.timestamps, times.wall, "", times.areDates);
  const matches = calendar.matchingSteps(moments);
  if (!matches.length || 2 * matches.filter(Boolean).length >= matches.length) return [];
  const own = learnCalendar(moments, times.column)?.description ?? String(times.step);
  const line = `The rows of the series are ${own} apart, but the training rows were ${calendar.description} apart`;
  if (matches.length === 1) return [`${line}. The forecast assumes the step of the training.`];
  throw new ModelError(`${line}. Pass rows ${calendar.description} apart, or train on rows like these.`);
}

/** Return the panel of one series, in order of time, with the steps that have no row. */
function seriesPanel(reader, calendar, given, count) {
  const times = given && given.take(given.order), last = SEASONS_READ * reader.steps;
  const isEven = times && calendar !== null && !reader.uneven && calendar.fits(times.areDates);
  let steps = isEven ? Steps.ofSeries(calendar, new Moments(times.standard, times.wall, "", times.areDates), Math.max(LONGEST_GAP, last), "the series", last) : Steps.consecutive(count);
  if (isEven && reader.fill === SEVERAL_SEASONS && (calendar.season || steps.length) < steps.length && steps.length < reader.steps) steps = steps.preceded(reader.steps - steps.length);
  const moments = isEven ? steps.moments(calendar, times.moments) : times?.moments;
  return {
    names: [""], bounds: [0, steps.length], order: steps.rows.map((row, i) => (steps.since[i] === 0 ? row : -1)), numbers: range(steps.length), moments,
    calendar: isEven ? calendar : null, parts: steps.parts, fill: reader.fill, steps, times, jumps: isEven || !times || reader.uneven ? [] : times.gaps,
    rule: fillRule(isEven ? calendar.season : null, reader.fill, false), timeOf: (row) => times.at(steps.rows[row]),
  };
}

function hasTimesOf(panel, calendar, notes) {
  const { times } = panel;
  if (!times || !calendar.fits(times.areDates)) {
    notes.push(`${times ? "Times are not in the format of the training in column" : "There is no time column"} ${repr(calendar.column)}. The steps of the forecast are numbered instead; 1 is the next row.`);
    return false;
  }
  const own = learnCalendar(times.moments, times.column);
  if (own !== null && own.description !== calendar.description) notes.push(`These rows are ${own.description} apart, but the training rows were ${calendar.description} apart. The times of the forecast have the step of the training.`);
  return true;
}

function unreadNotes(reader, table, unread) {
  return Object.entries(unread).filter(([, rows]) => rows.length).map(([name, rows]) => unreadNote({ name, kind: "number" }, table.columns.get(name), rows, table.count));
}

function futureNote(reader, table, times, future) {
  if (!future) return [];
  const last = times ? times.text(times.timestamps.at(-1)) : `row ${table.count}`, subject = future === 1 ? "The last row has" : `The last ${future} rows have`;
  const ignored = reader.outputs === reader.columns.length ? "" : " Values of other columns in these rows are ignored.";
  return [`${subject} no number in ${targetsOf(reader)}: the forecast starts after ${last}, the last row with one.${ignored}`];
}

function missingNote(reader, panel, content, first) {
  const row = panel.steps.rows[first], counts = reader.columns.map((name) => [name, content.missing[name].filter((other) => other >= row).length]), total = sum(counts.map(([, count]) => count));
  if (!total) return [];
  const perColumn = listed(counts.filter(([, count]) => count).map(([name, count]) => `${repr(name)} ${count}`));
  return [`${total} of the ${(panel.order.length - first) * reader.columns.length} values that the forecast is based on ${total === 1 ? "is" : "are"} missing (${perColumn}). ${panel.rule}`];
}

function gapNotes(reader, panel, first) {
  const { times, steps } = panel;
  if (!times) return [];
  const about = `the last ${plural(panel.order.length - first, "step")}, which the forecast is based on`, lines = steps.notes((row) => times.at(row), panel.rule, first);
  const firstRow = first ? steps.rows[first - 1] + 1 : 0, unused = steps.unused.filter((row) => row >= firstRow);
  const kept = steps.unused.length ? unused : times.isRepeat.flatMap((isRepeat, row) => (isRepeat && row >= firstRow ? [row] : []));
  if (kept.length) lines.push(`${kept.length === 1 ? "1 row repeats" : `${grouped(kept.length)} rows repeat`} a time step in ${repr(times.column)} (first: ${times.at(kept[0])}). ${unused.length ? "The last row of each is used" : "Each row counts as a step"}.`);
  const gaps = (reader.uneven ? times.gaps : panel.jumps).filter((row) => row > first), notes = lines.map((line) => `Of ${about}: ${line}`);
  if (gaps.length && !(reader.uneven && reader.calendar === null)) {
    notes.push(`Rows are missing in ${about}: there is none between ${times.at(gaps.at(-1) - 1)} and ${times.at(gaps.at(-1))}. The rows around the gap count as consecutive, ${reader.uneven ? "as in training" : "because no regular step was found in training"}.`);
  }
  return notes;
}

// The values of a panel, of which one series is a special case

/** Return `values` and `filled` of the columns of the past, `own` channels of covariates, which targets were `observed`, notes. */
function panelValues(reader, calendar, table, panel, fill = true) {
  const season = panel.calendar ? panel.calendar.season : null, missing = {}, unread = {}, notes = [];
  const ofRows = (column) => Float64Array.from(panel.order, (row) => (row < 0 ? NaN : column[row]));
  const raw = reader.columns.map((name) => {
    const cells = table.columns.get(name), numbers = numbersIn(reader, table, name);
    unread[name] = unreadable(cells, numbers, Number.isNaN);
    missing[name] = range(table.count).filter((row) => Number.isNaN(numbers[row]));
    return ofRows(numbers);
  });
  const filled = raw.slice(0, reader.outputs).map((column) => Array.from(column, Number.isNaN)), observed = panel.order.map((_, row) => !filled.some((column) => column[row]));
  const values = raw.map((column, i) => filledColumn(i < reader.outputs ? filledTarget(column, panel.parts, season, panel.fill) : column, panel));
  const content = { values, filled, observed, missing, unread, notes, own: [] };
  return reader.ids ? withCovariates(reader, table, panel, content, raw, ofRows, season) : content;
}

/** Return a column, missing values replaced by the last before in their series, or else its first; 0 without any. */
function filledColumn(values, { bounds }) {
  const result = new Float32Array(values.length);
  for (let series = 0; series + 1 < bounds.length; series += 1) {
    let row = bounds[series];
    while (row < bounds[series + 1] && Number.isNaN(values[row])) row += 1;
    if (row === bounds[series + 1]) continue;
    let last = values[row];
    for (row = bounds[series]; row < bounds[series + 1]; row += 1) {
      if (!Number.isNaN(values[row])) last = values[row];
      result[row] = last;
    }
  }
  return result;
}

/** Return notes about values that are farther from those of the training rows than three times their range. */
function farNotes(reader, columns, position) {
  return reader.columns.flatMap((name, i) => {
    const [low, high] = reader.ranges[name] ?? [-Infinity, Infinity], width = FAR * (high - low || Math.abs(high) || 1);
    const far = range(columns[i].length).filter((row) => columns[i][row] < low - width || columns[i][row] > high + width);
    if (!far.length) return [];
    const row = far.reduce((best, other) => (Math.abs(columns[i][other]) > Math.abs(columns[i][best]) ? other : best)), more = far.length > 1 ? `; ${far.length} such values` : "";
    return [`${repr(name)} is ${general(columns[i][row], 6)} ${position(row)}${more}, far from the training rows (${general(low, 6)} to ${general(high, 6)}). The forecast follows from it: correct it if it is a mistake.`];
  });
}

/** Return the mean absolute seasonal difference of each target in a window, given which values were measured. */
function errorScale(rows, measured, season, targets) {
  return range(targets).map((target) => {
    const values = rows.map((row) => row[target]), isMeasured = measured.map((row) => row[target]), known = values.filter((_, row) => isMeasured[row]);
    const differenceAt = (lag) => {
      const sizes = range(Math.max(values.length - lag, 0)).filter((row) => isMeasured[row] && isMeasured[row + lag]).map((row) => Math.abs(values[row + lag] - values[row]));
      return [sum(sizes) / Math.max(sizes.length, 1), sizes.length];
    };
    const lag = Math.max(season ?? 1, 1), [seasonal, pairs] = differenceAt(lag), size = sum(known.map(Math.abs)) / Math.max(known.length, 1);
    const scale = Math.max(pairs >= Math.max(FEWEST_PAIRS, PAIRS_SHARE * lag) ? seasonal : differenceAt(1)[0], FLOOR * size);
    return scale > 0 ? scale : 1;
  });
}

// Covariates of a panel: columns that are known ahead of time

/** Return the number of channels of a covariate: one, or one for each of its categories. */
const widthOf = ({ categories }) => (categories ? categories.count : 1);

/** Return the channels of a covariate, an array for each, NaN where a cell is empty; append a note about unknown values. */
function channelsOf(covariate, table, notes) {
  const { name, role, categories } = covariate, cells = table.columns.get(name), title = `${role[0].toUpperCase()}${role.slice(1)} column ${repr(name)}`;
  if (!categories) {
    const numbers = readNumbers(cells, covariate.writing ?? null, table.decimal), [bad] = unreadable(cells, numbers, Number.isNaN);
    if (bad !== undefined) throw new ModelError(`${title} has ${shown(cells[bad])} in row ${bad + 1}, which is not a number. Correct it.`);
    return [numbers];
  }
  const channels = range(categories.count).map(() => new Float64Array(cells.length)), unknown = new Set();
  cells.forEach((cell, row) => {
    const word = wordOf(cell), code = word === null ? 0 : codeIn(categories, word);
    if (code) channels[code - 1][row] = 1;
    else if (word === null || MISSING.has(strip(word))) for (const channel of channels) channel[row] = NaN;
    else unknown.add(word);
  });
  if (unknown.size) notes.push(`${title} has values that no training row has (${listed([...unknown].sort(byCharacters).map(repr), 5)}): they count as none of the others.`);
  return channels;
}

/** Compare texts as Python does, by their characters. */
function byCharacters(text, other) {
  const [ones, others] = [Array.from(text), Array.from(other)], at = ones.findIndex((character, i) => character !== others[i]);
  return at < 0 ? ones.length - others.length : others[at] === undefined ? 1 : ones[at].codePointAt(0) - others[at].codePointAt(0);
}

/** Return the content of a panel with the channels of its covariates; past empty cells are filled if `fill`. */
function withCovariates(reader, table, panel, content, raw, ofRows, season) {
  const codes = codesOf(panel), last = lastObserved(panel, content.observed), isPast = codes.map((series, row) => row <= last[series]), empty = [], events = [];
  const missing = sum(raw.map((column) => column.reduce((count, value, row) => count + (Number.isNaN(value) && isPast[row] && panel.order[row] >= 0 ? 1 : 0), 0)));
  if (missing) content.notes.push(`${plural(missing, "missing value")} ${missing === 1 ? "was" : "were"} filled in. ${panel.rule}`);
  for (const covariate of reader.covariates) {
    let channels = channelsOf(covariate, table, content.notes).map(ofRows);
    const isEmpty = (row) => channels.some((channel) => Number.isNaN(channel[row]));
    content.notes.push(...emptyNotes(covariate, panel, isEmpty));
    if (covariate.role === "static") {
      channels = channels.map((channel) => Float64Array.from(filledColumn(channel, panel)));
      checkConstant(panel, channels, covariate.name);
    }
    const gone = covariate.role === "known" ? codes.map((_, row) => isPast[row] && isEmpty(row)) : [];
    if (gone.some(Boolean)) {
      const isUsual = panel.fill === SEVERAL_SEASONS && season && channels.every((channel) => channel.every((value) => Number.isNaN(value) || value === 0 || value === 1));
      const count = gone.filter((isGone, row) => isGone && panel.order[row] >= 0).length;
      if (count) (isUsual ? events : empty).push(`${repr(covariate.name)} ${count}`);
      if (isUsual) fillEvents(channels, gone, codes, panel.numbers.map((number) => ((number % season) + season) % season));
    }
    content.own.push(...channels);
  }
  if (empty.length) content.notes.push(`Empty cells of known columns have the last value before in the same series, or its first: ${listed(empty)}.`);
  if (events.length) content.notes.push(`Empty cells of known columns of events have the most frequent value at the same step of the season in the same series: ${listed(events)}.`);
  return content;
}

function codesOf({ bounds }) {
  return range(bounds.length - 1).flatMap((series) => new Array(bounds[series + 1] - bounds[series]).fill(series));
}

function lastObserved({ bounds }, observed) {
  return range(bounds.length - 1).map((series) => {
    let row = bounds[series + 1] - 1;
    while (row >= bounds[series] && !observed[row]) row -= 1;
    return row < bounds[series] ? -1 : row;
  });
}

/** Return a note about series in which a static column of texts is empty, in a list; refuse other columns. */
function emptyNotes({ name, role, categories }, panel, isEmpty) {
  const without = panel.names.filter((_, series) => range(panel.bounds[series + 1] - panel.bounds[series], panel.bounds[series]).every(isEmpty));
  if (!without.length) return [];
  const line = `${role[0].toUpperCase()}${role.slice(1)} column ${repr(name)} has no value for series ${repr(without[0])}${without.length === 1 ? "" : ` (${without.length} such series)`}`;
  if (role === "known" || !categories) throw new ModelError(`${line}. Fill it in, or leave the series or the column out.`);
  return [`${line}: it counts as none of the values of the others.`];
}

function checkConstant(panel, channels, name) {
  const codes = codesOf(panel), same = (value, other) => value === other || (Number.isNaN(value) && Number.isNaN(other));
  const changed = codes.findIndex((series, row) => !channels.every((channel) => same(channel[row], channel[panel.bounds[series]])));
  if (changed >= 0) throw new ModelError(`Static column ${repr(name)} changes within series ${repr(panel.names[codes[changed]])} at ${panel.timeOf(changed)}. Correct it, name it in known_covariates=, or leave it out with drop=.`);
}

/** Fill some rows of a column of events with the most frequent one at the same phase of their series, or else in the series. */
function fillEvents(channels, wanted, codes, phases) {
  const events = codes.map((_, row) => (channels.some((channel) => Number.isNaN(channel[row])) ? null : channels.reduce((event, channel, i) => event + channel[row] * (i + 1), 0)));
  let left = codes.flatMap((_, row) => (wanted[row] && events[row] === null ? [row] : []));
  for (const keyOf of [(row) => `${codes[row]} ${phases[row]}`, (row) => `${codes[row]}`]) {
    const counts = new Map();
    events.forEach((event, row) => {
      if (event === null) return;
      const key = keyOf(row), own = counts.get(key) ?? new Array(channels.length + 1).fill(0);
      own[event] += 1;
      counts.set(key, own);
    });
    for (const row of left.filter((place) => counts.has(keyOf(place)))) {
      const own = counts.get(keyOf(row)), usual = own.indexOf(Math.max(...own));
      channels.forEach((channel, i) => { channel[row] = usual === i + 1 ? 1 : 0; });
    }
    left = left.filter((row) => !counts.has(keyOf(row)));
  }
}

// Many series

function readPanel(reader, calendar, table, notes) {
  const { steps, horizon } = reader, panel = panelOf(reader, calendar, table, notes, Math.max(steps, LONGEST_GAP));
  const content = panelValues(reader, calendar, table, panel), codes = codesOf(panel), last = lastObserved(panel, content.observed);
  const nothing = panel.names.filter((_, series) => last[series] < 0);
  if (nothing.length) throw new ModelError(`Series ${listed(nothing.map(repr), MOST)} ${nothing.length === 1 ? "has" : "have"} no row with ${targetsOf(reader)}. Add the rows before the forecast, or remove the series.`);
  checkEnds(reader, table, panel, codes, last, content.unread);
  notes.push(...content.notes, ...unreadNotes(reader, table, content.unread), ...endNotes(panel, codes, last, steps, horizon));
  const { firsts, afterGap } = windowFirsts(panel, content.filled, last, steps), future = futureOf(reader, calendar, panel, content, codes, last);
  const past = content.own.map((column) => filledColumn(column, panel)), channelsAt = (row) => [...past.map((column) => column[row]), ...calendar.channels(panel.numbers[row])];
  const used = new Set(), windows = [], measured = [];
  panel.names.forEach((_, series) => {
    const rows = range(steps).map((step) => last[series] + 1 - steps + step), window = [], own = [];
    for (const row of rows) {
      const place = Math.max(row, firsts[series]), later = Math.max((reader.paddedAhead ? row : place) + horizon, firsts[series]), beyond = later - last[series] - 1;
      used.add(place);
      window.push([...content.values.map((column) => column[place]), ...channelsAt(place), ...(beyond >= 0 ? future[series][beyond] : channelsAt(later))]);
      own.push(content.filled.map((column) => !column[place] && row === place));
    }
    windows.push(window);
    measured.push(own);
  });
  const own = [...used].sort((a, b) => a - b);
  notes.push(...farNotes(reader, content.values.map((column) => own.map((row) => column[row])), (row) => `in series ${repr(panel.names[codes[own[row]]])} at ${panel.timeOf(own[row])}`));
  const gaps = panel.names.filter((_, series) => afterGap[series]), short = panel.names.filter((_, series) => last[series] + 1 - firsts[series] < steps && !afterGap[series]);
  if (gaps.length) notes.push(`${gaps.length} of ${panel.names.length} series (${listed(gaps.map(repr), MOST)}) have no values in more than half of the last ${plural(steps, "step")}, or a longer gap before: only the rows after their last gap are read, the first of which is repeated before them.`);
  if (short.length) notes.push(`${short.length} of ${panel.names.length} series have fewer than ${plural(steps, "row")} (${listed(short.map(repr), MOST)}): the first is repeated before it.`);
  const news = reader.knownCount ? panel.names.filter((name) => !isKnown(reader, name)) : [];
  if (news.length) notes.push(`${news.length} series not in the training rows: ${listed(news.map(repr), MOST)}.`);
  return { windows, panel, firsts, lasts: last, measured };
}

function isKnown({ known, knownCount }, name) {
  const code = codeIn(known, name);
  return code > 0 && code <= knownCount;
}

/** Return the panel of new rows, with the steps that have none. */
function panelOf(reader, calendar, table, notes, longest) {
  if (calendar === null) throw new ModelError("The step of the series is not stored with this model: train it again.");
  require(table, [...reader.ids, reader.time, ...reader.columns], "the panel");
  require(table, reader.covariates.map(({ name }) => name), "the panel");
  const { names, codes } = seriesNames(reader, table, notes), cells = table.columns.get(reader.time);
  const format = timeFormatOf(reader.time, cells, notes, reader.times), read = timesAndZone(reader.time, cells, format);
  notes.push(...zoneNotesOf(reader.time, reader.zone, Array.from(read.minutes)));
  const moments = Moments.of(read);
  if (!calendar.fits(read.areDates)) {
    const types = read.areDates ? ["dates", "numbers"] : ["numbers", "dates"];
    throw new ModelError(`Times of ${repr(reader.time)} are ${types[0]}, such as ${shown(cells[0])}, but were ${types[1]} in training. Write them as in training.`);
  }
  const panel = sortedPanel(codes, names, moments, calendar);
  checkSteps(panel, calendar);
  const ends = panel.bounds.slice(1).map((end) => panel.order[end - 1]);
  panel.ids = reader.ids.map((name) => [name, ends.map((row) => table.columns.get(name)[row])]);
  panel.write = writtenTimes(cells, moments.wall, { areDates: read.areDates, hasZone: Boolean(moments.zone), dayFirst: format === DAY_FIRST });
  panel.fill = reader.fill;
  panel.rule = fillRule(calendar.season, reader.fill, true);
  return reader.uneven ? panel : withMissingSteps(panel, calendar, longest);
}

function seriesNames(reader, table, notes) {
  const words = reader.ids.map((name) => {
    const cells = table.columns.get(name), own = cells.map((cell) => wordOf(cell) || null), row = own.indexOf(null);
    const written = new Set(cells.map((cell) => (typeof cell === "number" ? repr(cell) : cell === null ? "" : cell)).filter((text) => strip(text))), twice = [...written].find((text) => wordOf(text) !== text && written.has(wordOf(text)));
    if (twice !== undefined) notes.push(`Values of ${repr(name)} that differ only in blanks around them, such as ${repr(wordOf(twice))}, are one series.`);
    if (row >= 0) throw new ModelError(`Row ${row + 1} has no ${repr(name)}, which tells the series apart. Fill it in.`);
    return own;
  });
  const numbers = new Map(), names = [], codes = range(table.count).map((row) => {
    const key = words.map((column) => column[row]), code = JSON.stringify(key);
    if (!numbers.has(code)) {
      numbers.set(code, names.length);
      names.push(key.join(", "));
    }
    return numbers.get(code);
  });
  const lower = new Map();
  for (const name of names) {
    const other = lower.get(name.toLowerCase());
    if (other !== undefined && other !== name) {
      notes.push(`${repr(other)} and ${repr(name)} are two series. If they are one, write its id in one way.`);
      break;
    }
    lower.set(name.toLowerCase(), other ?? name);
  }
  return { names, codes };
}

/** Return the number of each step of a calendar since a fixed time. */
function stepNumber(calendar, moments, row) {
  const { step, every, week } = calendar, day = Math.floor(moments.wall[row] / DAY);
  if (step === "numbers") return Math.round(moments.times[row] / every);
  if (step === "seconds") return Math.floor(moments.times[row] / (every * 1000));
  if (step === "months") return Math.floor(monthOf(moments.wall[row]) / every);
  return Math.floor((step === "business days" ? workdaysBetween(0, day, week || MONDAY_TO_FRIDAY) : day) / every);
}

function sortedPanel(codes, names, given, calendar) {
  const numbers = codes.map((_, row) => stepNumber(calendar, given, row)), order = range(codes.length).sort((a, b) => codes[a] - codes[b] || numbers[a] - numbers[b] || a - b);
  const repeats = range(Math.max(order.length - 1, 0)).filter((i) => codes[order[i]] === codes[order[i + 1]] && numbers[order[i]] === numbers[order[i + 1]]);
  if (repeats.length) {
    const [i] = repeats, pair = wallTexts([given.wall[order[i]], given.wall[order[i + 1]]], given.areDates);
    const at = pair[0] === pair[1] ? `at ${pair[0]}` : `at ${pair[0]} and ${pair[1]}, within a step of ${calendar.description}`;
    throw new ModelError(`Series ${repr(names[codes[order[i]]])} has two rows ${at} (${plural(repeats.length, "such pair")}): a series has one row per step. Remove one of them, or name the columns that tell the series apart in series_id=.`);
  }
  const starts = order.flatMap((row, i) => (i && codes[row] === codes[order[i - 1]] ? [] : [i]));
  return panelWith({ names, bounds: [...starts, order.length], order, numbers: order.map((row) => numbers[row]), moments: given.take(order), calendar });
}

function panelWith(fields) {
  const { moments } = fields;
  return { parts: fields.bounds, ...fields, timeOf: (row) => wallTexts([moments.wall[row]], moments.areDates)[0] };
}

function withMissingSteps(panel, calendar, longest) {
  if (!gapsOf(panel).length) return panel;
  const steps = Steps.of(panel.numbers, panel.bounds, longest);
  return panelWith({
    ...panel, bounds: [...panel.bounds.slice(0, -1).map((row) => steps.ofRows[row]), steps.length], parts: steps.parts, moments: steps.moments(calendar, panel.moments),
    order: steps.rows.map((row, i) => (steps.since[i] === 0 ? panel.order[row] : -1)), numbers: steps.rows.map((row, i) => panel.numbers[row] + steps.since[i]),
  });
}

/** Return the rows before which rows of the same series are missing. */
function gapsOf({ numbers, bounds }) {
  const starts = new Set(bounds);
  return differences(numbers).flatMap((step, i) => (step !== 1 && !starts.has(i + 1) ? [i + 1] : []));
}

/** Refuse a panel in which most intervals of a series are not the step of its calendar. */
function checkSteps(panel, calendar) {
  const sizes = differences(panel.bounds), others = range(sizes.length).filter((series) => {
    const [first, end] = [panel.bounds[series], panel.bounds[series + 1]];
    const single = differences(panel.numbers.slice(first, end)).filter((step) => step === 1).length;
    return sizes[series] >= PANEL_ROWS && single / Math.max(sizes[series] - 1, 1) < 0.5;
  });
  if (panel.numbers.length < 2 || !others.length) return;
  const own = learnCalendar(panel.moments.part(panel.bounds[others[0]], panel.bounds[others[0] + 1]), "");
  throw new ModelError(`Rows of series ${repr(panel.names[others[0]])} are ${own === null ? "not at regular times" : `${own.description} apart`}, but the training rows were ${calendar.description} apart (${others.length} such series). Bring all series to one step, or remove it.`);
}

/** Refuse texts in the target after the last row with all targets: the forecast would begin there. */
function checkEnds(reader, table, panel, codes, last, unread) {
  const place = new Map(panel.order.map((row, i) => [row, i]));
  for (const name of reader.columns.slice(0, reader.outputs)) {
    const later = unread[name].map((row) => place.get(row)).filter((row) => row > last[codes[row]]);
    if (!later.length) continue;
    const row = Math.min(...later);
    throw new ModelError(`${repr(name)} of series ${repr(panel.names[codes[row]])} at ${panel.timeOf(row)} is ${shown(table.columns.get(name)[panel.order[row]])}, which is not a number, so that the forecast would begin there. Correct it, or leave it empty.`);
  }
}

/** Return notes about gaps among the last rows, series that end before the others, and rows after the forecast. */
function endNotes(panel, codes, last, steps, horizon) {
  const { names, numbers } = panel, firsts = last.map((row, series) => Math.max(row - steps + 1, panel.bounds[series]));
  const notes = panelGapNotes(panel, codes, firsts, last).map((note) => `Among the last ${plural(steps, "row")} of the series: ${note[0].toLowerCase()}${note.slice(1)}`);
  const latest = last.reduce((most, row) => Math.max(most, numbers[row]), -Infinity), early = range(names.length).filter((series) => numbers[last[series]] < latest);
  if (early.length) notes.push(`${early.length} of ${names.length} series end before the others (${listed(early.slice(0, MOST + 1).map((series) => `${repr(names[series])} at ${panel.timeOf(last[series])}`), MOST)}). Their forecasts begin there.`);
  const beyond = codes.flatMap((series, row) => (panel.order[row] >= 0 && numbers[row] > numbers[last[series]] + horizon ? [row] : []));
  if (beyond.length) notes.push(`${plural(beyond.length, "row")} after the ${plural(horizon, "step")} of the forecast are not read, such as ${repr(names[codes[beyond[0]]])} at ${panel.timeOf(beyond[0])}.`);
  return notes;
}

function panelGapNotes(panel, codes, firsts, lasts) {
  const notes = [], isIn = (row) => row > firsts[codes[row]] && row <= lasts[codes[row]], named = (row) => repr(panel.names[codes[row]]);
  const missing = range(codes.length).filter((row) => panel.order[row] < 0 && isIn(row)), gaps = gapsOf(panel).filter(isIn);
  if (missing.length) {
    const starts = missing.filter((row, i) => row - 1 !== missing[i - 1]), lengths = differences([...starts.map((row) => missing.indexOf(row)), missing.length]);
    const most = Math.max(...lengths), longest = starts[lengths.indexOf(most)], count = missing.length;
    notes.push(`${plural(count, "row")} ${count === 1 ? "is" : "are"} missing in ${new Set(missing.map((row) => codes[row])).size} of ${panel.names.length} series, most in a row in ${named(longest)} between ${panel.timeOf(longest - 1)} and ${panel.timeOf(longest + most)}. ${panel.rule}`);
  }
  if (gaps.length) {
    const size = (row) => panel.numbers[row] - panel.numbers[row - 1], row = gaps.reduce((best, other) => (size(other) > size(best) ? other : best));
    notes.push(`Rows are missing in ${plural(gaps.length, "gap")} too long to be filled in, the longest in ${named(row)} between ${panel.timeOf(row - 1)} and ${panel.timeOf(row)}. No window crosses such a gap.`);
  }
  return notes;
}

/** Return the first row of the window of each series, and whether a gap before it is too long to be filled in. */
function windowFirsts(panel, filled, last, steps) {
  const afterGap = [], firsts = last.map((row, series) => {
    let first = Math.max(panel.parts.findLast((part) => part <= row), row + 1 - steps);
    const isAfterGap = first > row + 1 - steps && first > panel.bounds[series], count = sum(filled.map((column) => column.slice(first, row + 1).filter(Boolean).length));
    const isSparse = count > MOST_FILLED * steps * filled.length;
    if (isSparse) first = range(row + 1).findLast((place) => filled.some((column) => column[place])) + 1;
    afterGap.push(isAfterGap || isSparse);
    return first;
  });
  return { firsts, afterGap };
}

/** Return the channels of the steps to forecast of each series; a known column must not be empty there. */
function futureOf(reader, calendar, panel, content, codes, last) {
  const { horizon } = reader, future = last.map((row) => range(horizon, 1).map((step) => ({ own: [], number: panel.numbers[row] + step })));
  let channel = 0;
  for (const covariate of reader.covariates) {
    const own = content.own.slice(channel, channel + widthOf(covariate));
    channel += own.length;
    const values = last.map((row) => range(horizon).map(() => own.map((column) => (covariate.role === "static" ? column[row] : NaN))));
    if (covariate.role === "known") {
      codes.forEach((series, row) => {
        const step = panel.numbers[row] - panel.numbers[last[series]];
        if (step >= 1 && step <= horizon) values[series][step - 1] = own.map((column) => column[row]);
      });
      const empty = values.flatMap((rows, series) => rows.flatMap((row, step) => (row.some(Number.isNaN) ? [[series, step]] : [])));
      if (empty.length) {
        const [[series, step]] = empty, time = momentTexts(calendar.nextTimes(panel.moments.part(panel.bounds[series], last[series] + 1), step + 1)).at(-1);
        throw new ModelError(`Known column ${repr(covariate.name)} has no value for series ${repr(panel.names[series])} at ${time} (${plural(empty.length, "such step")}). Add rows for the ${plural(horizon, "step")} to forecast, with the targets left empty: kzoo predict --make-future writes them.`);
      }
    }
    values.forEach((rows, series) => rows.forEach((row, step) => future[series][step].own.push(...row)));
  }
  return future.map((rows) => rows.map(({ own, number }) => [...own, ...calendar.channels(number)]));
}
