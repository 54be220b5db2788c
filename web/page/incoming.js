// @ts-check
// The card of an incoming call. It is a modal dialog: whatever else is open, it is on top and has the focus.
import { announce, button, byId, element, on, write } from './dom.js';
import { badge } from './call-view.js';
import { addressOf, nameOf, portray } from './names.js';
import { say } from './sentences.js';

/** @param {import('./line.js').Line} line */
export function incomingCard(line) {
  const card = byId('incoming', HTMLDialogElement);

  on(button('answer'), 'click', () => line.answer(true));
  on(button('answer-audio'), 'click', () => line.answer(false));
  on(button('decline'), 'click', () => line.leave());
  // Esc would only hide the card while it goes on ringing.
  on(card, 'cancel', (event) => {
    event.preventDefault();
    line.leave();
  });

  return () => {
    const ringing = line.state === 'ringing';
    if (!ringing && card.open) card.close();
    if (!ringing || !line.call || card.open) return;
    const { peer, remoteVideo } = line.call;
    write(element('incoming-name'), nameOf(peer));
    write(element('incoming-address'), addressOf(peer.uri));
    portray(element('incoming-avatar'), peer);
    badge(element('incoming-verified'), peer);
    write(element('incoming-what'), say(remoteVideo ? 'incoming.whatVideo' : 'incoming.what'));
    card.showModal();
    // Not on a button: whoever is typing when it rings must not answer by the next space or return.
    element('incoming-name').focus();
    announce(say('incoming.announce', { name: nameOf(peer) }));
  };
}
