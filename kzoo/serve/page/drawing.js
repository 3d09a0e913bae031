// A pad to draw a small grey image, and the conversion of the drawing to the pixels of a model.
//
// Lines are stored as points, and scaled, positioned and thickened like the digits in the data sets of such models, which
// are light on a dark background. Pixels are computed here instead of reading them from a canvas, since some browsers add
// noise to canvas data against fingerprinting.

import { make } from "./dom.js";

const PAD = 320; // points of the pad along its longer side
const STEP = 8; // points per arrow key
const FINE = 4; // subpixels per pixel and axis

/**
 * Return the layout of digits in images of a size, in pixels: bounding box, line width and, for small images, share of ink.
 *
 * 8x8 (UCI digits): a digit is as high as the image, up to six pixels wide, and covers 30 % of it, whatever its line width.
 * 28x28 (MNIST): a digit fits into 20 x 20 pixels, with its centre of mass in the middle.
 */
export function layout(height, width) {
  const side = Math.min(height, width);
  return side <= 12 ? { high: height, wide: 0.75 * width, line: side / 7, ink: 0.3 } : { high: (height * 20) / 28, wide: (width * 20) / 28, line: (side * 2.6) / 28 };
}

/**
 * Return the pixels (0..255) of a drawing as `height` rows of `width`, or null without lines.
 *
 * `lines` are lists of points [x, y] in any unit.
 */
export function pixelsOf(lines, height, width) {
  if (!lines.length) return null;
  const target = layout(height, width);
  if (!target.ink) return centred(lines, height, width, target.line);
  let [thin, thick] = [target.line / 2, target.line * 3], ink = null;
  for (let turn = 0; turn < 6; turn += 1) { // bisect the line width until the share of ink matches the data
    const line = (thin + thick) / 2;
    ink = placed(lines, height, width, line, [0, 0]);
    if (mean(ink) < 255 * target.ink) thin = line;
    else thick = line;
  }
  return ink;
}

function centred(lines, height, width, line) {
  const [x, y] = centre(placed(lines, height, width, line, [0, 0]));
  return placed(lines, height, width, line, [width / 2 - x, height / 2 - y]);
}

/** Return the pixels of lines, scaled to their bounding box and moved from the middle of the image by `move`. */
function placed(lines, height, width, line, move) {
  const { high, wide } = layout(height, width);
  const ends = [0, 1].map((axis) => lines.flat().map((point) => point[axis])).map((along) => [Math.min(...along), Math.max(...along)]);
  const fits = (room, [from, to]) => (to > from ? Math.max(room - line, 1) / (to - from) : Infinity);
  const scale = Math.min(fits(wide, ends[0]), fits(high, ends[1]));
  const at = ([from, to], value, room, by) => (Number.isFinite(scale) ? scale : 0) * (value - (from + to) / 2) + room / 2 + by;
  const moved = lines.map((points) => points.map(([x, y]) => [at(ends[0], x, width, move[0]), at(ends[1], y, height, move[1])]));
  return inked(moved, height, width, line);
}

/** Return the coverage of each pixel by lines of a width, 0..255. */
function inked(lines, height, width, line) {
  const reach = line / 2;
  const high = height * FINE, across = width * FINE;
  const covered = new Uint8Array(high * across);
  for (const points of lines) {
    for (let i = 0; i < points.length; i += 1) {
      const [x0, y0] = points[Math.max(i - 1, 0)], [x1, y1] = points[i];
      const [dx, dy] = [x1 - x0, y1 - y0], long = dx * dx + dy * dy;
      const from = (a, b, most) => Math.min(Math.max(Math.floor((Math.min(a, b) - reach) * FINE), 0), most);
      const to = (a, b, most) => Math.min(Math.max(Math.ceil((Math.max(a, b) + reach) * FINE), 0), most);
      for (let row = from(y0, y1, high); row < to(y0, y1, high); row += 1) {
        for (let column = from(x0, x1, across); column < to(x0, x1, across); column += 1) {
          const x = (column + 0.5) / FINE - x0, y = (row + 0.5) / FINE - y0;
          const along = long ? Math.min(Math.max((x * dx + y * dy) / long, 0), 1) : 0;
          if (Math.hypot(x - along * dx, y - along * dy) <= reach) covered[row * across + column] = 1;
        }
      }
    }
  }
  return Array.from({ length: height }, (_, row) =>
    Array.from({ length: width }, (_, column) => {
      let sum = 0;
      for (let y = row * FINE; y < (row + 1) * FINE; y += 1) {
        for (let x = column * FINE; x < (column + 1) * FINE; x += 1) sum += covered[y * across + x];
      }
      return Math.round((255 * sum) / (FINE * FINE));
    }),
  );
}

