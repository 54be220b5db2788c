// @ts-check
// A signed-in phone on the network: the node, its calls, and what is prepared for the next one.
import { fromBase64 } from './bytes.js';
import { Call } from './call.js';
import { PhoneError } from './errors.js';
import { startPeer } from './host.js';
import { nameOf, uriOf } from './names.js';
import { askBootstrap, rememberSuperNodes } from './network.js';
import { Preparation } from './preparation.js';
import { keep, load } from './storage.js';
import { Timers } from './timers.js';

/** @typedef {import('./identity.js').Identity} Identity */
/** @typedef {import('./wasm.js').NodeEvent} NodeEvent */
/**
 * @typedef {object} Listener
 * @property {() => Promise<import('./network.js').Network>} network
 * @property {() => Promise<string>} login origin of the login server
 * @property {(state: 'ready' | 'reconnecting') => void} state
 * @property {(identity: Identity) => void} identity the credential was renewed
 * @property {(call: Call) => void} incoming
 * @property {(up: number) => void} associations
 * @property {(caller: import('./index.js').Party) => void} missed somebody was told that this phone is busy
 * @property {(error: PhoneError) => void} problem
 * @property {() => void} ended the credential is no longer good
 */

/** Milliseconds after which the bootstrap server is asked too. */
const BOOTSTRAP_AFTER = 2_500;
/** Milliseconds that taking the location record back may take. */
const LEAVES_WITHIN = 1_500;
/** Milliseconds after which a renewal that failed is tried again. */
const RENEW_AGAIN = 600_000;

export class Registration {
  /** @type {import('./wasm_peer.js').Peer} */ #peer;
  #identity;
  #on;
  #preparation;
  /** @type {Map<number, Call>} */ #calls = new Map();
  #up = 0;
  #online = false;
  #wasReady = false;
  /** @type {(() => void) | null} */ #left = null;
  #closing = new AbortController();
  #timers = new Timers();

  /**
   * @param {typeof import('./wasm_peer.js').Peer} Peer
   * @param {Identity} identity
   * @param {string[]} superNodes WebSocket addresses, best first
   * @param {Listener} on
   */
  static async open(Peer, identity, superNodes, on) {
    const [fingerprint, revocations] = await Promise.all([identity.mediaFingerprint(), load('revocations')]);
    return new Registration(Peer, identity, on, { superNodes, fingerprint, revocations });
  }

  /**
   * @param {typeof import('./wasm_peer.js').Peer} Peer
   * @param {Identity} identity
   * @param {Listener} on
   * @param {{ superNodes: string[], fingerprint: string, revocations?: Uint8Array }} start
   */
  constructor(Peer, identity, on, { superNodes, fingerprint, revocations }) {
    this.#identity = identity;
    this.#on = on;
    this.#preparation = new Preparation(identity.mediaCertificate);
    const { credential, keys } = identity;
    this.#peer = startPeer(Peer, {
      root: fromBase64(credential.root), certificate: fromBase64(credential.certificate), key: keys.privateKey,
      name: credential.name, superNodes, revocations,
    }, (event) => this.#handle(event));
    this.#peer.goOnline(`sha-256 ${fingerprint}`);
    const { signal } = this.#closing;
    addEventListener('online', () => this.#networkChanged(), { signal });
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#peer.network(); }, { signal });
    this.#timers.after('renew', identity.renewIn, () => this.#renew());
    this.#timers.after('bootstrap', BOOTSTRAP_AFTER, () => this.#bootstrap());
  }

