// @ts-check
// What became of the call: one sentence, and what can be done.
import { button, element, mark, on, show, write } from './dom.js';
import { howToAllow } from './guide.js';
import { addressOf, clock, nameOf, portray } from './names.js';
import { say, sayFirst } from './sentences.js';

/** Ends after which calling the same person again makes no sense. */
const FINAL = ['not-found', 'answered-elsewhere', 'credential-expired'];

/** @param {import('./line.js').Line} line */
export function endedNotice(line) {
  const notice = element('ended');
  let seconds = 0;

  line.addEventListener('over', (event) => {
    ({ seconds } = /** @type {CustomEvent<{ seconds: number }>} */ (event).detail);
  });
  on(button('call-again'), 'click', () => {
    const uri = line.call?.peer.uri;
    if (uri) line.dial(uri, line.video);
  });
  on(button('ended-close'), 'click', () => {
    line.dismiss();
    element('dial').focus();
  });

  return () => {
    const call = line.state === 'ended' ? line.call : null;
    show(notice, call !== null);
    if (!call) return;
    const code = call.end?.code ?? 'failed';
    const incoming = call.direction === 'incoming';
    const values = { name: nameOf(call.peer), address: addressOf(call.peer.uri), time: clock(seconds) };
    portray(element('ended-avatar'), call.peer);
    mark(notice, 'data-end', code);
    write(element('ended-name'), values.name);
    write(element('ended-sentence'), sayFirst([
      ...(incoming ? [`end.${code}.incoming`] : []), ...(seconds ? [] : [`end.${code}.unanswered`]), `end.${code}`, 'end.failed',
    ], values));
    const help = code === 'permission-refused' ? howToAllow() : '';
    show(element('ended-help'), help !== '');
    write(element('ended-help'), help);
    const again = button('call-again');
    show(again, !FINAL.includes(code));
    const label = again.querySelector('span');
    if (label) write(label, say(incoming ? 'ended.back' : 'ended.again'));
  };
}
