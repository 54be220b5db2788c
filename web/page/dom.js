// @ts-check
// The few ways in which the page touches its document. Text goes in by textContent only.

/**
 * The element of an id, of the class that the caller counts on.
 * @template {Element} T
 * @param {string} id
 * @param {{ new (): T }} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

/** @param {string} id */
export const element = (id) => byId(id, HTMLElement);
/** @param {string} id */
export const button = (id) => byId(id, HTMLButtonElement);
/** @param {string} id */
export const video = (id) => byId(id, HTMLVideoElement);

/** @param {HTMLElement} place @param {boolean} visible */
export function show(place, visible) {
  if (place.hidden === visible) place.hidden = !visible;
}

/** Sets a text only when it changes, so that a live region doesn't say it twice.
 * @param {Element} place @param {string} text */
export function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** Sets an attribute, or takes it away for null.
 * @param {Element} place @param {string} name @param {string | null} value */
export function mark(place, name, value) {
  if (value === null) place.removeAttribute(name);
  else if (place.getAttribute(name) !== value) place.setAttribute(name, value);
}

/** Points an element's icon at another symbol of the page.
 * @param {Element} place @param {string} name */
export function setIcon(place, name) {
  const use = place.querySelector('use');
  if (use) mark(use, 'href', `#icon-${name}`);
}

/** A new icon.
 * @param {string} name */
export function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const picture = document.createElementNS(space, 'svg');
  picture.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(space, 'use');
  use.setAttribute('href', `#icon-${name}`);
  picture.append(use);
  return picture;
}

/** A new element with a class and a text.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {string} kind @param {string} [text] */
export function make(tag, kind, text = '') {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

/** @param {Element} place @param {string} type @param {(event: Event) => void} listener */
export const on = (place, type, listener) => place.addEventListener(type, listener);

/** Afterwards nobody should come upon it by reading on. */
const HEARD_MS = 6_000;
let forgetting = 0;

/** Says a sentence to those who listen to the page instead of looking at it.
 * @param {string} sentence */
export function announce(sentence) {
  const place = element('announcer');
  // The same sentence twice is only heard twice if the region was empty in between.
  place.textContent = '';
  requestAnimationFrame(() => { place.textContent = sentence; });
  clearTimeout(forgetting);
  forgetting = setTimeout(() => { place.textContent = ''; }, HEARD_MS);
}
