// A line of a series and of its forecast.

import { newId, number, svg, words } from "./dom.js";

const HIGH = 260, LEFT = 52, RIGHT = 14, TOP = 14, BOTTOM = 30, LETTER = 7;

/**
 * Return a picture that is as wide as its place.
 *
 * `before` and `after` are numbers, `times` the words for all of them; `low` and `high` bound `after` where they are
 * known.
 */
export function chart(given) {
  const holder = document.createElement("div");
  holder.className = "chart";
  let width = 0;
  const observer = new ResizeObserver(() => {
    if (!holder.isConnected || Math.round(holder.clientWidth) === width) return;
    width = Math.round(holder.clientWidth);
    holder.replaceChildren(drawn(given, Math.max(width, 200)));
  });
  observer.observe(holder);
  return holder;
}

function drawn({ name, before, after, low, high, times }, width) {
  const all = [...before, ...after, ...(low ?? []), ...(high ?? [])].filter(Number.isFinite);
  const [ticks, least, most] = scale(Math.min(...all), Math.max(...all));
  const last = before.length + after.length - 1;
  const x = (place) => LEFT + ((width - LEFT - RIGHT) * place) / Math.max(last, 1);
  const y = (value) => TOP + ((HIGH - TOP - BOTTOM) * (most - value)) / (most - least);
  const path = (values, start) => values.map((value, i) => `${i ? "L" : "M"}${x(start + i).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const title = newId("chart");
  const picture = svg("svg", { viewBox: `0 0 ${width} ${HIGH}`, role: "img", "aria-labelledby": title });
  const said = svg("title", { id: title });
  said.textContent = words("chart", { name, n: after.length, first: after[0], last: after.at(-1) });
  picture.append(said);
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
  const marked = [...new Set([0, Math.max(start - 1, 0), last])]; // the first, the last that was seen, and the last
  const letters = marked.reduce((sum, place) => sum + String(times[place]).length, 0);
  for (const place of letters * LETTER < (width - LEFT) / 2 ? marked : [0, last]) {
    const anchor = place === 0 ? "start" : place === last ? "end" : "middle";
    picture.append(text(times[place] ?? "", { x: x(place), y: HIGH - 8, "text-anchor": anchor }));
  }
  return picture;
}

function text(words, attributes) {
  const element = svg("text", attributes);
  element.textContent = words;
  return element;
}

/** Return round numbers from below the least to above the most. */
function scale(least, most) {
  if (!(most > least)) [least, most] = [least - Math.max(Math.abs(least), 1) / 2, most + Math.max(Math.abs(most), 1) / 2];
  const rough = (most - least) / 4, ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * ten).find((one) => one >= rough);
  const from = Math.floor(least / step), to = Math.ceil(most / step);
  const ticks = Array.from({ length: to - from + 1 }, (_, i) => Number(((from + i) * step).toPrecision(12)));
  return [ticks, from * step, to * step];
}