function mean(ink) {
  const all = ink.flat();
  return all.reduce((sum, value) => sum + value, 0) / all.length;
}

function centre(ink) {
  let all = 0, x = 0, y = 0;
  ink.forEach((row, i) => row.forEach((value, j) => {
    all += value;
    x += value * (j + 0.5);
    y += value * (i + 0.5);
  }));
  return all ? [x / all, y / all] : [ink[0].length / 2, ink.length / 2];
}

/** Return a canvas that shows the pixels of a model's input. */
export function picture(pixels) {
  const canvas = make("canvas", { width: pixels[0].length, height: pixels.length, class: "seen", role: "img", label: "seen" });
  const context = canvas.getContext("2d");
  pixels.forEach((row, y) => row.forEach((value, x) => {
    context.fillStyle = `rgb(${value} ${value} ${value})`;
    context.fillRect(x, y, 1, 1);
  }));
  return canvas;
}

/**
 * Return a pad: `element`, `pixels()`, `clear()`.
 *
 * `changed` is called when a line is finished and when the pad is cleared. Arrow keys move the pen, and the space bar lowers
 * or lifts it.
 */
export function pad(height, width, changed) {
  const scale = PAD / Math.max(height, width);
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  const canvas = make("canvas", { width: wide, height: high, class: "pad", tabindex: "0", role: "application", label: "pad" });
  const context = canvas.getContext("2d");
  let lines = [], line = null, pen = [wide / 2, high / 2], keys = false;

  function paint() {
    const style = getComputedStyle(canvas);
    context.clearRect(0, 0, wide, high);
    Object.assign(context, { lineWidth: (layout(height, width).line * scale), lineCap: "round", lineJoin: "round", strokeStyle: style.color, fillStyle: style.color });
    for (const points of lines) {
      context.beginPath();
      context.moveTo(...points[0]);
      for (const point of points.length > 1 ? points : [points[0], points[0]]) context.lineTo(...point);
      context.stroke();
    }
    if (keys && document.activeElement === canvas) {
      Object.assign(context, { lineWidth: 2, strokeStyle: style.outlineColor, fillStyle: style.outlineColor });
      context.beginPath();
      context.arc(...pen, 7, 0, 2 * Math.PI);
      if (line) context.fill();
      else context.stroke();
    }
  }

  function end() {
    if (!line) return;
    line = null;
    paint();
    changed();
  }

  function at(event) {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * wide) / box.width, ((event.clientY - box.top) * high) / box.height];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    keys = false;
    line = [at(event)];
    lines.push(line);
    paint();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!line || keys) return;
    const all = event.getCoalescedEvents?.() ?? [];
    line.push(...(all.length ? all : [event]).map(at));
    paint();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => !keys && end());
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (event.ctrlKey || event.altKey || event.metaKey || !(event.key in moves || event.key === " ")) return;
    event.preventDefault();
    keys = true;
    if (event.key === " ") {
      if (line) return end();
      line = [[...pen]];
      lines.push(line);
    } else {
      const [x, y] = moves[event.key];
      pen = [Math.min(Math.max(pen[0] + x, 0), wide), Math.min(Math.max(pen[1] + y, 0), high)];
      if (line) line.push([...pen]);
    }
    paint();
  });
  canvas.addEventListener("focus", paint);
  canvas.addEventListener("blur", () => (keys ? end() : null, paint()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  requestAnimationFrame(paint);

  return {
    element: canvas,
    pixels: () => pixelsOf(lines, height, width),
    clear() {
      [lines, line] = [[], null];
      paint();
      changed();
    },
  };
}
