// @ts-check
// Ringtone, ringback and the short tone of an end, made by WebAudio: no files, no permission.
import { element, on, show } from './dom.js';

/** @typedef {{ hertz: number, at: number, seconds: number, gain: number, kind?: OscillatorType }} Note */

/** Two bars of a rising third, soft as a marimba. @type {Note[]} */
const RINGTONE = [659.3, 830.6, 987.8, 830.6, 1318.5].flatMap((hertz, step) => [
  { hertz, at: step * 0.16, seconds: 0.5, gain: 0.16 },
  { hertz: hertz * 3, at: step * 0.16, seconds: 0.14, gain: 0.03 },
]);
/** 425 Hz, one second in five (ETSI TR 101 041). @type {Note[]} */
const RINGBACK = [{ hertz: 425, at: 0, seconds: 1, gain: 0.05, kind: 'sine' }];
/** @type {Note[]} */
const OVER = [{ hertz: 440, at: 0, seconds: 0.18, gain: 0.08 }, { hertz: 330, at: 0.16, seconds: 0.3, gain: 0.08 }];

/** Milliseconds before a tone begins: a call that is taken at once needs none, and making sound holds the page up. */
const PATIENCE_MS = 200;

/** @param {import('./line.js').Line} line */
export function tones(line) {
  /** @type {AudioContext | null} */
  let context = null;
  let playing = '';
  let timer = 0;

  const sound = () => (context ??= new AudioContext());

  /** @param {string} name @param {Note[]} notes @param {number} everyMs */
  const repeat = (name, notes, everyMs) => {
    if (playing === name) return;
    stop();
    playing = name;
    timer = setTimeout(() => begin(name, notes, everyMs), PATIENCE_MS);
  };

  /** @param {string} name @param {Note[]} notes @param {number} everyMs */
  const begin = (name, notes, everyMs) => {
    const once = () => play(sound(), notes);
    const ready = sound().resume().then(() => playing === name && once());
    // Without a gesture the browser keeps the context suspended and resume() waits: the card says so.
    setTimeout(() => show(element('incoming-silent'), playing === 'ring' && sound().state !== 'running'), 400);
    void ready.then(() => show(element('incoming-silent'), false));
    timer = setInterval(() => sound().state === 'running' && once(), everyMs);
  };
  const stop = () => {
    clearInterval(timer);
    playing = '';
    // Cuts what still sounds; a context is cheap to make and browsers count the open ones.
    void context?.close();
    context = null;
  };
  on(document.body, 'pointerdown', () => void context?.resume());
  on(document.body, 'keydown', () => void context?.resume());
  line.addEventListener('over', (event) => {
    const { seconds } = /** @type {CustomEvent<{ seconds: number }>} */ (event).detail;
    stop();
    if (!seconds) return;
    const last = new AudioContext();
    if (last.state === 'running') play(last, OVER);
    setTimeout(() => void last.close(), 1_000);
  });

  return () => {
    if (line.state === 'ringing') repeat('ring', RINGTONE, 2_600);
    else if (line.live && line.call?.direction === 'outgoing' && line.call.state === 'ringing') repeat('back', RINGBACK, 5_000);
    else if (playing) stop();
  };
}

/** @param {AudioContext} context @param {Note[]} notes @param {AudioNode} [out] */
export function play(context, notes, out = context.destination) {
  for (const note of notes) {
    const tone = context.createOscillator();
    const volume = context.createGain();
    const from = context.currentTime + note.at;
    const steady = note.kind === 'sine';
    tone.type = 'sine';
    tone.frequency.value = note.hertz;
    volume.gain.setValueAtTime(0, from);
    volume.gain.linearRampToValueAtTime(note.gain, from + 0.01);
    if (steady) volume.gain.setValueAtTime(note.gain, from + note.seconds - 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, from + note.seconds);
    tone.connect(volume).connect(out);
    tone.start(from);
    tone.stop(from + note.seconds + 0.02);
  }
}
