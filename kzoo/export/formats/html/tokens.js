// Words of texts, and their hashes as ids: see `kzoo/inference/kinds/text/tokenizer.py` and `kzoo/inference/kinds/rows/texts.py`.

import { BLANK } from "./python.js";

const IDEOGRAPHS = "\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
const MARKS = "\\u0300-\\u036f\\u0591-\\u05c7\\u064b-\\u065f\\u0900-\\u0963\\u0966-\\u0eff\\u1000-\\u109f";
const LETTER = `(?:(?![${IDEOGRAPHS}])[\\p{L}\\p{N}_]|[${MARKS}])`;
const WORDS = new RegExp(`${LETTER}+(?:['’]${LETTER}+)*|[^${BLANK}]`, "gu");
const PLAIN_WORDS = /\w+(?:'\w+)*|[^ \t-\r]/g;
const ASCII = /^[\x00-\x7f]*$/;
const NO_BLANKS = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]/, RUN = 3;
const CHARACTERS_PER_ID = 32;
const [MULTIPLIER, FIRST, SECOND] = [0x9e3779b97f4a7c15n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n];

/** Return the words and punctuation marks of a text; ideographs are words. */
export function wordsOf(text) {
  return (ASCII.test(text) ? text.match(PLAIN_WORDS) : text.normalize("NFC").match(WORDS)) ?? [];
}

/** Return the characters of a text, letters with their accents. */
export function charactersOf(text) {
  return Array.from(ASCII.test(text) ? text : text.normalize("NFC"));
}

/** Return the ids of a text: hashes of its words and of pairs of neighbouring words, each once, at most `length`. */
export function hashedIds(text, buckets, length) {
  const beginning = Array.from(text.slice(0, 2 * CHARACTERS_PER_ID * length)).slice(0, CHARACTERS_PER_ID * length).join("");
  const hashes = wordsOf(beginning.toLowerCase()).slice(0, length + 1).flatMap(runsOf).map(hashOf), ids = new Set();
  hashes.forEach((hash, i) => {
    ids.add(idOf(hash, buckets));
    if (i + 1 < hashes.length) ids.add(idOf(mixed(hash * FIRST + hashes[i + 1] * SECOND), buckets));
  });
  return [...ids].slice(0, length);
}

/** Return a token of a script without blanks as overlapping runs of characters. */
function runsOf(token) {
  const characters = Array.from(token);
  if (characters.length <= RUN || !NO_BLANKS.test(token)) return [token];
  return Array.from({ length: characters.length - RUN + 1 }, (_, i) => characters.slice(i, i + RUN).join(""));
}

const known = new Map();

/** Return a 64-bit hash of a token: a polynomial of its code points, mixed. */
function hashOf(token) {
  if (!known.has(token)) {
    let sum = 0n, power = 1n;
    for (const character of token) {
      power = BigInt.asUintN(64, power * MULTIPLIER);
      sum += BigInt(character.codePointAt(0)) * power;
    }
    known.set(token, mixed(sum));
  }
  return known.get(token);
}

function mixed(number) {
  let value = BigInt.asUintN(64, number);
  value = BigInt.asUintN(64, (value ^ (value >> 30n)) * 0xbf58476d1ce4e5b9n);
  value = BigInt.asUintN(64, (value ^ (value >> 27n)) * 0x94d049bb133111ebn);
  return value ^ (value >> 31n);
}

function idOf(hash, buckets) {
  return 1 + Number((hash >> 32n) % BigInt(buckets - 1));
}
