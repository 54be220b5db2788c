// @ts-check
// The dial field: reads while one types, and gets everything ready that a call will need.
import { button, byId, element, mark, on, write } from './dom.js';
import { domainOf, readTarget } from './names.js';
import { constraints } from './preferences.js';
import { say } from './sentences.js';

const PAUSE_MS = 250;

/** @param {import('./line.js').Line} line */
export function dialField(line) {
  const form = byId('dial-form', HTMLFormElement);
  const field = byId('dial', HTMLInputElement);
  const hint = element('dial-hint');
  let timer = 0;

  /** @param {string} [address] */
  const warm = (address) => line.phone.warm(address, { audio: constraints('microphone') });
  const read = () => readTarget(field.value, domainOf(line.phone.identity?.uri ?? ''));

  /** @param {string} text @param {boolean} bad */
  const advise = (text, bad) => {
    write(hint, text);
    mark(hint, 'class', bad ? 'hint bad' : 'hint');
    mark(hint, 'role', bad ? 'alert' : null);
    mark(field, 'aria-invalid', bad ? 'true' : null);
  };

  const typed = () => {
    const target = read();
    const { address = '' } = target ?? {};
    advise(address === field.value.trim() ? '' : address && say('dial.calls', { address }), false);
    clearTimeout(timer);
    if (target) timer = setTimeout(() => warm(target.address), PAUSE_MS);
  };

  /** @param {boolean} video */
  const call = (video) => {
    const target = read();
    if (target && target.uri !== line.phone.identity?.uri) {
      clearTimeout(timer);
      line.dial(target.uri, video);
      field.value = '';
      advise('', false);
      return;
    }
    advise(say(target ? 'dial.self' : field.value.trim() ? 'dial.malformed' : 'dial.empty'), true);
    field.focus();
  };

  on(field, 'input', typed);
  // A click or a tap says that somebody is about to call. Focus alone doesn't: the page itself sets it.
  on(field, 'pointerdown', () => warm(read()?.address));
  on(form, 'submit', (event) => {
    event.preventDefault();
    call(true);
  });
  on(button('call-audio'), 'click', () => call(false));

  return () => {};
}
