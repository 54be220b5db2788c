// @ts-check
// One call's peer connection. Both kinds of media are negotiated from the start, so that opening a device late or
// turning a camera on needs no new call: a track is put into the transceiver that is there.
import { generation, splitCandidates, withoutSending } from './sdp.js';

/** @typedef {import('./wasm.js').Candidate} Candidate */
/**
 * @typedef {object} MediaEvents
 * @property {(candidate: Candidate) => void} candidate one of our addresses, after the description left
 * @property {() => void} gathered there are no more
 * @property {() => void} track the remote stream changed
 * @property {(state: RTCPeerConnectionState) => void} connection
 */

export class Media {
  remote = new MediaStream();
  /** @type {RTCPeerConnection} */ connection;
  /** @type {MediaEvents | null} */ #events = null;
  /** @type {Record<string, RTCRtpTransceiver>} */ #transceivers = {};
  /** The stream that ours are announced in. */
  #announced = new MediaStream();
  /** Whether our description has left: from then on candidates travel one by one. */
  #described = false;
  /** The generation (`a=ice-ufrag`) of which all addresses have been found. @type {string | undefined} */
  #complete;
  /** The other side's candidates while we may not answer its checks yet: `null` once we may. @type {Candidate[] | null} */
  #held = [];
  /** @type {Promise<void>} */ #ready = Promise.resolve();

  /**
   * @param {RTCCertificate} certificate
   * @param {string[]} servers of STUN, `stun:host:port`; and relays, `turn:.. turn:.. name password`
   * @param {boolean} [relayed] whether only relays may carry the call, which hides one's own address
   */
  constructor(certificate, servers, relayed) {
    this.connection = new RTCPeerConnection({
      certificates: [certificate],
      iceServers: iceServers(servers),
      iceTransportPolicy: relayed ? 'relay' : 'all',
      bundlePolicy: 'max-bundle',
    });
    this.connection.onicecandidate = ({ candidate }) => this.#gathered(candidate);
    this.connection.ontrack = ({ track }) => this.#received(track);
    this.connection.onconnectionstatechange = () => this.#events?.connection(this.connection.connectionState);
  }

  /** @param {MediaEvents} events */
  listen(events) {
    this.#events = events;
  }

  /** Makes the offer and begins to gather addresses. Needs no device. */
  prepareOffer() {
    for (const kind of ['audio', 'video']) {
      this.#transceivers[kind] = this.connection.addTransceiver(kind, { streams: [this.#announced] });
    }
    this.#ready = this.connection.setLocalDescription();
    this.#ready.catch(() => {});
  }

  /**
   * The offer as it leaves, with the addresses found so far.
   * @param {{ video: boolean }} sending @returns {Promise<string>}
   */
  async offer({ video }) {
    await this.#ready;
    return this.#describe(video);
  }

  /**
   * Takes the other side's offer and makes the answer, but neither sends nor answers anything.
   * @param {string} offer
   */
  prepareAnswer(offer) {
    this.#ready = this.#takeOffer(offer);
    this.#ready.catch(() => {});
  }

  /**
   * The answer as it leaves, with the addresses found so far.
   * @param {{ video: boolean }} sending @returns {Promise<string>}
   */
  async answer({ video }) {
    await this.#ready;
    return this.#describe(video);
  }

  /** Looks for the other side, now that the answer has left. */
  meet() {
    this.#releaseHeld();
  }

  /** Takes the answer to our offer. @param {string} sdp */
  async takeAnswer(sdp) {
    await this.#ready;
    await this.connection.setRemoteDescription({ type: 'answer', sdp });
    this.#releaseHeld();
  }

