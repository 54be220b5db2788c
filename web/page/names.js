// @ts-check
// Addresses as people write, read and share them. Nothing here touches the document.

/** @typedef {{ uri: string, address: string, user: string }} Target */

const USER = /^[a-z0-9](?:[a-z0-9._+-]{0,62}[a-z0-9])?$/;
const HOST = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Reads what somebody typed or pasted: `bob`, `bob@example.org`, `sip:bob@example.org` or a call link.
 * @param {string} text
 * @param {string} domain of whoever dials, for a bare name
 * @returns {Target | null} null if it is none of these
 */
export function readTarget(text, domain) {
  let rest = text.trim();
  const link = rest.indexOf('#call=');
  if (link >= 0) rest = unescape(rest.slice(link + '#call='.length)) ?? '';
  // The scheme, and the parameters and headers behind the host, aren't part of an address of record.
  rest = rest.replace(/^sips?:(?:\/\/)?/i, '').replace(/[;?].*$/, '').toLowerCase();
  const at = rest.lastIndexOf('@');
  const user = at < 0 ? rest : rest.slice(0, at);
  const host = at < 0 ? domain : rest.slice(at + 1);
  if (!USER.test(user) || !HOST.test(host)) return null;
  const address = `${user}@${host}`;
  return { uri: `sip:${address}`, address, user };
}

/** @param {string} text */
function unescape(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** `sip:bob@example.org` as a person reads it: `bob@example.org`.
 * @param {string} uri */
export const addressOf = (uri) => uri.replace(/^sips?:/i, '').replace(/[;?].*$/, '');

/** @param {string} uri */
export const domainOf = (uri) => addressOf(uri).replace(/^.*@/, '');

/** What to call somebody: the certified display name, else the user part. A name that poses as an address isn't said.
 * @param {{ uri: string, name?: string | null }} person */
export function nameOf({ uri, name }) {
  const said = name?.trim() ?? '';
  return said && !/[@:]/.test(said) ? said : addressOf(uri).replace(/@.*$/, '');
}

/** The link that calls somebody. The address stands in the fragment, which no server sees.
 * @param {string} uri */
export const callLink = (uri) => `${location.origin}/#call=${addressOf(uri)}`;

/** One or two letters for an avatar.
 * @param {string} name */
export function initials(name) {
  const words = name.split(/[\s._+-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => Array.from(word ?? '')[0] ?? '').join('').toLocaleUpperCase();
}

/** One of six tints, always the same for the same address.
 * @param {string} uri */
export function tint(uri) {
  let sum = 0;
  for (const char of addressOf(uri)) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) >>> 0;
  return String(sum % 6);
}

/** Fills an avatar.
 * @param {HTMLElement} place @param {{ uri: string, name?: string | null }} person */
export function portray(place, person) {
  place.textContent = initials(nameOf(person));
  place.dataset.tint = tint(person.uri);
}

/** 65 seconds as 1:05, an hour more as 1:01:05.
 * @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ part) => String(part).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${two(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}
