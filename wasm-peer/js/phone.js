// @ts-check
// The entry: a phone, that is one identity in one browser.
import { isLoopback, requireBrowser } from './browser.js';
import { Call } from './call.js';
import { emit } from './emit.js';
import { PhoneError, phoneError } from './errors.js';
import { Identity } from './identity.js';
import { isCallable } from './names.js';
import { knownSuperNodes, network } from './network.js';
import { watchPresence } from './presence.js';
import { Registration } from './registration.js';
import { TabLock } from './tabs.js';
import { loadPeer } from './wasm.js';

export { Call, PhoneError };

/** @typedef {import('./index.js').PhoneState} PhoneState */

export class Phone extends EventTarget {
  /** @type {PhoneState} */ state = 'signing-in';
  #origin;
  /** @type {Promise<import('./network.js').Network>} */ #network;
  /** @type {import('./network.js').Network | null} */ #known = null;
  /** @type {Identity | null} */ #identity = null;
  /** @type {Registration | null} */ #registration = null;
  #away = false;
  #relayOnly = false;
  #lock = new TabLock({ lost: () => this.#waitForTurn(), signedOut: () => this.#signedOut() });

  constructor({ origin = location.origin, relayOnly = false } = {}) {
    super();
    this.#relayOnly = relayOnly;
    this.#origin = origin;
    this.#network = this.#learn();
    loadPeer().catch(() => {});
    watchPresence({ gone: () => this.#pause(), back: () => this.#resume() });
  }

  /** @returns {import('./index.js').Identity | null} */
  get identity() {
    if (!this.#identity) return null;
    const { uri, name, guest, expires } = this.#identity.credential;
    return { uri, name, guest, expires };
  }

  get accountUrl() {
    return this.#known?.login ? new URL('/account', this.#known.login).href : null;
  }

  get relayOnly() {
    return this.#relayOnly;
  }

  set relayOnly(value) {
    this.#relayOnly = value;
    this.#registration?.hide(value);
  }

  /** @returns {readonly Call[]} */
  get calls() {
    return this.#registration?.calls ?? [];
  }

  async start() {
    try {
      requireBrowser();
      const returned = /[#&]state=/.test(location.hash)
        ? await Identity.finishSignIn(loginOf(await this.#network)) : null;
      const identity = returned ?? await Identity.restore();
      if (identity) {
        this.#requireNetwork(identity);
        return await this.#enter(identity);
      }
      loginOf(await this.#network);
    } catch (error) {
      this.#problem(error);
    }
    this.#setState('signed-out');
  }

  /** @param {{ hint?: string }} [options] */
  async signIn({ hint } = {}) {
    await Identity.leaveToSignIn(await this.#needLogin(), { hint });
  }

  async createAccount() {
    await Identity.leaveToSignIn(await this.#needLogin(), { create: true });
  }

  /** @param {string} [name] */
  async signInAsGuest(name) {
    this.#setState('signing-in');
    try {
      await this.#enter(await Identity.asGuest(await this.#needLogin(), name));
    } catch (error) {
      this.#setState('signed-out');
      throw error;
    }
  }

  async signOut() {
    await this.#registration?.leave();
    // the account's list of devices may go on naming this one: its key is gone all the same
    if (this.#known?.login) this.#identity?.revoke(this.#known.login).catch(() => {});
    await Identity.forget();
    this.#lock.announceSignOut();
    this.#signedOut();
  }

  async takeOver() {
    if (this.#identity && await this.#lock.steal()) await this.#register(this.#identity);
  }

  /** @param {string} [target] @param {{ audio?: import('./devices.js').Wish }} [choice] */
  warm(target, { audio } = {}) {
    this.#registration?.warm(target, audio);
  }

  /**
   * @param {string} target
   * @param {import('./index.js').MediaChoice} [choice]
   */
  call(target, { audio = true, video = true } = {}) {
    if (!this.#registration) throw new PhoneError(this.#identity ? 'other-tab' : 'signed-out');
    const name = target.trim();
    if (!isCallable(name)) throw new PhoneError('bad-name', name);
    return this.#registration.call(name, { audio, video });
  }

  async #learn() {
    const known = network(this.#origin).then((answer) => (this.#known = answer));
    known.catch(() => {});
    return known;
  }

  /** The network, asked for again if it wasn't there at the start. */
  async #needNetwork() {
    return this.#network.catch(() => (this.#network = this.#learn()));
  }

  async #needLogin() {
    return loginOf(await this.#needNetwork());
  }

  /** Signs out whoever was signed in to another network that was at this address. @param {Identity} identity */
  async #requireNetwork(identity) {
    const known = await this.#network.catch(() => null);
    if (!known || known.overlay === identity.credential.overlay || this.#identity !== identity) return;
    await Identity.forget();
    this.#signedOut();
    if (!isLoopback()) this.#problem(new PhoneError('root-changed', known.overlay));
  }

  /** @param {Identity} identity */
  async #enter(identity) {
    this.#leave();
    this.#identity = identity;
    this.#setState('signing-in', true);
    if (await this.#lock.take()) return this.#register(identity);
    this.#waitForTurn();
  }

  /** Another tab has the phone: says so, and waits until that is closed. */
  #waitForTurn() {
    this.#leave();
    this.#problem(new PhoneError('other-tab'));
    this.#setState('reconnecting');
    this.#lock.wait().then((held) => {
      if (!held) return;
      if (!this.#identity) this.#lock.release();
      else if (!this.#registration) return this.#register(this.#identity);
    });
  }

  /** @param {Identity} identity @param {PhoneState} state until it is ready */
  async #register(identity, state = 'signing-in') {
    if (!this.#identity || this.#away) this.#lock.release();
    if (this.#identity !== identity || this.#away) return;
    this.#setState(state);
    const [Peer, superNodes] = await Promise.all([loadPeer(), knownSuperNodes(this.#origin)]);
    const registration = await Registration.open(Peer, identity, superNodes, {
      network: () => this.#needNetwork(),
      login: () => this.#needLogin(),
      state: (state) => this.#setState(state),
      identity: (fresh) => { this.#identity = fresh; this.#setState(this.state, true); },
      incoming: (call) => emit(this, 'incoming', { call }),
      missed: (peer) => emit(this, 'missed', { peer }),
      associations: (up) => emit(this, 'associations', { up }),
      problem: (error) => this.#problem(error),
      ended: () => this.#signedOut(),
    });
    // Meanwhile the page may have gone, or gone and come back.
    if (this.#identity !== identity || this.#away || this.#registration) return registration.close();
    this.#registration = registration;
    registration.hide(this.#relayOnly);
  }

  /** The page goes, perhaps to come back: callers shall hear at once that nobody is here. */
  #pause() {
    if (!this.#identity || this.#away) return;
    this.#away = true;
    this.#leave();
    this.#lock.release();
    this.#setState('reconnecting');
  }

  async #resume() {
    if (!this.#away) return;
    this.#away = false;
    if (!this.#identity) return;
    if (await this.#lock.take()) await this.#register(this.#identity, 'reconnecting');
    else this.#waitForTurn();
  }

  #leave() {
    this.#registration?.close();
    this.#registration = null;
  }

  #signedOut() {
    this.#leave();
    this.#identity = null;
    this.#lock.release();
    this.#setState('signed-out');
  }

  /** @param {PhoneState} state @param {boolean} [anyway] also if it is the same */
  #setState(state, anyway = false) {
    if (state === this.state && !anyway) return;
    this.state = state;
    emit(this, 'state', { state });
  }

  /** @param {unknown} error */
  #problem(error) {
    const { code, detail } = phoneError(error);
    emit(this, 'problem', { code, detail });
  }
}

/**
 * The origin of the login server. A network may do without one, but then nobody signs in from a page.
 * @param {import('./network.js').Network} network
 */
function loginOf({ login }) {
  if (!login) throw new PhoneError('no-sign-in');
  return login;
}
