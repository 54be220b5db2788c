// @ts-check
// What a call sends of this side: opens the devices, puts their tracks into the media, mutes and closes them.
import { stop } from './devices.js';

/** @typedef {import('./devices.js').Choice} Choice */

export class Sending {
  stream = new MediaStream();
  muted = false;
  #devices;
  #media;
  #ended = false;
  /** Whether a picture is on its way while the devices open. @type {boolean | null} */ #expected = null;
  /** @type {import('./devices.js').Wish} */ #camera = true;

  /** @param {import('./devices.js').Devices} devices @param {import('./media.js').Media} media */
  constructor(devices, media) {
    this.#devices = devices;
    this.#media = media;
  }

  get cameraOn() {
    return this.stream.getVideoTracks().length > 0;
  }

  /** Whether a picture is sent, or will be as soon as the camera is open. */
  get picture() {
    return this.#expected ?? this.cameraOn;
  }

  /**
   * Opens the devices and describes the media: side by side where nobody has to be asked, else one after the other,
   * so that nobody rings for a caller who can't speak.
   * @param {Choice} choice
   * @param {(video: boolean) => Promise<void>} describe `video`: whether a picture will be sent
   */
  async open(choice, describe) {
    if (choice.video) this.#camera = choice.video;
    const opening = this.#devices.open(choice).then((stream) => this.#adopt(stream));
    opening.catch(() => {});
    const asksNobody = await this.#devices.askNobody(choice);
    if (!asksNobody) await opening;
    if (this.#ended) return;
    this.#expected = asksNobody ? !!choice.video : this.cameraOn;
    await describe(this.#expected);
    await opening;
    this.#expected = null;
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.muted = muted;
    for (const track of this.stream.getAudioTracks()) track.enabled = !muted;
  }

  /** @param {boolean} on */
  async camera(on) {
    if (on) return this.#adopt(await this.#devices.camera(this.#camera));
    for (const track of this.stream.getVideoTracks()) {
      track.stop();
      this.stream.removeTrack(track);
    }
    await this.#media.send('video', null);
  }

  /** Closes the devices. */
  end() {
    this.#ended = true;
    stop(this.stream);
  }

  /** @param {MediaStream} stream */
  async #adopt(stream) {
    if (this.#ended) return stop(stream);
    for (const track of stream.getTracks()) {
      if (track.kind === 'audio') track.enabled = !this.muted;
      this.stream.addTrack(track);
      await this.#media.send(/** @type {'audio' | 'video'} */ (track.kind), track);
    }
  }
}
