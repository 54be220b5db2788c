// @ts-check
// The call: who it is, what can be seen and heard, how long.
import { announce, button, element, mark, on, setIcon, show, video, write } from './dom.js';
import { addressOf, clock, nameOf, portray } from './names.js';
import { recall } from './preferences.js';
import { say } from './sentences.js';

/** @param {import('./line.js').Line} line */
export function callView(line) {
  const remote = video('remote-video');
  const own = video('local-video');
  const timer = element('call-timer');
  let ticking = 0;
  let said = '';

  // A browser that was never clicked may keep the sound of a call that was answered by a notification.
  const play = () => remote.play().then(() => show(button('allow-sound'), false), (error) => {
    show(button('allow-sound'), error instanceof DOMException && error.name === 'NotAllowedError');
  });
  on(button('allow-sound'), 'click', () => void play());
  for (const type of ['resize', 'loadedmetadata', 'emptied']) on(remote, type, () => line.changed());
  window.addEventListener('resize', () => line.live && line.changed());

  const tick = () => write(timer, clock((Date.now() - line.since) / 1000));

  return () => {
    const call = line.live && line.view === 'call' ? line.call : null;
    // A player is costly to make: none while the two sides still look for each other, none for a picture that isn't there.
    const talking = call?.state === 'in-call' || call?.state === 'reconnecting';
    if (attach(remote, talking ? call.remoteStream : null) && talking) {
      void listenOn(remote, recall('speaker', ''));
      void play();
    }
    attach(own, call?.cameraOn ? call.localStream : null);
    if (!call) {
      clearInterval(ticking);
      ticking = 0;
      said = '';
      return;
    }
    describe(call.peer);
    // The answer is what proves who it is: before it there is nothing to warn of.
    show(element('peer-verified'), call.peer.verified || call.startedAt !== null);
    const picture = call.remoteVideo && remote.videoWidth > 0 && hasPicture(call.remoteStream);
    mark(element('call'), 'data-picture', String(picture));
    mark(remote, 'data-fit', picture && fits(remote) ? 'cover' : null);
    show(element('self'), call.cameraOn && hasPicture(call.localStream));

    const status = element('call-status');
    write(status, say(call.state === 'in-call' ? 'call.inCall' : `call.${call.state}`));
    // While it reconnects, the banner says so.
    mark(status, 'class', talking ? 'unseen' : null);
    if (call.state !== said && call.state === 'in-call') announce(say('call.with', { name: nameOf(call.peer) }));
    said = call.state;
    show(timer, talking && line.since > 0);
    if (talking && line.since && !ticking) {
      tick();
      ticking = setInterval(tick, 1_000);
    }
  };
}

/** Whether the picture may fill the stage: when that cuts only a strip off it.
 * @param {HTMLVideoElement} place */
function fits({ videoWidth, videoHeight, clientWidth, clientHeight }) {
  const stretch = (videoWidth / videoHeight) / (clientWidth / clientHeight);
  return Math.max(stretch, 1 / stretch) < 1.35;
}

/** @param {import('./line.js').Call['peer']} peer */
function describe(peer) {
  write(element('peer-name'), nameOf(peer));
  write(element('peer-address'), addressOf(peer.uri));
  portray(element('peer-avatar'), peer);
  badge(element('peer-verified'), peer);
}

/** The badge says "verified" only when the certificate behind the address was checked, and it is the other side's own.
 * @param {HTMLElement} place @param {import('./line.js').Call['peer']} peer */
export function badge(place, peer) {
  const verified = peer.verified && !peer.bridged;
  const kind = peer.bridged ? 'bridged' : verified ? 'verified' : 'unverified';
  mark(place, 'data-verified', String(verified));
  mark(place, 'data-bridged', peer.bridged ? 'true' : null);
  mark(place, 'title', kind === 'unverified' ? null : say(`call.${kind}Why`, { address: addressOf(peer.uri) }));
  setIcon(place, verified ? 'verified' : 'unverified');
  const word = place.querySelector('span');
  if (word) write(word, say(`call.${kind}`));
}

/** @param {HTMLVideoElement} place @param {MediaStream | null} stream @returns {boolean} whether it changed */
function attach(place, stream) {
  if (place.srcObject === stream) return false;
  place.srcObject = stream;
  return true;
}

/** @param {MediaStream | null} stream */
function hasPicture(stream) {
  return stream?.getVideoTracks().some((track) => track.readyState === 'live') ?? false;
}

/** Plays through the chosen speaker where the browser can choose and still has it.
 * @param {HTMLMediaElement} place @param {string} speaker */
export async function listenOn(place, speaker) {
  if (!speaker || !('setSinkId' in place)) return;
  try {
    await place.setSinkId(speaker);
  } catch {
    await place.setSinkId('').catch(() => {});
  }
}