  get calls() {
    return [...this.#calls.values()];
  }

  /** @param {boolean} relayed whether only relays may carry calls from now on */
  hide(relayed) {
    this.#preparation.hide(relayed);
  }

  /** @param {string} [target] @param {import('./devices.js').Wish} [audio] */
  warm(target, audio = true) {
    if (target) this.#peer.warm(target);
    this.#preparation.warm(audio);
  }

  /** @param {string} target @param {import('./devices.js').Choice} choice */
  call(target, choice) {
    const id = this.#peer.call(target);
    const uri = uriOf(target, this.#identity.credential.domain);
    const call = this.#add(this.#preparation.take(), id, 'outgoing', { uri, name: nameOf(uri), verified: false });
    call.begin(choice);
    return call;
  }

  /** Hangs up and takes the location record back. */
  async leave() {
    for (const call of this.calls) call.hangUp();
    const left = new Promise((resolve) => { this.#left = () => resolve(undefined); });
    this.#peer.goOffline();
    await Promise.race([left, new Promise((resolve) => setTimeout(resolve, LEAVES_WITHIN))]);
  }

  /** Ends everything at once. A call that rings here goes on to ring at the user's other devices. */
  close() {
    for (const call of this.calls) call.leave();
    this.#closing.abort();
    this.#timers.stop();
    this.#preparation.close();
    this.#peer.close();
  }

  /** @param {NodeEvent} event */
  #handle(event) {
    switch (event.type) {
      case 'associations':
        this.#up = event.up;
        this.#on.associations(event.up);
        return this.#judge();
      case 'online':
      case 'not-online':
        this.#online = event.type === 'online';
        return this.#judge();
      case 'offline':
        return this.#left?.();
      case 'welcome':
        this.#preparation.expect(event.stun);
        return void rememberSuperNodes(event.superNodes);
      case 'revocations':
        return void keep({ revocations: event.bytes });
      case 'problem':
        return this.#problem(event.code);
      case 'missed':
        return this.#on.missed({ uri: event.uri, name: event.name ?? nameOf(event.uri), verified: true });
      case 'incoming': {
        const name = event.name ?? nameOf(event.uri);
        const call = this.#add(this.#preparation.incoming(), event.call, 'incoming', { uri: event.uri, name, verified: true, bridged: event.bridged });
        call.handle(event);
        return this.#on.incoming(call);
      }
      default:
        this.#calls.get(event.call)?.handle(event);
    }
  }

  /** @param {import('./media.js').Media} media @param {number} id @param {'outgoing' | 'incoming'} direction @param {import('./index.js').Party} party */
  #add(media, id, direction, party) {
    const call = new Call({ peer: this.#peer, devices: this.#preparation.devices, media }, { id, direction, party });
    this.#calls.set(id, call);
    call.addEventListener('ended', () => {
      this.#calls.delete(id);
      this.#preparation.expect();
    });
    return call;
  }

  #judge() {
    if (this.#up > 0) this.#timers.clear('bootstrap');
    else this.#timers.after('bootstrap', BOOTSTRAP_AFTER, () => this.#bootstrap());
    const ready = this.#up > 0 && this.#online;
    if (ready || this.#wasReady) this.#on.state(ready ? 'ready' : 'reconnecting');
    this.#wasReady ||= ready;
  }

  /** Misbehaviour of others is for the log: it was refused, and nothing has to be done while somebody else serves.
   * @param {string} code */
  #problem(code) {
    if (code === 'super-node-refused' && this.#up === 0) this.#on.problem(new PhoneError(code));
    const ends = code === 'credential-expired' || code === 'credential-revoked';
    if (!ends && code !== 'replaced') return console.warn(`partyline: ${code}`);
    this.#on.problem(new PhoneError(/** @type {any} */ (code)));
    if (ends) this.#on.ended();
  }

  #networkChanged() {
    this.#peer.network();
    for (const call of this.calls) call.networkChanged();
  }

  async #bootstrap() {
    try {
      const known = await askBootstrap(await this.#on.network());
      if (!this.#closing.signal.aborted) this.#peer.addSuperNodes(known.join(' '));
    } catch (error) {
      this.#on.problem(new PhoneError('no-super-node', String(error)));
    }
    if (this.#up === 0) this.#timers.after('bootstrap', BOOTSTRAP_AFTER * 4, () => this.#bootstrap());
  }

  async #renew() {
    try {
      this.#identity = await this.#identity.renew(await this.#on.login());
      const { certificate, name } = this.#identity.credential;
      if (!this.#peer.setCredential(fromBase64(certificate), name)) throw new Error('bad certificate');
      this.#peer.goOnline(`sha-256 ${await this.#identity.mediaFingerprint()}`);
      this.#on.identity(this.#identity);
      this.#timers.after('renew', this.#identity.renewIn, () => this.#renew());
    } catch {
      this.#timers.after('renew', RENEW_AGAIN, () => this.#renew());
    }
  }
}
