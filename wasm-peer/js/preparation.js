// @ts-check
// What is made ready for the next call: its peer connection with addresses found, and the microphone if permitted.
import { Devices } from './devices.js';
import { Media } from './media.js';

/** Milliseconds that what was prepared is kept. */
const KEPT = 30_000;

export class Preparation {
  devices = new Devices();
  /** STUN servers, `stun:host:port`. @type {string[]} */ stun = [];
  #certificate;
  /** @type {Media | null} */ #media = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /** @param {RTCCertificate} certificate */
  constructor(certificate) {
    this.#certificate = certificate;
  }

  /** Prepares a call that will want this microphone. @param {import('./devices.js').Wish} audio */
  warm(audio) {
    this.#media ??= this.#outgoing();
    this.devices.warm(audio);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.cool(), KEPT);
  }

  /** Closes what was prepared and not used. */
  cool() {
    clearTimeout(this.#timer);
    this.#media?.close();
    this.#media = null;
    this.devices.cool();
  }

  /** Media for an outgoing call: the prepared one, if there is one. */
  take() {
    clearTimeout(this.#timer);
    const media = this.#media ?? this.#outgoing();
    this.#media = null;
    return media;
  }

  /** Media for an incoming call. */
  incoming() {
    return new Media(this.#certificate, this.stun);
  }

  #outgoing() {
    const media = new Media(this.#certificate, this.stun);
    media.prepareOffer();
    return media;
  }
}
