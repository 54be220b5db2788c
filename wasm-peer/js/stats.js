// @ts-check

/**
 * Reads a peer connection's statistics down to what a call screen shows.
 * @param {RTCPeerConnection} connection
 * @returns {Promise<import('./index.js').CallStats>}
 */
export async function readStats(connection) {
  /** @type {Map<string, any>} */
  const report = new Map(/** @type {any} */ (await connection.getStats()));
  const all = [...report.values()];
  const pair = chosenPair(report, all);
  const relayed = [pair?.localCandidateId, pair?.remoteCandidateId]
    .some((id) => report.get(id)?.candidateType === 'relay');
  const inbound = all.filter(({ type }) => type === 'inbound-rtp');
  const audio = inbound.find(({ kind }) => kind === 'audio');
  const video = inbound.find(({ kind }) => kind === 'video');
  return {
    path: pair ? (relayed ? 'relayed' : 'direct') : null,
    rtt: milliseconds(pair?.currentRoundTripTime),
    bytesReceived: pair?.bytesReceived ?? 0,
    bytesSent: pair?.bytesSent ?? 0,
    packetsReceived: sum(inbound, 'packetsReceived'),
    packetsLost: sum(inbound, 'packetsLost'),
    jitter: milliseconds(audio?.jitter),
    framesDecoded: video?.framesDecoded ?? 0,
    frameWidth: video?.frameWidth ?? 0,
    frameHeight: video?.frameHeight ?? 0,
    audioCodec: report.get(audio?.codecId)?.mimeType ?? null,
    videoCodec: report.get(video?.codecId)?.mimeType ?? null,
  };
}

/** The pair of addresses in use. Firefox has no transport's entry and marks the pair instead. @param {Map<string, any>} report @param {any[]} all */
function chosenPair(report, all) {
  const transport = all.find(({ type, selectedCandidatePairId }) => type === 'transport' && selectedCandidatePairId);
  return report.get(transport?.selectedCandidatePairId)
    ?? all.find(({ type, selected, nominated, state }) =>
      type === 'candidate-pair' && (selected || (nominated && state === 'succeeded')));
}

/** @param {number | undefined} seconds */
const milliseconds = (seconds) => (seconds === undefined ? null : seconds * 1000);

/** @param {any[]} entries @param {string} field @returns {number} */
const sum = (entries, field) => entries.reduce((total, entry) => total + (entry[field] ?? 0), 0);
