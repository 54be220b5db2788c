// @ts-check
// Starts the page: one phone, one line, and each view drawing its own part of it.
import { accountMenu } from './account.js';
import { attention } from './attention.js';
import { callView } from './call-view.js';
import { controls } from './controls.js';
import { dialField } from './dial.js';
import { announce, button, byId, element, mark, on, show, write } from './dom.js';
import { endedNotice } from './ended.js';
import { incomingCard } from './incoming.js';
import { Line } from './line.js';
import { linkPrompt } from './link.js';
import { speakingMuted } from './muted.js';
import { nameOf } from './names.js';
import { keepForOffline } from './offline.js';
import { recall } from './preferences.js';
import { quality } from './quality.js';
import { recentCalls } from './recent.js';
import { say, speak } from './sentences.js';
import { settings } from './settings.js';
import { share } from './share.js';
import { phone } from './start.js';
import { toast } from './toast.js';
import { tones } from './tones.js';
import { wakeful } from './wake.js';
import { welcome } from './welcome.js';

speak(recall('language', '') || null);
const line = new Line(phone);
const views = [
  welcome, accountMenu, dialField, linkPrompt, share, recentCalls, endedNotice, callView, controls, speakingMuted,
  quality, incomingCard, tones, attention, wakeful, settings, keepForOffline,
].map((view) => view(line));

/** What a stranger did to the network, and the network coped with: nothing for its user to do. @type {Set<string>} */
const UNSEEN = new Set(['bad-frame', 'bad-sip', 'record-refused']);
/** What the banner says already. @type {Set<string>} */
const UNREACHABLE = new Set(['network', 'no-super-node']);

/** @type {string} */
let seen = '';

/** The body says in attributes what the page is doing: for styles, for tests, for whoever embeds it. */
function draw() {
  const { call, state, view } = line;
  const { body } = document;
  mark(body, 'data-state', state);
  mark(body, 'data-view', view);
  mark(body, 'data-phone', phone.state);
  mark(body, 'data-identity', (state !== 'signed-out' && phone.identity?.uri) || null);
  mark(body, 'data-call', call?.state ?? null);
  mark(body, 'data-direction', call?.direction ?? null);
  mark(body, 'data-end', call?.end?.code ?? null);
  if (line.tabbed) mark(body, 'data-associations', '0');
  for (const part of document.querySelectorAll('[data-in]')) {
    if (part instanceof HTMLElement) show(part, (part.dataset.in ?? '').split(' ').includes(view));
  }
  if (phone.identity) write(element('waiting-text'), say('waiting.signingIn'));
  drawBanner();
  if (state !== 'ringing') document.title = line.live && call ? say('call.with', { name: nameOf(call.peer) }) + ' · Partyline' : 'Partyline';
  for (const view of views) view();
  const place = state === 'ended' ? 'ended' : view;
  if (place !== seen) moveFocus(place, seen);
  seen = place;
}

/** What is wrong with the line, above controls that go on working. */
function drawBanner() {
  const { state, tabbed } = line;
  const lost = tabbed ? 'problem.other-tab' : line.live && state === 'reconnecting' ? 'call.reconnecting' : phoneIsLost() ? 'reconnecting' : '';
  show(element('banner'), lost !== '');
  show(button('use-here'), tabbed);
  mark(element('banner'), 'data-still', tabbed ? '' : null);
  write(element('banner-text'), lost && say(lost));
}

const phoneIsLost = () => phone.state === 'reconnecting';

/** Whoever uses keys or a screen reader lands in the part that has just appeared.
 * @param {string} to @param {string} from */
function moveFocus(to, from) {
  if (to === 'call') element('call').focus();
  else if (to === 'ended') element('ended').focus();
  // On a touch screen the focus would open the keyboard over half of the page.
  else if (to === 'home' && from !== '' && !matchMedia('(pointer: coarse)').matches && !line.live) byId('dial', HTMLInputElement).focus({ preventScroll: true });
  else if (to === 'welcome' && from !== '') button('sign-in').focus();
  else if (to === 'waiting' && from !== '') announce(say('waiting.signingIn'));
}

line.addEventListener('change', draw);
on(button('use-here'), 'click', () => void phone.takeOver());
phone.addEventListener('associations', (event) => {
  mark(document.body, 'data-associations', String(event.detail.up));
});
phone.addEventListener('problem', ({ detail: { code, detail } }) => {
  mark(document.body, 'data-problem', code);
  console.info('problem:', code, detail);
  const told = line.tabbed || phoneIsLost() && UNREACHABLE.has(code);
  if (!told && !UNSEEN.has(code)) toast.problem(code, { detail });
});
setTimeout(() => show(element('waiting-slow'), true), 8_000);
try {
  await phone.start();
} catch (error) {
  toast.failure(error, 'other');
}
draw();
