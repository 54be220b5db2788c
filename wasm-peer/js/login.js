// @ts-check
// The login server's endpoints: authorization code with PKCE (RFC 7636, RFC 9700), guests, renewal.
import { base64, base64url, randomBytes } from './bytes.js';
import { PhoneError } from './errors.js';

/**
 * What the login server hands out: a certificate over a key of this browser.
 * @typedef {{ uri: string, name: string, guest: boolean, certificate: string, root: string, overlay: string,
 *   domain: string, expires: number, issued?: number }} Credential
 */
/** @typedef {{ privateKey: CryptoKey, publicKey: CryptoKey, instance: string }} Keys */
/** @typedef {{ verifier: string, state: string, keys: Keys, hash: string }} Pending */

const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' };
/** Milliseconds that an answer may take. */
const PATIENCE = 10_000;

/** @param {Keys} keys */
async function spki(keys) {
  return base64(await crypto.subtle.exportKey('spki', keys.publicKey));
}

/** Makes the key pair of this browser, which can sign but never be read, and its instance id (RFC 5626 §4.1). */
export async function makeKeys() {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
  return { privateKey: pair.privateKey, publicKey: pair.publicKey, instance: crypto.randomUUID() };
}

/**
 * The address at which the user proves who he is, and what must be remembered until he is back.
 * @param {string} login origin of the login server
 * @param {Keys} keys
 * @param {{ hint?: string, create?: boolean }} options
 * @returns {Promise<{ url: string, pending: Pending }>}
 */
export async function authorization(login, keys, { hint, create }) {
  const verifier = base64url(randomBytes(32));
  const state = base64url(randomBytes(16));
  const challenge = base64url(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier)));
  const url = new URL('/authorize', login);
  const query = {
    response_type: 'code', client_id: 'page', redirect_uri: here(), state,
    code_challenge: challenge, code_challenge_method: 'S256',
    public_key: await spki(keys), instance: keys.instance,
    ...(hint && { login_hint: hint }), ...(create && { prompt: 'create' }),
  };
  url.search = new URLSearchParams(query).toString();
  return { url: url.href, pending: { verifier, state, keys, hash: location.hash } };
}

/**
 * Takes what the login server put into the address's fragment, and takes it out of the address.
 * @param {Pending | undefined} pending
 * @returns {{ code: string } | { error: string } | null} `null` if this page load is no such return
 */
export function takeReturn(pending) {
  const answer = new URLSearchParams(location.hash.slice(1));
  const [code, error, state] = [answer.get('code'), answer.get('error'), answer.get('state')];
  if (!state || !(code || error)) return null;
  history.replaceState(null, '', here() + (pending?.hash ?? ''));
  if (state !== pending?.state) return { error: 'the answer belongs to another sign-in' };
  return code ? { code } : { error: String(error) };
}

/** @param {string} login @param {string} code @param {Pending} pending @returns {Promise<Credential>} */
export function redeem(login, code, pending) {
  return post(login, '/token', { code, code_verifier: pending.verifier });
}

/** @param {string} login @param {Keys} keys @param {string} [name] @returns {Promise<Credential>} */
export async function guest(login, keys, name) {
  return post(login, '/guest', { public_key: await spki(keys), instance: keys.instance, ...(name && { name }) });
}

/**
 * Renews a credential by its own key, without a password.
 * @param {string} login @param {Keys} keys @param {Credential} credential @returns {Promise<Credential>}
 */
export async function renew(login, keys, credential) {
  const publicKey = await spki(keys);
  return post(login, '/renew', { public_key: publicKey, ...await proof('renew', keys, credential, publicKey) });
}

/**
 * Ends this device's certificates. Nobody has to wait for it, and it goes on while the page closes.
 * @param {string} login @param {Keys} keys @param {Credential} credential
 */
export async function revoke(login, keys, credential) {
  await post(login, '/revoke', await proof('revoke', keys, credential), { keepalive: true });
}

/**
 * What shows the login server that this device asks, and that it asks now.
 * @param {string} what @param {Keys} keys @param {Credential} credential @param {string[]} more
 */
async function proof(what, keys, { certificate, overlay }, ...more) {
  const timestamp = Date.now();
  const text = [`partyline ${what} 1`, overlay, timestamp, ...more].join('\n');
  const signature = await crypto.subtle.sign(SIGNATURE, keys.privateKey, new TextEncoder().encode(text));
  return { certificate, timestamp, signature: base64(signature) };
}

/** @param {string} login @param {string} path @param {object} body @param {RequestInit} [options] */
async function post(login, path, body, options) {
  let response;
  try {
    response = await fetch(new URL(path, login), {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
      credentials: 'omit', signal: AbortSignal.timeout(PATIENCE), ...options,
    });
  } catch (error) {
    throw new PhoneError('no-login-server', String(error));
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new PhoneError('login-refused', answer.sentence ?? `HTTP ${response.status}`);
  return answer;
}

/** This page's address without query and fragment. */
function here() {
  return location.origin + location.pathname;
}
