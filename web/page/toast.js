// @ts-check
// One message over the page: a problem, or something to do. A newer one takes the older one's place.
import { button, element, on, show, write } from './dom.js';
import { say, sayFirst } from './sentences.js';

/** @typedef {{ label: string, act: () => void }} Offer */

/** @type {(() => void) | null} */
let action = null;

on(button('toast-close'), 'click', () => toast.close());
on(button('toast-action'), 'click', () => {
  const wanted = action;
  toast.close();
  wanted?.();
});

export const toast = {
  /** Says what went wrong and what to do.
   * @param {string} code @param {{ detail?: string, offer?: Offer }} [more] */
  problem(code, { detail = '', offer } = {}) {
    this.open(sayFirst([`problem.${code}`, 'problem.other'], { detail }), offer);
  },

  /** Says what a promise was rejected with.
   * @param {unknown} error @param {string} otherwise the code of an error that has none */
  failure(error, otherwise) {
    console.warn(error);
    const { code, detail } = /** @type {{ code?: unknown, detail?: unknown }} */ (error ?? {});
    this.problem(typeof code === 'string' ? code : otherwise, { detail: typeof detail === 'string' ? detail : '' });
  },

  /** @param {string} sentence @param {Offer} [offer] */
  open(sentence, offer) {
    action = offer?.act ?? null;
    write(button('toast-action'), offer ? offer.label : '');
    show(button('toast-action'), offer !== undefined);
    write(element('toast-text'), sentence);
    show(element('toast'), true);
  },

  close() {
    action = null;
    show(element('toast'), false);
    write(element('toast-text'), '');
  },

  /** Offers the version of the page that has just been fetched.
   * @param {() => void} reload */
  update(reload) {
    this.open(say('update.ready'), { label: say('update.reload'), act: reload });
  },
};
