// @ts-check
// Call links: `#call=alice@example.org`.
//
// A link alone must not start a call: any page could send its visitors here, and where the microphone was
// allowed once, it would open and send before they know. So the link asks "Call alice?" with the button
// in focus, and the press is the gesture that browsers want for sound, too. The wish outlives the visit
// at the login server, and is forgotten with the tab.
import { button, element, on, show, write } from './dom.js';
import { addressOf, domainOf, readTarget } from './names.js';
import { constraints } from './preferences.js';
import { say } from './sentences.js';
import { toast } from './toast.js';

const KEPT = 'partyline.wanted';

/** @returns {string | null} the SIP URI that a link asked for */
export function wantedTarget() {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

/** @param {string | null} uri */
function want(uri) {
  try {
    if (uri) sessionStorage.setItem(KEPT, uri);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // Without storage a link works for those who are signed in already.
  }
}

/** @param {import('./line.js').Line} line */
export function linkPrompt(line) {
  const prompt = element('link-prompt');

  const read = () => {
    if (!location.hash.startsWith('#call=')) return;
    const target = readTarget(location.hash, domainOf(line.phone.identity?.uri ?? location.hostname));
    // Taken out of the address, so that a reload or going back doesn't ask again.
    history.replaceState(null, '', location.pathname + location.search);
    if (target) want(target.uri);
    else toast.open(say('link.bad'));
  };

  /** @param {boolean} video */
  const call = (video) => {
    const uri = wantedTarget();
    want(null);
    if (uri) line.dial(uri, video);
  };
  on(button('link-call'), 'click', () => call(true));
  on(button('link-call-audio'), 'click', () => call(false));
  on(button('link-dismiss'), 'click', () => {
    want(null);
    line.changed();
  });
  window.addEventListener('hashchange', () => {
    read();
    line.changed();
  });
  read();

  return () => {
    const uri = line.view === 'home' && !line.live ? wantedTarget() : null;
    const appears = prompt.hidden && uri !== null;
    show(prompt, uri !== null);
    if (!uri) return;
    write(element('link-title'), say('link.title', { name: addressOf(uri) }));
    if (appears) {
      line.phone.warm(addressOf(uri), { audio: constraints('microphone') });
      requestAnimationFrame(() => button('link-call').focus());
    }
  };
}
