// @ts-check
// Which network the page belongs to, and where its super nodes are: asked of the page's server, else remembered.
import { PhoneError } from './errors.js';
import { keep, load } from './storage.js';

/** @typedef {{ overlay: string, domain: string, login: string | null, bootstrap: string[], node: string }} Network */

/** Milliseconds that an answer may take. */
const PATIENCE = 4_000;
/** Most super nodes to remember. */
const MOST = 16;

/**
 * Learns the network from the super node at `origin`; if that doesn't answer, from the last visit.
 * @param {string} origin @returns {Promise<Network>}
 */
export async function network(origin) {
  try {
    const answer = await json(new URL('/.well-known/partyline', origin));
    await keep({ network: answer });
    return answer;
  } catch (error) {
    const kept = await load('network');
    if (kept) return kept;
    throw new PhoneError('no-super-node', String(error));
  }
}

/**
 * WebSocket addresses of super nodes to try, best first: the page's own server, then those known from earlier.
 * @param {string} origin @returns {Promise<string[]>}
 */
export async function knownSuperNodes(origin) {
  const own = new URL('/p2psip', origin);
  own.protocol = own.protocol.replace('http', 'ws');
  return [...new Set([own.href, ...((await load('superNodes')) ?? [])])];
}

/** @param {string[]} addresses */
export async function rememberSuperNodes(addresses) {
  await keep({ superNodes: addresses.slice(0, MOST) });
}

/**
 * Asks every bootstrap server; whoever answers counts.
 * @param {Network} known @returns {Promise<string[]>} WebSocket addresses
 */
export async function askBootstrap({ bootstrap }) {
  const answers = await Promise.allSettled(bootstrap.map((server) => json(new URL('/super-nodes', server))));
  const lists = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.super_nodes ?? [] : []));
  return [...new Set(lists.flat().map(({ ws }) => String(ws)))].slice(0, MOST);
}

/** @param {URL} url */
async function json(url) {
  const response = await fetch(url, { credentials: 'omit', cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
}
