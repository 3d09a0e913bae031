// SHA-256 of a text, for categories that are stored as hashes. `crypto.subtle` is missing where a page is no secure context.

const PRIMES = Array.from({ length: 312 }, (_, n) => n).filter((n) => n > 1 && ![2, 3, 5, 7, 11, 13, 17].some((p) => p < n && n % p === 0)).slice(0, 64);
const fraction = (value) => Math.floor((value - Math.floor(value)) * 2 ** 32) | 0;
const START = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
const KEYS = PRIMES.map((prime) => fraction(Math.cbrt(prime)));
const rotated = (word, count) => (word >>> count) | (word << (32 - count));

/** Return the hash as hexadecimal digits. */
export function sha256(text) {
  const content = new TextEncoder().encode(text), blocks = Math.ceil((content.length + 9) / 64);
  const bytes = new Uint8Array(blocks * 64), view = new DataView(bytes.buffer);
  bytes.set(content);
  bytes[content.length] = 0x80;
  view.setUint32(bytes.length - 8, Math.floor(content.length / 2 ** 29));
  view.setUint32(bytes.length - 4, content.length * 8);
  const state = Int32Array.from(START), words = new Int32Array(64);
  for (let block = 0; block < blocks; block += 1) {
    for (let i = 0; i < 16; i += 1) words[i] = view.getInt32(64 * block + 4 * i);
    for (let i = 16; i < 64; i += 1) {
      const early = words[i - 15], late = words[i - 2];
      words[i] = words[i - 16] + (rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3)) + words[i - 7] + (rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i += 1) {
      const first = (h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + ((e & f) ^ (~e & g)) + KEYS[i] + words[i]) | 0;
      const second = ((rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [a, b, c, d, e, f, g, h] = [(first + second) | 0, a, b, c, (d + first) | 0, e, f, g];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => { state[i] += word; });
  }
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}
