// @ts-check
// What the node asks of the browser: WebSockets, signatures by WebCrypto, the time. wasm-peer/src/host.rs says what each
// method does. Nothing here throws, for that would leave the node in the middle of something.
import { toEvent } from './events.js';

/** @typedef {import('./wasm_peer.js').Peer} Peer */
/**
 * What a peer starts from.
 * @typedef {{ root: Uint8Array, certificate: Uint8Array, key: CryptoKey, name: string | null, superNodes: string[],
 *   revocations?: Uint8Array }} Settings
 */

const SUBPROTOCOL = 'p2psip.1';
/** Bytes (or UTF-16 units) of one message. */
const LARGEST = 64 * 1024;
/** Milliseconds; browsers treat more as zero. */
const LONGEST = 2 ** 31 - 1;
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
/** Imported keys kept at once. */
const REMEMBERED = 16;

/**
 * Starts a node that reports to `listener`. What the listener throws is the page's affair.
 * @param {typeof import('./wasm_peer.js').Peer} Peer
 * @param {Settings} settings
 * @param {(event: import('./wasm.js').NodeEvent) => void} listener
 */
export function startPeer(Peer, { root, certificate, key, name, superNodes, revocations }, listener) {
  const host = new Host(key, listener);
  const peer = Peer.start(root, certificate, name ?? undefined, superNodes.join(' '), revocations ?? new Uint8Array(), host);
  if (!peer) throw new Error('bad certificate');
  host.peer = peer;
  return peer;
}

class Host {
  /** Who is reported to; nobody once it is closed, so that both can be collected. @type {Peer | null} */ peer = null;
  started = Date.now();
  #date = this.started;
  #performance = performance.now();
  #elapsed = 0;
  #key;
  #listener;
  /** @type {Map<string, Promise<CryptoKey>>} */ #keys = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  /** Those of the event that follows. @type {string[]} */ #texts = [];

  /** @param {CryptoKey} key @param {(event: import('./wasm.js').NodeEvent) => void} listener */
  constructor(key, listener) {
    this.#key = key;
    this.#listener = listener;
  }

  /**
   * `performance.now()` stands still while some devices sleep, and `Date.now()` jumps when the date is set. Time goes on
   * by whichever went further, so that it never goes back and never misses a night.
   */
  now() {
    const [date, elapsed] = [Date.now(), performance.now()];
    this.#elapsed += Math.max(date - this.#date, elapsed - this.#performance, 0);
    [this.#date, this.#performance] = [date, elapsed];
    return this.#elapsed;
  }

  /** @param {Uint8Array<ArrayBuffer>} bytes */
  random(bytes) {
    crypto.getRandomValues(bytes);
  }

  /** @param {number} delay */
  wake(delay) {
    clearTimeout(this.#timer);
    // Rounded up: a timer that fires early would only be set again.
    if (delay >= 0) this.#timer = setTimeout(() => this.peer?.due(), Math.min(Math.ceil(delay), LONGEST));
  }

  /** The node keeps the socket and sends on it. @param {number} link @param {string} url @returns {WebSocket | undefined} */
  dial(link, url) {
    try {
      const socket = new WebSocket(url, SUBPROTOCOL);
      socket.binaryType = 'arraybuffer';
      // A server that chose no subprotocol is none of ours.
      socket.onopen = () => (socket.protocol === SUBPROTOCOL ? this.peer?.opened(link) : socket.close());
      socket.onmessage = ({ data }) => this.#receive(link, data);
      socket.onclose = () => this.peer?.closed(link);
      return socket;
    } catch {
      return undefined;
    }
  }

  /** A message beyond the size that any peer may send is dropped here. @param {number} link @param {string | ArrayBuffer} data */
  #receive(link, data) {
    if (typeof data === 'string') {
      if (data.length <= LARGEST) this.peer?.text(link, data);
    } else if (data.byteLength <= LARGEST) {
      this.peer?.frame(link, new Uint8Array(data));
    }
  }

  /** @param {WebSocket} socket @param {Uint8Array<ArrayBuffer>} bytes */
  frame(socket, bytes) {
    socket.send(bytes);
  }

  /** @param {WebSocket} socket @param {string} text */
  text(socket, text) {
    socket.send(text);
  }

  /** @param {WebSocket} socket */
  hangUp(socket) {
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  close() {
    this.peer = null;
  }

  /** A key that can't sign leaves the node waiting. @param {number} job @param {Uint8Array<ArrayBuffer>} message */
  async sign(job, message) {
    const signature = await crypto.subtle.sign(ECDSA, this.#key, message).catch(() => null);
    if (signature) this.peer?.signed(job, new Uint8Array(signature));
  }

  /**
   * What can't be checked is not valid. The arguments lie in the node's memory: they are copied before anything waits.
   * @param {number} job @param {Uint8Array} key @param {Uint8Array} signature @param {Uint8Array} message
   */
  async verify(job, key, signature, message) {
    const [imported, ...copies] = [this.#import(key.slice()), signature.slice(), message.slice()];
    const valid = await imported.then((known) => crypto.subtle.verify(ECDSA, known, copies[0], copies[1])).catch(() => false);
    this.peer?.verified(job, valid);
  }

  /** The first key is the authority's: it signed what is checked first of all. @param {Uint8Array<ArrayBuffer>} point */
  #import(point) {
    const name = point.join();
    let key = this.#keys.get(name);
    if (!key) {
      const [first] = this.#keys;
      if (this.#keys.size >= REMEMBERED) this.#keys = new Map([first]);
      key = crypto.subtle.importKey('raw', point, ECDSA, false, ['verify']);
      this.#keys.set(name, key);
    }
    return key;
  }

  /** @param {string} text */
  with(text) {
    this.#texts.push(text);
  }

  /** @param {string} type @param {number} call @param {number} number */
  event(type, call, number) {
    const texts = this.#texts;
    this.#texts = [];
    this.#deliver(toEvent(type, call, number, texts));
  }

  /** @param {Uint8Array} list */
  revocations(list) {
    this.#deliver({ type: 'revocations', bytes: list.slice() });
  }

  /** @param {import('./wasm.js').NodeEvent} event */
  #deliver(event) {
    try {
      this.#listener(event);
    } catch (error) {
      reportError(error);
    }
  }
}
