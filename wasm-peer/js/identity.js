// @ts-check
// Who this browser is: its keys, the certificate over them, the pinned root, and the certificate of its media.
import { isLoopback } from './browser.js';
import { PhoneError } from './errors.js';
import * as login from './login.js';
import { keep, load } from './storage.js';

/** @typedef {import('./login.js').Credential} Credential */
/** @typedef {import('./login.js').Keys} Keys */

const DAY = 86_400_000;
/** An RTCCertificate lasts a year and is replaced when less than this is left. */
const MEDIA_CERTIFICATE_LEFT = 30 * DAY;

export class Identity {
  /** @type {Keys} */ keys;
  /** @type {Credential} */ credential;
  /** @type {RTCCertificate} */ mediaCertificate;

  /** @param {Keys} keys @param {Credential} credential @param {RTCCertificate} mediaCertificate */
  constructor(keys, credential, mediaCertificate) {
    this.keys = keys;
    this.credential = credential;
    this.mediaCertificate = mediaCertificate;
  }

  /**
   * Brings back what this browser kept.
   * @returns {Promise<Identity | null>} `null` if it kept nothing
   * @throws {PhoneError} `credential-expired`, once, if the credential has ended
   */
  static async restore() {
    const [keys, credential] = await Promise.all([load('keys'), load('credential')]);
    if (!keys || !credential) return null;
    if (credential.expires <= Date.now()) {
      await keep({ credential: undefined });
      throw new PhoneError('credential-expired');
    }
    return new Identity(keys, credential, await mediaCertificate());
  }

  /**
   * Finishes a sign-in if this page load is the return from the login server.
   * @param {string} server origin of the login server
   * @returns {Promise<Identity | null>} `null` if it isn't
   */
  static async finishSignIn(server) {
    const pending = await load('pending');
    const answer = login.takeReturn(pending);
    if (!answer) return null;
    await keep({ pending: undefined });
    if ('error' in answer) {
      if (answer.error === 'access_denied') return null;
      throw new PhoneError('login-refused', answer.error);
    }
    return Identity.#adopt(pending.keys, await login.redeem(server, answer.code, pending));
  }

  /** @param {string} server @param {string} [name] @returns {Promise<Identity>} */
  static async asGuest(server, name) {
    const keys = await login.makeKeys();
    return Identity.#adopt(keys, await login.guest(server, keys, name));
  }

  /**
   * Leaves for the login server, with the key that the certificate shall be for.
   * @param {string} server @param {{ hint?: string, create?: boolean }} options
   */
  static async leaveToSignIn(server, options) {
    const { url, pending } = await login.authorization(server, await login.makeKeys(), options);
    await keep({ pending });
    location.assign(url);
  }

  /** Forgets this identity. The network that was pinned stays pinned. */
  static async forget() {
    await keep({ keys: undefined, credential: undefined, mediaCertificate: undefined, pending: undefined });
  }

  /** Milliseconds until the credential should be renewed: half of its life, or at once. */
  get renewIn() {
    const { expires, issued = Date.now() } = this.credential;
    return Math.max(0, issued + (expires - issued) / 2 - Date.now());
  }

  /** @param {string} server @returns {Promise<Identity>} the same person with a later certificate */
  async renew(server) {
    return Identity.#adopt(this.keys, await login.renew(server, this.keys, this.credential));
  }

  /** Tells the login server that this device is done. A guest's key ends with the page. @param {string} server */
  async revoke(server) {
    if (!this.credential.guest) await login.revoke(server, this.keys, this.credential);
  }

  /** SHA-256 fingerprint of the media certificate, as in SDP: `AB:CD:..`. */
  async mediaFingerprint() {
    const known = this.mediaCertificate.getFingerprints?.().find(({ algorithm }) => algorithm === 'sha-256')?.value;
    return (known ?? await fingerprintFromOffer(this.mediaCertificate)).toUpperCase();
  }

  /** @param {Keys} keys @param {Credential} fresh */
  static async #adopt(keys, fresh) {
    const pins = (await load('pins')) ?? {};
    const changed = pins[fresh.domain] !== undefined && pins[fresh.domain] !== fresh.root;
    if (changed && !isLoopback()) throw new PhoneError('root-changed', fresh.domain);
    const credential = { ...fresh, issued: Date.now() };
    await keep({ keys, credential, pins: { ...pins, [fresh.domain]: fresh.root } });
    return new Identity(keys, credential, await mediaCertificate());
  }
}

/** @returns {Promise<RTCCertificate>} the kept one, or a new one if that is gone or old */
async function mediaCertificate() {
  const kept = await load('mediaCertificate');
  if (kept && kept.expires - Date.now() > MEDIA_CERTIFICATE_LEFT) return kept;
  const parameters = { name: 'ECDSA', namedCurve: 'P-256', expires: 365 * DAY };
  const fresh = await RTCPeerConnection.generateCertificate(parameters);
  await keep({ mediaCertificate: fresh });
  return fresh;
}

/** @param {RTCCertificate} certificate */
async function fingerprintFromOffer(certificate) {
  const connection = new RTCPeerConnection({ certificates: [certificate] });
  try {
    connection.createDataChannel('');
    const { sdp = '' } = await connection.createOffer();
    return /a=fingerprint:sha-256 (\S+)/i.exec(sdp)?.[1] ?? '';
  } finally {
    connection.close();
  }
}
