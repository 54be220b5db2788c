// @ts-check
// One's own call link, to copy or to show to a phone's camera.
import { announce, button, element, mark, on, show, write } from './dom.js';
import { callLink } from './names.js';
import { say } from './sentences.js';
import { toast } from './toast.js';

const SHOWN_MS = 2_500;

/** @param {import('./line.js').Line} line */
export function share(line) {
  const copy = button('copy-link');
  const label = copy.querySelector('span');
  const own = () => (line.phone.identity ? callLink(line.phone.identity.uri) : '');

  on(copy, 'click', async () => {
    try {
      await navigator.clipboard.writeText(own());
    } catch {
      toast.open(say('share.cannot'));
      return;
    }
    announce(say('share.copied'));
    if (label) write(label, say('share.copied'));
    setTimeout(() => label && write(label, say('share.copy')), SHOWN_MS);
  });

  return () => write(element('own-link'), own().replace(/^https?:\/\//, ''));
}
