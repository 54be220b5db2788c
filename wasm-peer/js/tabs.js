// @ts-check
// One identity, several tabs: only the tab that holds the lock is on the network.

const NAME = 'partyline phone';

/** Holds the phone for this tab. */
export class TabLock {
  #lost;
  #channel = new BroadcastChannel(NAME);
  /** @type {(() => void) | null} */ #release = null;
  #waiting = new AbortController();

  /** @param {{ lost: () => void, signedOut: () => void }} on `lost`: another tab took the phone over */
  constructor({ lost, signedOut }) {
    this.#lost = lost;
    this.#channel.onmessage = ({ data }) => { if (data === 'signed-out') signedOut(); };
  }

  /** Takes the phone if no tab has it. @returns {Promise<boolean>} */
  take() {
    return this.#request({ ifAvailable: true });
  }

  /** Waits until the tab that has the phone is closed. @returns {Promise<boolean>} */
  wait() {
    this.#waiting.abort();
    this.#waiting = new AbortController();
    return this.#request({ signal: this.#waiting.signal });
  }

  /** Takes the phone from whichever tab has it. @returns {Promise<boolean>} */
  steal() {
    this.#waiting.abort();
    return this.#request({ steal: true });
  }

  /** Gives the phone back. */
  release() {
    this.#waiting.abort();
    this.#release?.();
    this.#release = null;
  }

  /** Tells the other tabs that this browser has signed out. */
  announceSignOut() {
    this.#channel.postMessage('signed-out');
  }

  /** @param {LockOptions} options @returns {Promise<boolean>} */
  #request(options) {
    if (this.#release) return Promise.resolve(true);
    return new Promise((resolve) => {
      const held = navigator.locks.request(NAME, options, (lock) => {
        resolve(lock !== null);
        return lock && new Promise((free) => { this.#release = () => free(undefined); });
      });
      held.catch(() => {
        const had = this.#release !== null;
        this.#release = null;
        resolve(false);
        if (had) this.#lost();
      });
    });
  }
}
