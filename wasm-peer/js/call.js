// @ts-check
import { emit } from './emit.js';
import { phoneError } from './errors.js';
import { Negotiation } from './negotiation.js';
import { sendsVideo } from './sdp.js';
import { Sending } from './sending.js';
import { readStats } from './stats.js';

/** @typedef {import('./wasm.js').CallEvent} CallEvent */
/** @typedef {import('./index.js').EndCode} EndCode */
/** @typedef {import('./devices.js').Choice} Choice */
/** @typedef {{ peer: import('./wasm_peer.js').Peer, devices: import('./devices.js').Devices, media: import('./media.js').Media }} Parts */

export class Call extends EventTarget {
  /** @type {import('./index.js').Party} */ peer;
  /** @type {import('./index.js').CallState} */ state;
  remoteVideo = false;
  /** @type {number | null} */ startedAt = null;
  /** @type {import('./index.js').CallEnd | null} */ end = null;
  #parts;
  #sending;
  #negotiation;

  /**
   * Calls are made by a phone.
   * @param {Parts} parts
   * @param {{ id: number, direction: 'outgoing' | 'incoming', party: import('./index.js').Party }} what
   */
  constructor(parts, { id, direction, party }) {
    super();
    this.id = id;
    this.direction = direction;
    this.peer = party;
    this.state = direction === 'outgoing' ? 'calling' : 'ringing';
    this.#parts = parts;
    this.#sending = new Sending(parts.devices, parts.media);
    this.#negotiation = new Negotiation(this, parts.peer, parts.media, (code, detail) => this.fail(code, detail));
    parts.media.listen({
      candidate: ({ mid, line, ufrag }) => parts.peer.candidate(id, mid, line, ufrag),
      gathered: () => parts.peer.endOfCandidates(id),
      track: () => emit(this, 'streams', null),
      connection: (state) => this.#negotiation.connectionChanged(state),
    });
  }

  get localStream() {
    return this.#sending.stream;
  }

  get remoteStream() {
    return this.#parts.media.remote;
  }

  get cameraOn() {
    return this.#sending.cameraOn;
  }

  /** @internal */
  get sendsPicture() {
    return this.#sending.picture;
  }

  get muted() {
    return this.#sending.muted;
  }

  /** Sends the offer. @internal @param {Choice} choice */
  async begin(choice) {
    await this.#open(choice, async (video) => {
      this.#parts.peer.offer(this.id, await this.#parts.media.offer({ video }));
    });
  }

  /** @param {import('./index.js').MediaChoice} [choice] */
  async answer({ audio = true, video = this.remoteVideo } = {}) {
    if (this.direction !== 'incoming' || this.state !== 'ringing') return;
    const opened = this.#open({ audio, video }, async (sendsPicture) => {
      this.#parts.peer.answer(this.id, await this.#parts.media.answer({ video: sendsPicture }));
      this.#parts.media.meet();
    });
    this.setState('connecting');
    await opened;
  }

  decline() {
    if (this.direction !== 'incoming' || this.state !== 'ringing') return;
    this.#parts.peer.decline(this.id);
    this.#finish('declined');
  }

  hangUp() {
    if (this.end) return;
    if (this.direction === 'incoming' && this.state === 'ringing') return this.decline();
    const answered = this.startedAt !== null || this.state === 'connecting';
    this.#parts.peer.hangUp(this.id);
    this.#finish(answered ? 'hung-up' : 'cancelled');
  }

  /** Ends the call because the phone goes, not because anybody wants it. @internal */
  leave() {
    if (this.direction !== 'incoming' || this.state !== 'ringing') return this.hangUp();
    this.#finish('no-answer');
    this.#parts.peer.fail(this.id, 'offline');
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.#sending.mute(muted);
    emit(this, 'muted', { muted });
  }

  /** @param {boolean} on */
  async camera(on) {
    if (this.end || on === this.cameraOn) return;
    await this.#sending.camera(on);
    emit(this, 'streams', null);
    emit(this, 'camera', { on: this.cameraOn });
    this.#negotiation.pictureChanged();
  }

  stats() {
    return readStats(this.#parts.media.connection);
  }

  /** Looks for a new path at once: the network has changed. @internal */
  networkChanged() {
    if (this.startedAt !== null && !this.end) this.#negotiation.restart();
  }

  /** Takes in what the node reports. @internal @param {CallEvent} event */
  handle(event) {
    if (this.end) return;
    switch (event.type) {
      case 'incoming':
        this.remoteVideo = sendsVideo(event.offer);
        this.#parts.media.prepareAnswer(event.offer);
        break;
      case 'ringing':
        if (this.state === 'calling') this.setState('ringing');
        break;
      case 'answered':
        this.peer = { ...this.peer, verified: true, bridged: event.bridged };
        this.setState('connecting');
        this.describedBy(event.answer);
        this.#parts.media.takeAnswer(event.answer).catch((error) => this.fail('not-acceptable', String(error)));
        break;
      case 'candidates':
        event.candidates.forEach((candidate) => this.#parts.media.addCandidate(candidate));
        break;
      case 'ended':
        this.#finish(event.reason);
        break;
      default:
        this.#negotiation.handle(event).catch((error) => this.fail('failed', String(error)));
    }
  }

  /** Ends the call for a reason of this side. @internal @param {EndCode} code @param {string} [detail] */
  fail(code, detail = '') {
    if (this.end) return;
    this.#parts.peer.fail(this.id, code);
    this.#finish(code, detail);
  }

  /** @internal @param {import('./index.js').CallState} state */
  setState(state) {
    if (this.end || state === this.state) return;
    this.state = state;
    if (state === 'in-call') this.startedAt ??= Date.now();
    emit(this, 'state', { state });
  }

  /** Notes what the other side's description says of its picture. @internal @param {string} sdp */
  describedBy(sdp) {
    const remoteVideo = sendsVideo(sdp);
    if (remoteVideo === this.remoteVideo) return;
    this.remoteVideo = remoteVideo;
    emit(this, 'streams', null);
  }

  /** @param {Choice} choice @param {(video: boolean) => Promise<void>} describe */
  async #open(choice, describe) {
    try {
      await this.#sending.open(choice, async (video) => {
        this.#negotiation.announced(video);
        await describe(video);
      });
    } catch (error) {
      const { code, detail } = phoneError(error);
      return this.fail(/** @type {EndCode} */ (code), detail);
    }
    emit(this, 'streams', null);
    this.#negotiation.pictureChanged();
    if (choice.video) emit(this, 'camera', { on: this.cameraOn });
  }

  /** @param {EndCode} code @param {string} [detail] */
  #finish(code, detail = '') {
    if (this.end) return;
    this.state = 'ended';
    this.end = { code, detail };
    this.#negotiation.stop();
    this.#parts.media.close();
    this.#sending.end();
    emit(this, 'state', { state: 'ended' });
    emit(this, 'ended', this.end);
  }
}
