// @ts-check
// QR codes (ISO/IEC 18004) of what a call link needs: bytes, error correction L, versions 1 to 5, which have one
// block each. Mask 0 always: readers take any, and the choice by penalties only helps damaged prints.

/** Data and error-correction codewords by version. */
const BLOCKS = [[19, 7], [34, 10], [55, 15], [80, 20], [108, 26]];
/** Format information of level L with mask 0, its own error correction included. */
const FORMAT = 0b111011111000100;

/**
 * The modules of a code, dark ones true.
 * @param {string} text
 * @returns {boolean[][] | null} null if it is too long
 */
export function qrCode(text) {
  const bytes = new TextEncoder().encode(text);
  const version = BLOCKS.findIndex(([data]) => bytes.length + 2 <= (data ?? 0)) + 1;
  if (!version) return null;
  const [data = 0, check = 0] = BLOCKS[version - 1] ?? [];
  const words = pack(bytes, data);
  return place(version, [...words, ...remainder(words, check)]);
}

/** Mode, length, bytes, end, padding. @param {Uint8Array} bytes @param {number} count */
function pack(bytes, count) {
  const nibbles = [4, bytes.length >> 4, bytes.length & 15, ...[...bytes].flatMap((byte) => [byte >> 4, byte & 15]), 0];
  const words = [];
  for (let at = 0; at < nibbles.length; at += 2) words.push(((nibbles[at] ?? 0) << 4) | (nibbles[at + 1] ?? 0));
  for (let pad = 0xec; words.length < count; pad ^= 0xec ^ 0x11) words.push(pad);
  return words;
}

/** Multiplies in GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1. @param {number} a @param {number} b */
function times(a, b) {
  let product = 0;
  for (; b; b >>= 1, a = (a << 1) ^ (a & 0x80 ? 0x11d : 0)) if (b & 1) product ^= a;
  return product;
}

/** The Reed-Solomon codewords of a block. @param {number[]} words @param {number} count */
function remainder(words, count) {
  let generator = [1];
  for (let power = 1, step = 0; step < count; step += 1, power = times(power, 2)) {
    const next = [...generator, 0];
    generator.forEach((factor, at) => { next[at + 1] = (next[at + 1] ?? 0) ^ times(factor, power); });
    generator = next;
  }
  const rest = [...words, ...Array(count).fill(0)];
  for (let at = 0; at < words.length; at += 1) {
    const lead = rest[at];
    generator.forEach((factor, step) => { rest[at + step] ^= times(factor, lead); });
  }
  return rest.slice(words.length);
}

/** @param {number} version @param {number[]} words */
function place(version, words) {
  const size = 17 + 4 * version;
  /** @type {(boolean | null)[][]} */
  const grid = Array.from({ length: size }, () => Array(size).fill(null));
  /** @param {number} x @param {number} y @param {boolean} dark */
  const set = (x, y, dark) => { const row = grid[y]; if (row && x >= 0 && x < size) row[x] = dark; };

  for (let at = 0; at < size; at += 1) {
    set(at, 6, at % 2 === 0);
    set(6, at, at % 2 === 0);
  }
  for (const [left, top] of /** @type {const} */ ([[0, 0], [size - 7, 0], [0, size - 7]])) {
    for (let y = -1; y < 8; y += 1) {
      for (let x = -1; x < 8; x += 1) {
        const ring = Math.max(Math.abs(x - 3), Math.abs(y - 3));
        set(left + x, top + y, ring !== 2 && ring !== 4);
      }
    }
  }
  for (let y = -2; version > 1 && y < 3; y += 1) {
    for (let x = -2; x < 3; x += 1) set(size - 7 + x, size - 7 + y, Math.max(Math.abs(x), Math.abs(y)) !== 1);
  }
  for (let bit = 0; bit < 15; bit += 1) {
    const dark = Boolean((FORMAT >> bit) & 1);
    const near = bit < 6 ? bit : bit < 8 ? bit + 1 : size - 15 + bit;
    set(8, near, dark);
    const across = bit < 8 ? size - 1 - bit : bit === 8 ? 7 : 14 - bit;
    set(across, 8, dark);
  }
  set(8, size - 8, true);

  let bit = 0;
  for (let right = size - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step += 1) {
      const y = up ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (grid[y]?.[x] !== null) continue;
        const one = Boolean(((words[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1);
        set(x, y, one !== ((x + y) % 2 === 0));
        bit += 1;
      }
    }
  }
  return grid.map((row) => row.map(Boolean));
}
