// @ts-check
// The few things that must be known of a session description without a peer connection (RFC 8866, RFC 9429).

/** @typedef {'sendrecv' | 'sendonly' | 'recvonly' | 'inactive'} Direction */
/** @typedef {import('./wasm.js').Candidate} Candidate */

const DIRECTION = /^a=(sendrecv|sendonly|recvonly|inactive)\r?$/m;

/** @param {string} sdp @returns {string[]} the session part, then one string per media section */
function sections(sdp) {
  return sdp.split(/^(?=m=)/m);
}

/** @param {string[]} parts @param {'audio' | 'video'} kind */
const find = (parts, kind) => parts.findIndex((part) => part.startsWith(`m=${kind} `));

/**
 * The direction of the first section of a kind, from the sender's point of view.
 * @param {string} sdp @param {'audio' | 'video'} kind @returns {Direction}
 */
function direction(sdp, kind) {
  const parts = sections(sdp);
  const section = parts[find(parts, kind)];
  // Port 0 refuses a section, unless that travels with another one (RFC 9143 §6).
  if (!section || (section.startsWith(`m=${kind} 0 `) && !/^a=bundle-only/m.test(section))) return 'inactive';
  return /** @type {Direction} */ ((DIRECTION.exec(section) ?? DIRECTION.exec(parts[0]))?.[1] ?? 'sendrecv');
}

/** Which generation of addresses a description has. @param {string} sdp */
export function generation(sdp) {
  return /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1];
}

/** Whether a description says that its sender sends, or would send, a picture. @param {string} sdp */
export function sendsVideo(sdp) {
  return direction(sdp, 'video').startsWith('send');
}

/**
 * Says that we don't send a kind now. Only ever takes back what the peer connection is ready for, so both sides
 * stay consistent; a later offer gives it again.
 * @param {string} sdp @param {'audio' | 'video'} kind @returns {string}
 */
export function withoutSending(sdp, kind) {
  const parts = sections(sdp);
  const index = find(parts, kind);
  if (index < 0) return sdp;
  parts[index] = parts[index].replace(/^a=sendrecv/m, 'a=recvonly').replace(/^a=sendonly/m, 'a=inactive');
  return parts.join('');
}

/**
 * Takes the candidates out of a description, to be given to the peer connection later.
 * @param {string} sdp @returns {{ sdp: string, candidates: Candidate[] }}
 */
export function splitCandidates(sdp) {
  /** @type {Candidate[]} */
  const candidates = [];
  const parts = sections(sdp).map((part) => {
    const mid = /^a=mid:(\S+)/m.exec(part)?.[1] ?? '';
    const ufrag = generation(part) ?? '';
    return part.replace(/^a=(candidate:.*|end-of-candidates)\r?\n/gm, (_, line) => {
      if (line.startsWith('candidate:')) candidates.push({ mid, line: line.trim(), ufrag });
      return '';
    });
  });
  return { sdp: parts.join(''), candidates };
}