  /** Takes one of the other side's addresses. @param {Candidate} candidate */
  addCandidate(candidate) {
    if (this.#held) this.#held.push(candidate);
    else this.#add(candidate);
  }

  /** Describes the media anew within a call. @param {{ video: boolean, restart: boolean }} how @returns {Promise<string>} */
  async reoffer({ video, restart }) {
    if (restart) {
      this.connection.restartIce();
      this.#held ??= [];
    }
    this.#setDirection(video);
    this.#described = false;
    await this.connection.setLocalDescription();
    return this.#describe(video);
  }

  /**
   * Answers a new description within a call, which takes the place of an offer of ours that crossed with it.
   * @param {string} sdp @param {boolean} video @returns {Promise<string>}
   */
  async reanswer(sdp, video) {
    this.#described = false;
    this.#held ??= [];
    await this.connection.setRemoteDescription({ type: 'offer', sdp });
    this.#releaseHeld();
    this.#setDirection(video);
    await this.connection.setLocalDescription();
    return this.#describe(video);
  }

  /** Takes a description of ours back that crossed with one of theirs. */
  async rollback() {
    if (this.connection.signalingState === 'have-local-offer') {
      await this.connection.setLocalDescription({ type: 'rollback' });
    }
    this.#releaseHeld();
  }

  /** Sends a track instead of what was sent of its kind. @param {'audio' | 'video'} kind @param {MediaStreamTrack | null} track */
  async send(kind, track) {
    await this.#ready;
    await this.#transceivers[kind]?.sender.replaceTrack(track);
  }

  close() {
    this.#events = null;
    this.connection.onicecandidate = this.connection.ontrack = this.connection.onconnectionstatechange = null;
    this.connection.close();
  }

  /** @param {string} offer */
  async #takeOffer(offer) {
    const { sdp, candidates } = splitCandidates(offer);
    this.#held?.push(...candidates);
    await this.connection.setRemoteDescription({ type: 'offer', sdp });
    for (const transceiver of this.connection.getTransceivers()) {
      const { kind } = transceiver.receiver.track;
      if (this.#transceivers[kind]) continue;
      this.#transceivers[kind] = transceiver;
      transceiver.direction = 'sendrecv';
      transceiver.sender.setStreams?.(this.#announced);
    }
    await this.connection.setLocalDescription();
  }

  /** @param {boolean} video */
  #describe(video) {
    this.#described = true;
    const sdp = this.connection.localDescription?.sdp ?? '';
    if (this.#complete === generation(sdp)) queueMicrotask(() => this.#events?.gathered());
    this.#setDirection(video);
    return video ? sdp : withoutSending(sdp, 'video');
  }

  /** What the next description shall say of the picture. @param {boolean} video */
  #setDirection(video) {
    const { video: transceiver } = this.#transceivers;
    if (transceiver && transceiver.direction !== 'stopped') transceiver.direction = video ? 'sendrecv' : 'recvonly';
  }

  #releaseHeld() {
    const held = this.#held ?? [];
    this.#held = null;
    held.forEach((candidate) => this.#add(candidate));
  }

  /**
   * A candidate that this browser can't use is no reason to end a call. One that only dials by TCP it never can: nobody
   * listens here.
   * @param {Candidate} candidate
   */
  #add({ line, mid, ufrag }) {
    if (/ tcptype active( |$)/.test(line)) return;
    const candidate = { candidate: line, sdpMid: mid, ...(ufrag && { usernameFragment: ufrag }) };
    this.connection.addIceCandidate(candidate).catch(() => {});
  }

  /** @param {RTCIceCandidate | null} candidate */
  #gathered(candidate) {
    if (!candidate) this.#complete = generation(this.connection.localDescription?.sdp ?? '');
    if (!this.#described) return;
    if (!candidate) return this.#events?.gathered();
    const { candidate: line, sdpMid, usernameFragment } = candidate;
    if (line) this.#events?.candidate({ mid: sdpMid ?? '0', line, ufrag: usernameFragment ?? '' });
  }

  /** @param {MediaStreamTrack} track */
  #received(track) {
    if (!this.remote.getTracks().includes(track)) this.remote.addTrack(track);
    track.onmute = track.onunmute = () => this.#events?.track();
    this.#events?.track();
  }
}

/** Addresses of servers that are asked: each costs time, and Firefox warns of five. */
const MOST_URLS = 4;

/**
 * Two relays by their first way, so that one may be lost; one server of STUN; and by their last ways, which firewalls
 * hold up least, as many as there is room for. A relay tells one's own address as well.
 * @param {string[]} texts @returns {RTCIceServer[]}
 */
function iceServers(texts) {
  const servers = texts.map((text) => {
    const urls = text.split(' ');
    const [username, credential] = urls.splice(urls.length > 2 ? -2 : urls.length);
    return { urls, username, credential };
  });
  const relays = servers.filter(({ username }) => username).slice(0, 2);
  const stun = servers.filter(({ username }) => !username).flatMap(({ urls }) => urls);
  const others = relays.flatMap(({ urls }) => urls.slice(1).reverse());
  const ranked = [...relays.map(({ urls }) => urls[0]), ...stun.slice(0, 1), ...others, ...stun.slice(1)];
  const kept = ranked.slice(0, MOST_URLS);
  return servers
    .map((server) => ({ ...server, urls: server.urls.filter((url) => kept.includes(url)) }))
    .filter(({ urls }) => urls.length > 0);
}
