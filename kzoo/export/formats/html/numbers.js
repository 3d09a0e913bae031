// Numbers in texts, by the stored format of a column: see `kzoo/inference/tables/numbers.py` and `values.py`.

import { strip } from "./python.js";

export const MISSING = new Set(["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]);
const DECIMALS = [".", ","], THOUSANDS = [",", ".", " ", "'"];
const SPOKEN = { true: "1", false: "0" };
const MULTIPLIERS = { 千: 1e3, 万: 1e4, 萬: 1e4, 亿: 1e8, 億: 1e8 };
const LETTERS = { k: 1e3, K: 1e3, T: 1e3, M: 1e6 };
const WORDS = { tsd: 1e3, thousand: 1e3, lakh: 1e5, lakhs: 1e5, mio: 1e6, mln: 1e6, mn: 1e6, million: 1e6, millions: 1e6, crore: 1e7, crores: 1e7, mrd: 1e9, bn: 1e9, billion: 1e9, billions: 1e9 };
const LETTER = "k", WORD = "million", CLOCK = ":", LONGEST = 500;
const CURRENCIES = String.raw`(?:US|A|C|NZ|HK|S|NT|R)?\$|[€£¥₹₩₽₺₫฿₪₦₱₴元圆圓円]|(?:USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|HKD|SGD|TWD|KRW|SEK|NOK|DKK|PLN|CZK|HUF|RON|TRY|BRL|MXN|ZAR|RUB|UAH|ILS|THB|IDR|MYR|PHP|VND|SFr|Fr|Rs|kr|zł|Kč|Ft)\.?`;
let blanks = 0;

/** Return a pattern of blanks that gives none back: a cell is parsed in linear time. */
function possessive(pattern = "[ \\t-\\r]*") {
  blanks += 1;
  return `(?=(?<blank${blanks}>${pattern}))\\k<blank${blanks}>`;
}

const CELL = new RegExp(
  `^(?<sign>[+-]?)${possessive()}(?<before>${CURRENCIES})?${possessive()}(?<inner>[+-]?)${possessive()}`
  + String.raw`(?<digits>[\d.](?:[\d.,'e]|e[+-]| +(?=[\d.,'e]))*?)(?<cents>[.,][-–—]{1,2})?`
  + `${possessive()}(?<times>[${Object.keys(MULTIPLIERS).join("")}]|(?:${Object.keys(WORDS).join("|")})\\.?|[KM]|T(?=${CURRENCIES}))?`
  + `${possessive()}(?<percent>%)?${possessive()}(?<after>${CURRENCIES})?(?<rupees>/-)?(?<behind>-)?$`, "i");
const CLOCK_TIME = new RegExp(String.raw`^(\d{1,3}):([0-5]\d)(?::([0-5]\d)(?:[.,](\d{1,9}))?)?[ \t-\r]*(?:([AP])\.?M\.?)?$`, "i");
const BARE = /^[+-]?\d[\d.,']*$/;
const SIMPLE = { "": /^[+-]?\d+$/, ".": /^[+-]?\d+(?:\.\d*)?$/, ",": /^[+-]?\d+(?:,\d*)?$/ };
const MINUS = { "−": "-", "‒": "-", "﹣": "-", "’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'" };

/** Return the digits of a text that may be a number, and the marks around them; null if it is none. */
function cellOf(value) {
  let text = strip(String(value));
  if (BARE.test(text)) return { digits: text.replace(/^[+-]+/, ""), factor: text[0] === "-" ? -1 : 1, marks: [] };
  if (Array.from(text).length > LONGEST) return null;
  text = strip(text.normalize("NFKC").replace(/[−‒﹣’‘ʼ´`]/g, (sign) => MINUS[sign]));
  const spoken = text.toLowerCase();
  if (Object.hasOwn(SPOKEN, spoken)) return { digits: SPOKEN[spoken], factor: 1, marks: [] };
  const time = CLOCK_TIME.exec(text);
  if (time) return clockCell(time);
  const marks = [];
  let factor = 1;
  if (text.startsWith("(") && text.endsWith(")")) {
    text = strip(text.slice(1, -1));
    factor = -1;
    marks.push("()");
  }
  const match = CELL.exec(text)?.groups;
  if (!match) return null;
  const signs = [match.sign, match.inner, match.behind].filter(Boolean), currencies = [match.before, match.after].filter(Boolean);
  if (signs.length > 1 || currencies.length > 1 || (signs.length && factor < 0)) return null;
  if (signs[0] === "-") factor *= -1;
  if (match.behind) marks.push("5-");
  marks.push(...currencies.map((word) => word.replace(/\.+$/, "")));
  if (match.percent) marks.push("%");
  if (match.times) {
    const single = match.times.length === 1;
    const [mark, multipliers] = single && /^[\x00-\x7f]$/.test(match.times) ? [LETTER, LETTERS] : single ? [match.times, MULTIPLIERS] : [WORD, WORDS];
    const times = mark === WORD ? match.times.toLowerCase().replace(/\.+$/, "") : match.times;
    if (!Object.hasOwn(multipliers, times)) return null;
    marks.push(mark);
    factor *= multipliers[times];
  }
  return { digits: strip(match.digits), factor, marks };
}

function clockCell([, hour, minute, second, fraction, half]) {
  let hours = Number(hour);
  if (half) {
    if (hours < 1 || hours > 12) return null;
    hours = (hours % 12) + (/p/i.test(half) ? 12 : 0);
  }
  const seconds = Number(`${second ?? 0}.${fraction ?? 0}`);
  return { digits: "", factor: 1, marks: [CLOCK], hours: hours + Number(minute) / 60 + seconds / 3600 };
}

const patterns = new Map();

/** Return the pattern of (whole part, decimals, exponent); groups of three digits, or of two as in India. */
function patternOf(decimal, thousands) {
  const key = `${decimal}|${thousands}`;
  if (!patterns.has(key)) {
    const escaped = (sign) => (sign === "." ? "\\." : sign), point = escaped(decimal);
    const groups = ["\\d+", ...[...thousands].map((sign) => `[1-9]\\d{0,2}(?:${escaped(sign)}\\d{3})+`), ...(thousands.includes(",") ? ["[1-9]\\d?(?:,\\d{2})+,\\d{3}"] : [])];
    patterns.set(key, new RegExp(`^(?:(?=[^e])(${groups.join("|")})?(?:${point}(\\d*))?(?<=[\\d${point}])(?<!^${point})(e[+-]?\\d+)?)$`, "i"));
  }
  return patterns.get(key);
}

function numberOf(cell, decimal, thousands) {
  if (cell.hours !== undefined) return cell.hours;
  const match = patternOf(decimal, thousands).exec(cell.digits);
  if (!match) return NaN;
  const whole = (match[1] ?? "0").replace(/\D/g, "");
  return finite(Number(`${whole}.${match[2] || 0}${match[3] ?? ""}`) * cell.factor);
}

function finite(number) {
  return Number.isFinite(number) ? number : NaN;
}

/** Return a number format: `decimal` sign ("" if it is not known), `thousands` separators, and `marks`. */
function formatOf(decimal = ".", thousands = "", marks = []) {
  return { decimal, thousands, marks, unambiguous: false };
}

/** Return a format with a decimal sign, in which any other sign may separate groups of digits. */
function grouped(format, decimal) {
  return { ...format, decimal, thousands: THOUSANDS.filter((sign) => sign !== decimal).join("") };
}

function readBy(format, value) {
  const cell = cellOf(value);
  if (!cell || !cell.marks.every((mark) => format.marks.includes(mark))) return NaN;
  if (format.decimal) {
    const number = numberOf(cell, format.decimal, format.thousands);
    return format.unambiguous && !Number.isNaN(number) && readings(value, format.marks).length > 1 ? NaN : number;
  }
  const numbers = different(DECIMALS.map((sign) => numberOf(cell, sign, grouped(format, sign).thousands)));
  return numbers.length === 1 ? numbers[0] : NaN;
}

function different(numbers) {
  return [...new Set(numbers.filter((number) => !Number.isNaN(number)))];
}

/** Return the numbers that the two decimal signs give for a cell. */
function readings(value, marks) {
  return different(DECIMALS.map((sign) => readBy(grouped(formatOf(".", "", marks), sign), value)));
}

/** Return the two possible numbers of an ambiguous cell, sorted; [] if there is one, or none. */
export function possibleNumbers(value, stored) {
  const numbers = typeof value === "string" ? readings(value, stored?.marks ?? []) : [];
  return numbers.length > 1 ? numbers.sort((a, b) => a - b) : [];
}

function contradicts(text, stored, decimal) {
  const other = otherSign(decimal);
  if (!text.includes(other) && text.split(decimal).length < 3) return false;
  const format = formatOf(".", "", stored?.marks ?? []);
  return Number.isNaN(readBy(grouped(format, decimal), text)) && !Number.isNaN(readBy(grouped(format, other), text));
}

/** Return the decimal sign that the cells of a column show; null if they show none, or both. */
function shownSign(texts, stored) {
  const signs = DECIMALS.filter((sign) => texts.some((text) => contradicts(text, stored, otherSign(sign))));
  return signs.length === 1 ? signs[0] : null;
}

function otherSign(sign) {
  return sign === "." ? "," : ".";
}

/** Return [text, its number, the other number] of a cell with a thousands separator that training had not; null without. */
export function unseenThousands(texts, stored, decimal) {
  const learned = stored?.decimal;
  if (!learned || formatsOf(stored).length < 2 || decimal === null) return null;
  const doubtful = texts.filter((text) => text.includes(otherSign(learned)) && possibleNumbers(text, stored).length > 1);
  if (!doubtful.length || (decimal || shownSign(texts, stored)) !== learned) return null;
  if (texts.some((text) => contradicts(text, stored, learned))) return null;
  const [low, high] = possibleNumbers(doubtful[0], stored);
  return [doubtful[0], high, low];
}

/** Return the number formats to try on the cells of a column, in order; see `number_formats` in Python. */
function formatsOf(stored, decimal = null) {
  const unambiguous = (format) => ({ ...format, unambiguous: true });
  if (stored && "thousands" in stored) {
    const learned = formatOf(stored.decimal ?? "", stored.thousands ?? "", stored.marks ?? []);
    if (learned.decimal === "" || learned.thousands.length < 2 || learned.decimal === decimal) return [learned];
    return [{ ...learned, thousands: "" }, unambiguous(learned)];
  }
  const plain = formatOf();
  if (decimal === ",") return [grouped(plain, ","), plain];
  if (stored?.decimal !== ",") return [plain];
  if (decimal === ".") return [plain, unambiguous(formatOf(","))];
  return [formatOf(","), unambiguous(grouped(plain, ",")), unambiguous(plain)];
}

/** Return the different texts among cells. */
export function textsOf(cells) {
  return [...new Set(cells.filter((cell) => typeof cell === "string"))];
}

/** Return cells as numbers, NaN where there is none; `decimal` is the sign of their file, null without one. */
export function readNumbers(cells, stored, decimal) {
  const byFile = formatsOf(stored, decimal), doubting = formatsOf(stored ?? (decimal ? { decimal } : null));
  const same = JSON.stringify(byFile) === JSON.stringify(doubting);
  if (decimal === null || doubting.length < 2 || (same && decimal)) return toNumbers(cells, byFile);
  const texts = textsOf(cells);
  if (!decimal) return toNumbers(cells, formatsOf(stored, shownSign(texts, stored)));
  return toNumbers(cells, texts.some((text) => contradicts(text, stored, decimal)) ? doubting : byFile);
}

function toNumbers(cells, formats) {
  const read = new Map(), { decimal } = formats[0];
  return Float64Array.from(cells, (cell) => {
    if (cell === null) return NaN;
    if (typeof cell === "number") return finite(cell);
    if (!read.has(cell)) read.set(cell, SIMPLE[decimal].test(cell) ? finite(Number(decimal ? cell.replace(decimal, ".") : cell)) : firstNumber(cell, formats));
    return read.get(cell);
  });
}

function firstNumber(cell, formats) {
  for (const format of formats) {
    const number = readBy(format, cell);
    if (!Number.isNaN(number)) return number;
  }
  return NaN;
}
