// @ts-check
// Microphone and camera: opened only when asked for, and ahead of a call only where that is permitted already.
import { captureError } from './errors.js';

/** @typedef {boolean | MediaTrackConstraints} Wish */
/** @typedef {{ audio: Wish, video: Wish }} Choice */

/** What a voice call wants of a microphone, and what a picture should look like. */
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };

export class Devices {
  /** @type {{ stream: Promise<MediaStream>, wish: string } | null} */ #ahead = null;

  /**
   * Whether opening these devices asks nobody.
   * @param {Choice} choice
   */
  async askNobody({ audio, video }) {
    const answers = await Promise.all([!audio || permitted('microphone'), !video || permitted('camera')]);
    return answers.every(Boolean);
  }

  /** Opens the microphone ahead of a call, if that asks nobody. @param {Wish} audio */
  async warm(audio) {
    const wish = JSON.stringify(audio);
    if (!audio || this.#ahead?.wish === wish || !await permitted('microphone')) return;
    // Another one may have begun while the permission was looked up.
    this.cool();
    this.#ahead = { stream: microphone(audio), wish };
    this.#ahead.stream.catch(() => { this.#ahead = null; });
  }

  /** Closes what was opened ahead and not taken. */
  cool() {
    this.#ahead?.stream.then(stop, () => {});
    this.#ahead = null;
  }

  /**
   * Opens what a call wants. A camera that can't be had is left out; a microphone that can't be had is an error.
   * @param {Choice} choice
   * @returns {Promise<MediaStream>}
   */
  async open({ audio, video }) {
    const ahead = audio && this.#ahead?.wish === JSON.stringify(audio) ? this.#ahead.stream : null;
    if (ahead) this.#ahead = null;
    else this.cool();
    if (ahead) return join(ahead.catch(() => microphone(audio)), video ? this.camera(video) : null);
    if (!audio) return join(Promise.resolve(new MediaStream()), video ? this.camera(video) : null);
    if (!video) return microphone(audio);
    // One question for both; whoever has no camera, or keeps it to himself, is asked for the microphone alone.
    return capture({ audio: wanted(MICROPHONE, audio), video: wanted(CAMERA, video) }).catch(() => microphone(audio));
  }

  /** Opens the camera alone. @param {Wish} wish */
  camera(wish) {
    return capture({ video: wanted(CAMERA, wish) });
  }
}

/** @param {MediaStream} stream */
export function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** @param {Promise<MediaStream>} first @param {Promise<MediaStream> | null} second may be missing */
async function join(first, second) {
  const [stream, more] = await Promise.all([first, second?.catch(() => null)]);
  for (const track of more?.getTracks() ?? []) stream.addTrack(track);
  return stream;
}

/** What the browser has said of a device; it keeps these up to date. @type {Record<string, Promise<PermissionStatus>>} */
const permissions = {};

/** @param {'microphone' | 'camera'} device @returns {Promise<boolean>} */
async function permitted(device) {
  try {
    permissions[device] ??= navigator.permissions.query({ name: /** @type {PermissionName} */ (device) });
    return (await permissions[device]).state === 'granted';
  } catch {
    return false;
  }
}

/** @param {Wish} wish */
function microphone(wish) {
  return capture({ audio: wanted(MICROPHONE, wish) });
}

/** @param {MediaTrackConstraints} usual @param {Wish} wish */
function wanted(usual, wish) {
  return typeof wish === 'object' ? { ...usual, ...wish } : wish && usual;
}

/** @param {MediaStreamConstraints} constraints @returns {Promise<MediaStream>} */
async function capture(constraints) {
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw captureError(error);
  }
}
