// @ts-check
// Mute, camera, hang up: as buttons and as keys.
import { announce, button, mark, on, setIcon, write } from './dom.js';
import { recall } from './preferences.js';
import { say } from './sentences.js';
import { toast } from './toast.js';

/** @param {import('./line.js').Line} line */
export function controls(line) {
  const mute = button('mute');
  const camera = button('camera');
  const hangUp = button('hang-up');

  const toggleMute = () => {
    if (!line.call) return;
    const muted = !line.call.muted;
    line.call.mute(muted);
    announce(say(muted ? 'call.nowMuted' : 'call.nowHeard'));
    line.changed();
  };
  const toggleCamera = async () => {
    if (!line.call) return;
    const seen = !line.call.cameraOn;
    try {
      await line.call.camera(seen);
    } catch (error) {
      toast.failure(error, 'camera');
    }
    announce(say(line.call?.cameraOn ? 'call.nowSeen' : 'call.nowHidden'));
    line.changed();
  };
  on(mute, 'click', toggleMute);
  on(camera, 'click', () => void toggleCamera());
  on(hangUp, 'click', () => line.leave());

  document.addEventListener('keydown', (event) => {
    if (line.view !== 'call' || event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (!recall('shortcuts', true) || document.fullscreenElement || document.querySelector('dialog[open]')) return;
    const act = { m: toggleMute, v: () => void toggleCamera(), escape: () => line.leave() }[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });

  return () => {
    const { call } = line;
    if (!call || line.view !== 'call') return;
    mark(document.body, 'data-shortcuts', String(recall('shortcuts', true)));
    pressed(mute, call.muted, call.muted ? 'microphone-off' : 'microphone', say(call.muted ? 'call.muted' : 'call.mute'));
    pressed(camera, call.cameraOn, call.cameraOn ? 'camera' : 'camera-off', say('call.camera'));
    label(hangUp, say(['calling', 'ringing'].includes(call.state) ? 'call.cancel' : 'call.hangUp'));
  };
}

/** @param {HTMLButtonElement} place @param {boolean} down @param {string} symbol @param {string} text */
function pressed(place, down, symbol, text) {
  mark(place, 'aria-pressed', String(down));
  setIcon(place, symbol);
  label(place, text);
}

/** @param {HTMLButtonElement} place @param {string} text */
function label(place, text) {
  const words = place.querySelector('span');
  if (words) write(words, text);
}
