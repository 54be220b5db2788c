// @ts-check
// Makes the objects of wasm.js from the pieces in which the node tells its events (wasm-peer/src/event.rs).

/** What the texts of an event are called. @type {Record<string, string[]>} */
const TEXTS = {
  incoming: ['uri', 'name', 'instance', 'offer'],
  missed: ['uri', 'name'],
  answered: ['answer'],
  offered: ['offer'],
  renegotiated: ['answer'],
  ended: ['reason'],
  problem: ['code'],
};
/** What the number of an event says. @type {Record<string, string>} */
const FLAGS = { candidates: 'complete', 'not-renegotiated': 'glare', ended: 'remote', incoming: 'bridged', answered: 'bridged' };

/**
 * @param {string} type
 * @param {number} call 0 for an event that belongs to no call
 * @param {number} number
 * @param {string[]} texts
 * @returns {import('./wasm.js').NodeEvent}
 */
export function toEvent(type, call, number, texts) {
  /** @type {Record<string, unknown>} */
  const event = { type };
  if (call) event.call = call;
  TEXTS[type]?.forEach((name, place) => { event[name] = texts[place]; });
  if (FLAGS[type]) event[FLAGS[type]] = number === 1;
  if ('name' in event) event.name ||= null;
  if (type === 'associations') event.up = number;
  if (type === 'welcome') [event.superNodes, event.stun] = [texts.slice(0, number), texts.slice(number)];
  if (type === 'candidates') event.candidates = triples(texts);
  return /** @type {import('./wasm.js').NodeEvent} */ (/** @type {unknown} */ (event));
}

/** @param {string[]} texts */
function triples(texts) {
  const candidates = [];
  for (let at = 0; at < texts.length; at += 3) {
    const [mid, line, ufrag] = texts.slice(at, at + 3);
    candidates.push({ mid, line, ufrag });
  }
  return candidates;
}
