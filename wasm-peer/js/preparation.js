// @ts-check
// What is made ready for the next call. For an outgoing one: its peer connection with addresses found, and the microphone
// if permitted. For an incoming one: a bare peer connection.
import { Devices } from './devices.js';
import { Media } from './media.js';

/** Milliseconds that what was prepared is kept. */
const KEPT = 30_000;

export class Preparation {
  devices = new Devices();
  /** STUN servers and relays. @type {string[]} */ #stun = [];
  #relayed = false;
  #certificate;
  /** @type {Media | null} */ #media = null;
  /** For the next incoming call. It opens no port before that comes. @type {Media | null} */ #spare = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /** @param {RTCCertificate} certificate */
  constructor(certificate) {
    this.#certificate = certificate;
  }

  /** Makes ready for an incoming call. @param {string[]} [stun] the STUN servers, when they have changed */
  expect(stun) {
    if (stun && String(stun) !== String(this.#stun)) {
      this.#stun = stun;
      this.#spare?.close();
      this.#spare = null;
    }
    this.#spare ??= this.#make();
  }

  /** @param {boolean} relayed whether only relays may carry calls */
  hide(relayed) {
    if (relayed === this.#relayed) return;
    this.#relayed = relayed;
    this.close();
    this.expect();
  }

  /** Prepares a call that will want this microphone. @param {import('./devices.js').Wish} audio */
  warm(audio) {
    this.#media ??= this.#outgoing();
    this.devices.warm(audio);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.cool(), KEPT);
  }

  /** Closes everything. */
  close() {
    this.cool();
    this.#spare?.close();
    this.#spare = null;
  }

  /** Closes what was prepared for an outgoing call and not used. */
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
    const media = this.#spare ?? this.#make();
    this.#spare = null;
    return media;
  }

  #outgoing() {
    const media = this.#make();
    media.prepareOffer();
    return media;
  }

  #make() {
    return new Media(this.#certificate, this.#stun, this.#relayed);
  }
}
