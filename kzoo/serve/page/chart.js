// Line chart of a series and its forecast, if it has one.

import { newId, number, svg, translated } from "./dom.js";

const HIGH = 260, LEFT = 52, RIGHT = 14, TOP = 14, BOTTOM = 30, LETTER = 7;

/**
 * Return a chart that fills the width of its container.
 *
 * `before` and `after` are the values of the series and of the forecast, `times` the labels of both; `low` and `high` are
 * bounds of the forecast, if known.
 */
export function chart(series) {
  const holder = document.createElement("div");
  holder.className = "chart";
  let width = 0;
  const observer = new ResizeObserver(() => {
    if (!holder.isConnected || Math.round(holder.clientWidth) === width) return;
    width = Math.round(holder.clientWidth);
    holder.replaceChildren(draw(series, Math.max(width, 200)));
  });
  observer.observe(holder);
  return holder;
}

function draw({ name, before, after, low, high, times }, width) {
  const all = [...before, ...after, ...(low ?? []), ...(high ?? [])].filter(Number.isFinite);
  const [ticks, least, most] = scale(Math.min(...all), Math.max(...all));
  const last = before.length + after.length - 1;
  const x = (step) => LEFT + ((width - LEFT - RIGHT) * step) / Math.max(last, 1);
  const y = (value) => TOP + ((HIGH - TOP - BOTTOM) * (most - value)) / (most - least);
  const path = (values, start) => values.map((value, i) => `${i ? "L" : "M"}${x(start + i).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const title = newId("chart");
  const picture = svg("svg", { viewBox: `0 0 ${width} ${HIGH}`, role: "img", "aria-labelledby": title });
  const description = svg("title", { id: title });
  const shown = after.length ? after : before;
  description.textContent = translated(after.length ? "chart" : "chartPast", { name, n: shown.length, first: shown[0], last: shown.at(-1) });
  picture.append(description);
  for (const tick of ticks) {
    picture.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }));
    picture.append(text(number(tick), { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }));
  }
  const start = before.length;
  picture.append(svg("rect", { class: "ahead", x: x(Math.max(start - 1, 0)), y: TOP, width: x(last) - x(Math.max(start - 1, 0)), height: HIGH - TOP - BOTTOM }));
  if (low && high) {
    const back = [...low].reverse().map((value, i) => `L${x(last - i).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    picture.append(svg("path", { class: "band", d: `${path(high, start)}${back}Z` }));
  }
  picture.append(svg("path", { class: "before", d: path(before, 0) }));
  const joined = before.length ? [before.at(-1), ...after] : after;
  picture.append(svg("path", { class: "after", d: path(joined, before.length ? start - 1 : 0) }));
  const marked = [...new Set([0, Math.max(start - 1, 0), last])]; // first step, last step of the series, last step of the forecast
  const letters = marked.reduce((sum, step) => sum + String(times[step]).length, 0);
  for (const step of letters * LETTER < (width - LEFT) / 2 ? marked : [0, last]) {
    const anchor = step === 0 ? "start" : step === last ? "end" : "middle";
    picture.append(text(times[step] ?? "", { x: x(step), y: HIGH - 8, "text-anchor": anchor }));
  }
  return picture;
}

function text(content, attributes) {
  const element = svg("text", attributes);
  element.textContent = content;
  return element;
}

/** Return round tick values that enclose a range, and their lower and upper end. */
function scale(least, most) {
  if (!(most > least)) [least, most] = [least - Math.max(Math.abs(least), 1) / 2, most + Math.max(Math.abs(most), 1) / 2];
  const minStep = (most - least) / 4, power = 10 ** Math.floor(Math.log10(minStep));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= minStep);
  const from = Math.floor(least / step), to = Math.ceil(most / step);
  const ticks = Array.from({ length: to - from + 1 }, (_, i) => Number(((from + i) * step).toPrecision(12)));
  return [ticks, from * step, to * step];
}
