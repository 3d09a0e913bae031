// What the interpreters share with Python: blanks, `repr`, formats of numbers, and errors with a line for people.

const BLANKS = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const LEADING = new RegExp(`^[${BLANKS}]+`), TRAILING = new RegExp(`[${BLANKS}]+$`), RUNS = new RegExp(`[${BLANKS}]+`, "g");
const PLURALS = { category: "categories", class: "classes", series: "series" };
const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** Blanks of Unicode, as a part of a character class. */
export const BLANK = BLANKS;

/** An error with one line for the user, the same as that of Python. */
export class ModelError extends Error {}

/** Refuse encoded inputs, one after another, of which one has NaN or infinity. */
export function checkFinite(x, width) {
  const infinite = x.findIndex((value) => !Number.isFinite(value));
  if (infinite >= 0) throw new ModelError(`Input ${Math.floor(infinite / width) + 1} contains NaN or infinity. Fill in these values, or leave the input out.`);
}

/** Return the bytes of a text in base64. */
export function bytesOf(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export function strip(text) {
  return text.replace(LEADING, "").replace(TRAILING, "");
}

export function isBlank(text) {
  return text !== "" && strip(text) === "";
}

export function plural(count, noun) {
  return `${GROUPED.format(count)} ${count === 1 ? noun : PLURALS[noun] ?? `${noun}s`}`;
}

/** Return the first few items joined, with the number of the others. */
export function listed(items, most = 3) {
  const names = items.map((item) => (/^[\p{L}\p{N}_]+=/u.test(String(item)) ? repr(String(item)) : String(item)));
  return names.slice(0, most).join(", ") + (names.length > most ? ` and ${names.length - most} more` : "");
}

export function repr(value) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "number") return Number.isInteger(value) && Math.abs(value) < 1e16 ? String(value) : floatText(value);
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  let text = "";
  for (const character of value) {
    const code = character.codePointAt(0);
    if (character === quote || character === "\\") text += `\\${character}`;
    else if (character === "\n") text += "\\n";
    else if (character === "\r") text += "\\r";
    else if (character === "\t") text += "\\t";
    else if (character !== " " && /[\p{C}\p{Z}]/u.test(character)) text += code < 256 ? `\\x${hex(code, 2)}` : code < 65536 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
    else text += character;
  }
  return quote + text + quote;
}

function hex(code, digits) {
  return code.toString(16).padStart(digits, "0");
}

/** Return the `repr` of a value on one line, truncated. */
export function shown(value, most = 40) {
  const characters = Array.from(strip(repr(value)).replace(RUNS, " "));
  return characters.length <= most ? characters.join("") : `${characters.slice(0, most - 1).join("")}…`;
}

/** Return a number as Python's `repr` of a float. */
export function floatText(value) {
  return written(value, value.toExponential());
}

/** Return a number of 32 bits as NumPy writes it: with the fewest digits that tell it from others. */
export function float32Text(value) {
  if (!Number.isFinite(value)) return floatText(value);
  for (let digits = 0; digits < 9; digits += 1) {
    const text = value.toExponential(digits);
    if (Math.fround(Number(text)) === Math.fround(value)) return written(value, text);
  }
  return written(value, value.toExponential(8));
}

function written(value, exponential) {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const [, sign, whole, decimals = "", power] = exponential.match(/^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/);
  const digits = (whole + decimals).replace(/0+$/, "") || "0", exponent = Number(power);
  const minus = sign || (Object.is(value, -0) ? "-" : "");
  if (exponent < -4 || exponent >= 16) {
    const mantissa = digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits;
    return `${minus}${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  if (exponent < 0) return `${minus}0.${"0".repeat(-exponent - 1)}${digits}`;
  const padded = digits.padEnd(exponent + 1, "0");
  return `${minus}${padded.slice(0, exponent + 1)}.${padded.slice(exponent + 1) || "0"}`;
}

/** Return a number with a number of significant digits, as Python's format `g`. */
export function general(value, digits) {
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [mantissa, power] = value.toExponential(digits - 1).split("e"), exponent = Number(power);
  const short = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (exponent < -4 || exponent >= digits) return `${short(mantissa)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  return short(value.toFixed(Math.max(digits - 1 - exponent, 0)));
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Return the nearest whole number, the even one of two, as Python and NumPy. */
export function rounded(value) {
  const nearest = Math.round(value);
  return Math.abs(value % 1) === 0.5 && nearest % 2 ? nearest - 1 : nearest;
}

/** Return the indices of numbers, smallest first; equal ones stay in their order. */
export function sortedIndices(values) {
  return Array.from(values, (_, index) => index).sort((a, b) => values[a] - values[b] || a - b);
}

/** Return a number on the line through points, as NumPy's `interp`. */
export function interpolated(value, at, heights) {
  const last = at.length - 1;
  if (Number.isNaN(value)) return NaN;
  if (value <= at[0]) return heights[0];
  if (value >= at[last]) return heights[last];
  let low = 0, high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (at[middle] <= value) low = middle;
    else high = middle;
  }
  return heights[low] + ((heights[high] - heights[low]) / (at[high] - at[low])) * (value - at[low]);
}
