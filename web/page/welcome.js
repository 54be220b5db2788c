// @ts-check
// Signed out: the three ways in.
import { button, element, on, show, write } from './dom.js';
import { wantedTarget } from './link.js';
import { addressOf } from './names.js';
import { say } from './sentences.js';
import { toast } from './toast.js';

/** @param {import('./line.js').Line} line */
export function welcome(line) {
  const doors = [button('sign-in'), button('create-account'), button('guest')];
  let busy = false;

  /** @param {() => Promise<unknown>} enter */
  const through = (enter) => async () => {
    if (busy) return;
    busy = true;
    line.changed();
    try {
      await enter();
    } catch (error) {
      toast.failure(error, 'signing-in');
    } finally {
      busy = false;
      line.changed();
    }
  };
  on(button('sign-in'), 'click', through(() => line.phone.signIn()));
  on(button('create-account'), 'click', through(() => line.phone.createAccount()));
  on(button('guest'), 'click', through(() => line.phone.signInAsGuest()));
  // The browser may bring the page back from its memory after a visit at the login server.
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) {
      busy = false;
      line.changed();
    }
  });

  return () => {
    for (const door of doors) door.disabled = busy;
    const wanted = wantedTarget();
    show(element('welcome-link'), wanted !== null);
    write(element('welcome-link'), wanted ? say('welcome.link', { name: addressOf(wanted) }) : '');
  };
}
