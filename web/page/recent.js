// @ts-check
// Recent calls, kept in this browser alone and for each identity apart.
import { button, byId, element, icon, make, mark, on, show } from './dom.js';
import { addressOf, clock, nameOf, portray } from './names.js';
import { recall, remember } from './preferences.js';
import { language, say } from './sentences.js';
import { toast } from './toast.js';

/** @typedef {{ uri: string, name: string, incoming: boolean, missed: boolean, at: number, seconds: number }} Entry */

const KEPT = 50;
const SHOWN = 8;

/** @param {import('./line.js').Line} line */
export function recentCalls(line) {
  const list = byId('recent', HTMLUListElement);
  const key = () => `recent.${line.phone.identity?.uri ?? ''}`;
  let drawn = '';

  /** @param {Entry} entry */
  const add = (entry) => remember(key(), [entry, ...recall(key(), /** @type {Entry[]} */ ([]))].slice(0, KEPT));

  line.addEventListener('over', (event) => {
    const { call, seconds } = /** @type {CustomEvent<{ call: import('./line.js').Call, seconds: number }>} */ (event).detail;
    const incoming = call.direction === 'incoming';
    const missed = incoming && !seconds && !['declined', 'answered-elsewhere'].includes(call.end?.code ?? '');
    add({ uri: call.peer.uri, name: nameOf(call.peer), incoming, missed, at: Date.now() - seconds * 1000, seconds: Math.floor(seconds) });
  });
  line.phone.addEventListener('missed', ({ detail: { peer } }) => {
    const name = nameOf(peer);
    add({ uri: peer.uri, name, incoming: true, missed: true, at: Date.now(), seconds: 0 });
    toast.open(say('end.busy.incoming', { name }));
  });
  on(button('recent-clear'), 'click', () => {
    remember(key(), []);
    line.changed();
    byId('dial', HTMLInputElement).focus();
  });

  return () => {
    if (line.view !== 'home') return;
    const entries = recall(key(), /** @type {Entry[]} */ ([]));
    const now = `${language()} ${new Date().toDateString()} ${JSON.stringify(entries)}`;
    if (now === drawn) return;
    drawn = now;
    show(element('recent-empty'), entries.length === 0);
    show(button('recent-clear'), entries.length > 0);
    list.replaceChildren(...entries.slice(0, SHOWN).map((entry) => row(entry, line)));
  };
}

/** @param {Entry} entry @param {import('./line.js').Line} line */
function row(entry, line) {
  const item = make('li', entry.missed ? 'missed' : '');
  const call = make('button', 'person');
  call.type = 'button';
  const face = make('span', 'avatar small');
  portray(face, entry);
  mark(face, 'aria-hidden', 'true');
  const who = make('span', 'who');
  who.append(make('span', 'unseen', say('recent.call')), make('strong', '', entry.name), make('span', 'muted', addressOf(entry.uri)));
  call.append(face, who);
  on(call, 'click', () => line.dial(entry.uri, true));

  const kind = entry.missed ? 'missed' : entry.incoming ? 'in' : 'out';
  const facts = make('span', 'what');
  const word = !entry.missed && !entry.seconds && !entry.incoming ? 'unanswered' : kind;
  facts.append(icon(kind), make('span', '', entry.seconds ? `${say(`recent.${word}`)} · ${clock(entry.seconds)}` : say(`recent.${word}`)));
  const time = make('time', 'muted', when(entry.at));
  time.dateTime = new Date(entry.at).toISOString();

  const audio = make('button', 'icon');
  audio.type = 'button';
  mark(audio, 'aria-label', `${say('dial.audio')}: ${entry.name}`);
  audio.append(icon('phone'));
  on(audio, 'click', () => line.dial(entry.uri, false));
  item.append(call, facts, time, audio);
  return item;
}

/** Today as a time, else as a date.
 * @param {number} at */
function when(at) {
  const date = new Date(at);
  return date.toDateString() === new Date().toDateString()
    ? date.toLocaleTimeString(language(), { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleDateString(language(), { day: 'numeric', month: 'short' });
}
