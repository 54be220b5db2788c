// @ts-check
// Microphone and camera: opened only when asked for, and ahead of a call only where that is permitted already.
import { captureError } from './errors.js';

/** What a voice call wants of a microphone. */
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };

export class Devices {
  /** @type {Promise<MediaStream> | null} */ #ahead = null;

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
   * @param {{ audio: boolean, video: boolean }} wanted
   */
  async askNobody({ audio, video }) {
    const answers = await Promise.all([!audio || this.permitted('microphone'), !video || this.permitted('camera')]);
    return answers.every(Boolean);
  }

  /** Opens the microphone ahead of a call, if that asks nobody. */
  async warm() {
    if (this.#ahead || !await this.permitted('microphone')) return;
    this.#ahead = capture({ audio: MICROPHONE });
    this.#ahead.catch(() => { this.#ahead = null; });
  }

  /** Closes what was opened ahead and not taken. */
  cool() {
    this.#ahead?.then(stop, () => {});
    this.#ahead = null;
  }

  /**
   * Opens what a call wants. A camera that can't be had is left out; a microphone that can't be had is an error.
   * @param {{ audio: boolean, video: boolean }} wanted
   * @returns {Promise<MediaStream>}
   */
  async open({ audio, video }) {
    const ahead = this.#ahead;
    this.#ahead = null;
    if (ahead && audio) return video ? this.#join(ahead) : ahead.catch(() => capture({ audio: MICROPHONE }));
    ahead?.then(stop, () => {});
    if (!audio) return video ? this.camera().catch(() => new MediaStream()) : new MediaStream();
    if (!video) return capture({ audio: MICROPHONE });
    return capture({ audio: MICROPHONE, video: CAMERA }).catch(() => capture({ audio: MICROPHONE }));
  }

  /** Opens the camera alone. */
  camera() {
    return capture({ video: CAMERA });
  }

  /** @param {Promise<MediaStream>} ahead */
  async #join(ahead) {
    const [sound, picture] = await Promise.all([
      ahead.catch(() => capture({ audio: MICROPHONE })),
      this.camera().catch(() => null),
    ]);
    for (const track of picture?.getTracks() ?? []) sound.addTrack(track);
    return sound;
  }
}

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
