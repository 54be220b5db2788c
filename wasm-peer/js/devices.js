// @ts-check
// Microphone and camera: opened only when asked for, and ahead of a call only where that is permitted already.
import { captureError } from './errors.js';

/** What a voice call wants of a microphone. */
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };

/** @typedef {boolean | MediaTrackConstraints} Wish */

export class Devices {
  /** @type {Promise<MediaStream> | null} */ #ahead = null;
  /** Which microphone that is. @type {Wish} */ #which = true;
  /** Which camera the call wants. @type {Wish} */ #camera = true;

  /**
   * @param {'microphone' | 'camera'} device
   * @returns {Promise<boolean>} whether opening it asks nobody
   */
  async permitted(device) {
    try {
      const { state } = await navigator.permissions.query({ name: /** @type {PermissionName} */ (device) });
      return state === 'granted';
    } catch {
      return false;
    }
  }

  /**
   * Whether opening these devices asks nobody.
   * @param {{ audio: Wish, video: Wish }} wanted
   */
  async askNobody({ audio, video }) {
    const answers = await Promise.all([!audio || this.permitted('microphone'), !video || this.permitted('camera')]);
    return answers.every(Boolean);
  }

  /** Opens the microphone ahead of a call, if that asks nobody. @param {Wish} [audio] */
  async warm(audio = true) {
    if (this.#ahead || !audio || !await this.permitted('microphone') || this.#ahead) return;
    this.#which = audio;
    this.#ahead = capture({ audio: microphone(audio) });
    this.#ahead.catch(() => { this.#ahead = null; });
  }

  /** Closes what was opened ahead and not taken. */
  cool() {
    this.#ahead?.then(stop, () => {});
    this.#ahead = null;
  }

  /**
   * Opens what a call wants. A camera that can't be had is left out; a microphone that can't be had is an error.
   * @param {{ audio: Wish, video: Wish }} wanted
   * @returns {Promise<MediaStream>}
   */
  async open({ audio, video }) {
    const ahead = this.#ahead;
    const fits = JSON.stringify(this.#which) === JSON.stringify(audio);
    this.#ahead = null;
    if (video) this.#camera = video;
    const sound = { audio: microphone(audio) };
    if (ahead && fits) return video ? this.#join(ahead, sound) : ahead.catch(() => capture(sound));
    ahead?.then(stop, () => {});
    if (!audio) return video ? this.camera().catch(() => new MediaStream()) : new MediaStream();
    if (!video) return capture(sound);
    return capture({ ...sound, video: picture(video) }).catch(() => capture(sound));
  }

  /** Opens the camera alone: the one that the last call wished. */
  camera() {
    return capture({ video: picture(this.#camera) });
  }

  /** @param {Promise<MediaStream>} ahead @param {MediaStreamConstraints} otherwise */
  async #join(ahead, otherwise) {
    const [sound, picture] = await Promise.all([
      ahead.catch(() => capture(otherwise)),
      this.camera().catch(() => null),
    ]);
    for (const track of picture?.getTracks() ?? []) sound.addTrack(track);
    return sound;
  }
}

/** @param {Wish} wish */
const microphone = (wish) => (typeof wish === 'object' ? { ...MICROPHONE, ...wish } : MICROPHONE);
/** @param {Wish} wish */
const picture = (wish) => (typeof wish === 'object' ? { ...CAMERA, ...wish } : CAMERA);

/** @param {MediaStream} stream */
export function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** @param {MediaStreamConstraints} constraints @returns {Promise<MediaStream>} */
async function capture(constraints) {
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw captureError(error);
  }
}
