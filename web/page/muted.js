// @ts-check
// "You are speaking, but your microphone is off": heard from a copy of the track, which is sent nowhere.
import { announce, element, show } from './dom.js';
import { meter } from './meter.js';
import { say } from './sentences.js';

/** About -30 dB below full scale, as speech is. */
const SPEECH = 0.5;
const SPOKEN_MS = 500;
const SHOWN_MS = 5_000;

/** @param {import('./line.js').Line} line */
export function speakingMuted(line) {
  const hint = element('speaking-muted');
  let stop = () => {};
  let watching = false;

  /** @param {MediaStreamTrack} own */
  const watch = (own) => {
    const copy = own.clone();
    copy.enabled = true;
    let since = 0;
    let until = 0;
    const hush = meter(new MediaStream([copy]), (level) => {
      const now = performance.now();
      if (level < SPEECH) since = 0;
      else since ||= now;
      if (since && now - since > SPOKEN_MS) {
        if (!until) announce(say('call.speakingMuted'));
        until = now + SHOWN_MS;
      }
      show(hint, now < until);
    });
    stop = () => {
      hush();
      copy.stop();
    };
  };

  return () => {
    const track = line.state === 'in-call' && line.call?.muted ? line.call.localStream.getAudioTracks()[0] : undefined;
    if (Boolean(track) === watching) return;
    watching = Boolean(track);
    stop();
    stop = () => {};
    show(hint, false);
    if (track) watch(track);
  };
}
