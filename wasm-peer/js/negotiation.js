// @ts-check
// Keeps a call's media on a path that works: watches the connection, restarts ICE, renegotiates the picture.
import { Timers } from './timers.js';

/** @typedef {import('./wasm.js').CallEvent} CallEvent */

/** Milliseconds in which an answered call must find a path. */
const CONNECTS_WITHIN = 20_000;
/** Milliseconds after which a call that lost its path is given up. */
const RECONNECTS_WITHIN = 45_000;
/** Milliseconds in which a path that falters may mend by itself. The caller is the first to act. */
const FALTERS = { outgoing: 500, incoming: 2_000 };
/** Milliseconds after which a new path is looked for again that the other side could not be told of. */
const AGAIN = 1_000;

export class Negotiation {
  #call;
  #peer;
  #media;
  #giveUp;
  /** Whether the last description said that we send a picture. */
  #announced = false;
  /** The offer of ours that is under way. `crossed`: one of theirs took its place. @type {{ restart: boolean, crossed: boolean } | null} */
  #offering = null;
  /** Another one is wanted after it. @type {{ restart: boolean } | null} */
  #wanted = null;
  #connected = false;
  #restarted = 0;
  #timers = new Timers();

  /**
   * @param {import('./call.js').Call} call
   * @param {import('./wasm_peer.js').Peer} peer
   * @param {import('./media.js').Media} media
   * @param {(code: import('./index.js').EndCode, detail: string) => void} giveUp
   */
  constructor(call, peer, media, giveUp) {
    this.#call = call;
    this.#peer = peer;
    this.#media = media;
    this.#giveUp = giveUp;
  }

  /** @param {boolean} video what the description that leaves now says of our picture */
  announced(video) {
    this.#announced = video;
    this.#timers.after('giveUp', CONNECTS_WITHIN + 60_000, () => this.#giveUp('network', 'never answered or connected'));
  }

  /** @param {RTCPeerConnectionState} state */
  connectionChanged(state) {
    if (state === 'connected') {
      this.#connected = true;
      this.#timers.clear('giveUp');
      this.#timers.clear('restart');
      this.#call.setState('in-call');
      this.pictureChanged();
    } else if (state === 'connecting' && !this.#connected) {
      this.#timers.after('giveUp', CONNECTS_WITHIN, () => this.#giveUp('network', 'no path found'));
    } else if (state === 'disconnected' || state === 'failed') {
      this.#falter(state === 'failed');
    }
  }

  /** Our picture went on or off: tells the other side unless it knows. */
  pictureChanged() {
    if (this.#connected && this.#call.sendsPicture !== this.#announced) this.#offer({ restart: false });
  }

  /** Looks for a new path. */
  restart() {
    this.#offer({ restart: true });
  }

  /** @param {CallEvent} event */
  async handle(event) {
    switch (event.type) {
      case 'offered':
        if (this.#offering) this.#offering.crossed = true;
        this.#call.describedBy(event.offer);
        this.#announced = this.#call.sendsPicture;
        return this.#peer.answer(this.#call.id, await this.#media.reanswer(event.offer, this.#announced));
      case 'renegotiated':
        await this.#media.takeAnswer(event.answer);
        this.#call.describedBy(event.answer);
        return this.#settled();
      case 'not-renegotiated':
        // After crossing offers the node has waited as RFC 3261 section 14.1 says before it reports.
        if (!this.#offering?.crossed) {
          await this.#media.rollback();
          if (this.#offering?.restart && !event.glare) this.#timers.after('restart', AGAIN, () => this.restart());
          if (event.glare && this.#offering) this.#wanted ??= { restart: this.#offering.restart };
        }
        return this.#settled();
    }
  }

  stop() {
    this.#timers.stop();
    this.#call = /** @type {any} */ ({ setState() {}, end: true });
  }

  /** @param {boolean} failed */
  #falter(failed) {
    if (!this.#connected) {
      if (failed && this.#restarted++ > 0) this.#giveUp('network', 'no path found');
      else if (failed && this.#call.direction === 'outgoing') this.restart();
      return;
    }
    this.#call.setState('reconnecting');
    this.#timers.after('giveUp', RECONNECTS_WITHIN, () => this.#giveUp('network', 'the path was lost'));
    this.#timers.after('restart', FALTERS[this.#call.direction], () => this.restart());
  }

  /** @param {{ restart: boolean }} how */
  async #offer(how) {
    if (this.#call.end) return;
    if (this.#offering) {
      this.#wanted = { restart: how.restart || !!this.#wanted?.restart };
      return;
    }
    this.#offering = { ...how, crossed: false };
    this.#announced = this.#call.sendsPicture;
    try {
      const sdp = await this.#media.reoffer({ video: this.#announced, ...how });
      if (!this.#call.end) this.#peer.renegotiate(this.#call.id, sdp);
    } catch {
      this.#offering = null;
    }
  }

  #settled() {
    this.#offering = null;
    const wanted = this.#wanted;
    this.#wanted = null;
    if (wanted) this.#offer(wanted);
    else this.pictureChanged();
  }
}
