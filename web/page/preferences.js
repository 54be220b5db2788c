// @ts-check
// What this browser remembers for its user. A browser that forbids storage just forgets.

const PREFIX = 'partyline.';

/**
 * @template T
 * @param {string} key
 * @param {T} otherwise also the answer if what is stored is of another type
 * @returns {T}
 */
export function recall(key, otherwise) {
  try {
    const stored = localStorage.getItem(PREFIX + key);
    const value = stored === null ? otherwise : JSON.parse(stored);
    return typeof value === typeof otherwise && Array.isArray(value) === Array.isArray(otherwise) ? value : otherwise;
  } catch {
    return otherwise;
  }
}

/** @param {string} key @param {unknown} value */
export function remember(key, value) {
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // Full or forbidden: the choice holds until the page is closed.
  }
}

/** What to ask the browser for: the chosen device if it is still there, else any.
 * @param {'microphone' | 'camera'} kind
 * @returns {true | MediaTrackConstraints} */
export function constraints(kind) {
  const id = recall(kind, '');
  return id ? { deviceId: { ideal: id } } : true;
}
