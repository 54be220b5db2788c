// @ts-check
// One's own call link, to copy or to show to a phone's camera.
import { qrCode } from './code.js';
import { announce, button, element, mark, on, show, write } from './dom.js';
import { callLink } from './names.js';
import { say } from './sentences.js';
import { toast } from './toast.js';

const SHOWN_MS = 2_500;
const SPACE = 'http://www.w3.org/2000/svg';

/** @param {import('./line.js').Line} line */
export function share(line) {
  const copy = button('copy-link');
  const opener = button('show-code');
  const place = element('own-code');
  const own = () => (line.phone.identity ? callLink(line.phone.identity.uri) : '');
  let drawn = '';

  on(copy, 'click', async () => {
    try {
      await navigator.clipboard.writeText(own());
    } catch {
      toast.open(say('share.cannot'));
      return;
    }
    announce(say('share.copied'));
    label(copy, 'share.copied');
    setTimeout(() => label(copy, 'share.copy'), SHOWN_MS);
  });
  on(opener, 'click', () => {
    const open = place.hidden !== false;
    show(place, open);
    mark(opener, 'aria-expanded', String(open));
    line.changed();
  });

  return () => {
    const link = own();
    const shown = link.replace(/^https?:\/\//, '');
    if (link !== drawn) {
      // It breaks before the address rather than within.
      const at = shown.indexOf('#');
      element('own-link').replaceChildren(shown.slice(0, at), document.createElement('wbr'), shown.slice(at));
      const modules = link ? qrCode(link) : null;
      show(opener, modules !== null);
      place.replaceChildren(...(modules ? [picture(modules)] : []));
      drawn = link;
    }
    label(opener, place.hidden ? 'share.code' : 'share.hide');
  };
}

/** @param {HTMLElement} place @param {string} key */
function label(place, key) {
  const words = place.querySelector('span');
  if (words) write(words, say(key));
}

/** @param {boolean[][]} modules */
function picture(modules) {
  const drawing = document.createElementNS(SPACE, 'svg');
  const path = document.createElementNS(SPACE, 'path');
  // A code needs a quiet border of four modules.
  drawing.setAttribute('viewBox', `-4 -4 ${modules.length + 8} ${modules.length + 8}`);
  drawing.setAttribute('role', 'img');
  drawing.setAttribute('aria-label', say('share.codeLabel'));
  drawing.setAttribute('shape-rendering', 'crispEdges');
  path.setAttribute('d', modules.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ''))).join(''));
  drawing.append(path);
  return drawing;
}
