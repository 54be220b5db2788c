// @ts-check
// Who is signed in, and the menu behind the name.
import { button, byId, element, mark, on, show, write } from './dom.js';
import { addressOf, nameOf, portray } from './names.js';
import { language, say } from './sentences.js';

/** @param {import('./line.js').Line} line */
export function accountMenu(line) {
  const opener = button('account-button');
  const menu = element('account-menu');

  /** @param {boolean} open */
  const toggle = (open) => {
    show(menu, open);
    mark(opener, 'aria-expanded', String(open));
  };
  on(opener, 'click', () => toggle(menu.hidden !== false));
  on(menu, 'click', () => toggle(false));
  document.addEventListener('pointerdown', (event) => {
    if (event.target instanceof Node && !menu.contains(event.target) && !opener.contains(event.target)) toggle(false);
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || menu.hidden) return;
    toggle(false);
    opener.focus();
  });
  menu.addEventListener('focusout', (event) => {
    if (event.relatedTarget instanceof Node && !menu.contains(event.relatedTarget) && event.relatedTarget !== opener) toggle(false);
  });
  on(button('sign-out'), 'click', () => void line.phone.signOut());

  return () => {
    const { identity, accountUrl } = line.phone;
    if (!identity) return;
    const name = nameOf(identity);
    write(element('own-name'), name);
    write(element('menu-name'), name);
    write(element('own-uri'), addressOf(identity.uri));
    const face = opener.querySelector('.avatar');
    if (face instanceof HTMLElement) portray(face, identity);
    const until = new Date(identity.expires).toLocaleString(language(), { dateStyle: 'short', timeStyle: 'short' });
    write(element('own-expiry'), identity.guest ? say('menu.guest', { time: until }) : '');
    const link = byId('devices-link', HTMLAnchorElement);
    show(link, Boolean(accountUrl) && !identity.guest);
    mark(link, 'href', accountUrl || null);
  };
}
