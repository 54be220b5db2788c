// @ts-check
// The node itself, written in Rust: loaded once, and its events' types.
import * as glue from './wasm_peer.js';

/** @typedef {{ mid: string, line: string, ufrag: string }} Candidate */
/**
 * What a peer reports.
 * @typedef {{ type: 'associations', up: number }
 *   | { type: 'welcome', superNodes: string[], stun: string[] }
 *   | { type: 'revocations', bytes: Uint8Array }
 *   | { type: 'online' } | { type: 'not-online' } | { type: 'offline' }
 *   | { type: 'missed', uri: string, name: string | null }
 *   | { type: 'problem', code: string }
 *   | CallEvent} NodeEvent
 */
/**
 * What a peer reports of a call.
 * @typedef {{ type: 'incoming', call: number, uri: string, name: string | null, instance: string, offer: string, bridged: boolean }
 *   | { type: 'ringing', call: number }
 *   | { type: 'answered', call: number, answer: string, bridged: boolean }
 *   | { type: 'established', call: number }
 *   | { type: 'candidates', call: number, candidates: Candidate[], complete: boolean }
 *   | { type: 'offered', call: number, offer: string }
 *   | { type: 'renegotiated', call: number, answer: string }
 *   | { type: 'not-renegotiated', call: number, glare: boolean }
 *   | { type: 'ended', call: number, reason: import('./index.js').EndCode, remote: boolean }} CallEvent
 */

/** @type {Promise<void> | null} */
let loading = null;

/** Loads the node's code. Calling it early saves the wait. @returns {Promise<typeof glue.Peer>} */
export async function loadPeer() {
  loading ??= load();
  try {
    await loading;
  } catch (error) {
    loading = null;
    throw error;
  }
  return glue.Peer;
}

async function load() {
  const module = fetch(new URL('./wasm_peer_bg.wasm', import.meta.url));
  const { instance } = await WebAssembly.instantiateStreaming(module, { './wasm_peer_bg.js': glue });
  glue.__wbg_set_wasm(instance.exports);
  /** @type {() => void} */ (instance.exports.__wbindgen_start)();
}
