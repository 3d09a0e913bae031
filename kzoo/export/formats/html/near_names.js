// The nearest of some names, as `difflib` of Python finds it.

import { repr } from "./python.js";

const CUTOFF = 0.6;

/** Return "Did you mean 'x'?", or "" if no name is near. */
export function hint(word, names) {
  const lower = new Map(names.map((name) => [name.toLowerCase(), name]));
  let best = null, largest = 0;
  for (const name of lower.keys()) {
    const likeness = ratio(Array.from(name), Array.from(word.toLowerCase()));
    if (likeness >= CUTOFF && (likeness > largest || (likeness === largest && name > best))) [best, largest] = [name, likeness];
  }
  return best === null ? "" : `Did you mean ${repr(lower.get(best))}?`;
}

function ratio(a, b) {
  return a.length + b.length ? (2 * matches(a, 0, a.length, b, 0, b.length)) / (a.length + b.length) : 1;
}

/** Return how many characters of two parts are in their longest common part, and in those before and after it. */
function matches(a, aLow, aHigh, b, bLow, bHigh) {
  let [aStart, bStart, size] = [aLow, bLow, 0], lengths = new Map();
  for (let i = aLow; i < aHigh; i += 1) {
    const next = new Map();
    for (let j = bLow; j < bHigh; j += 1) {
      if (a[i] !== b[j]) continue;
      const length = (lengths.get(j - 1) ?? 0) + 1;
      next.set(j, length);
      if (length > size) [aStart, bStart, size] = [i - length + 1, j - length + 1, length];
    }
    lengths = next;
  }
  if (!size) return 0;
  return size + matches(a, aLow, aStart, b, bLow, bStart) + matches(a, aStart + size, aHigh, b, bStart + size, bHigh);
}
