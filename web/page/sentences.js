// @ts-check
// Every sentence of the page comes through here. A language is one more module with the same keys;
// a key that it lacks is read from English. `{name}` is a place for a value, which is always set
// as text: a display name can't become markup.
import { english } from './sentences-en.js';
import { german } from './sentences-de.js';

/** @typedef {Partial<Record<string, string>>} Sentences */

/** @type {Record<string, { own: string, sentences: Sentences }>} */
export const languages = {
  en: { own: 'English', sentences: english },
  de: { own: 'Deutsch', sentences: german },
};

let chosen = 'en';

/** The language in use, as a BCP 47 tag. */
export const language = () => chosen;

/**
 * Chooses a language and puts its sentences into the page.
 * @param {string | null} wished a tag, or null for the browser's first one that the page speaks
 */
export function speak(wished) {
  const tags = wished ? [wished] : navigator.languages.map((tag) => tag.split('-')[0] ?? '');
  chosen = tags.find((tag) => tag in languages) ?? 'en';
  document.documentElement.lang = chosen;
  for (const place of document.querySelectorAll('[data-t]')) place.textContent = say(attribute(place, 'data-t'));
  for (const place of document.querySelectorAll('[data-t-label]')) place.setAttribute('aria-label', say(attribute(place, 'data-t-label')));
  for (const place of document.querySelectorAll('[data-t-placeholder]')) place.setAttribute('placeholder', say(attribute(place, 'data-t-placeholder')));
}

/**
 * The sentence of a key.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function say(key, values = {}) {
  const sentence = languages[chosen]?.sentences[key] ?? english[/** @type {keyof typeof english} */ (key)] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place));
}

/**
 * The first key that has a sentence, said: the particular before the general.
 * @param {string[]} keys
 * @param {Record<string, string | number>} [values]
 */
export function sayFirst(keys, values) {
  return say(keys.find((key) => key in english) ?? keys[keys.length - 1] ?? '', values);
}

/** @param {Element} place @param {string} name */
const attribute = (place, name) => place.getAttribute(name) ?? '';
