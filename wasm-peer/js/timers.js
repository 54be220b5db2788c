// @ts-check

/** Named timers that end together. */
export class Timers {
  /** @type {Record<string, ReturnType<typeof setTimeout>>} */ #running = {};
  #stopped = false;

  /** Sets a timer, instead of the one of its name. @param {string} name @param {number} delay milliseconds @param {() => void} act */
  after(name, delay, act) {
    this.clear(name);
    if (!this.#stopped) this.#running[name] = setTimeout(act, delay);
  }

  /** @param {string} name */
  clear(name) {
    clearTimeout(this.#running[name]);
  }

  /** Clears all, for good. */
  stop() {
    this.#stopped = true;
    Object.values(this.#running).forEach(clearTimeout);
  }
}
