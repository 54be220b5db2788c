// @ts-check
// Keeps a phone's screen from going dark during a call with pictures.

/** @param {import('./line.js').Line} line */
export function wakeful(line) {
  /** @type {Promise<WakeLockSentinel | null> | null} */
  let lock = null;
  // The browser takes the lock back when the page is hidden.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) lock = null;
    else line.changed();
  });

  return () => {
    const wanted = line.state === 'in-call' && !document.hidden;
    if (wanted && !lock) lock = navigator.wakeLock?.request('screen').catch(() => null) ?? Promise.resolve(null);
    if (wanted || !lock) return;
    void lock.then((held) => held?.release());
    lock = null;
  };
}
