// Runs in a page before the page's own scripts. Replaces the devices by a tone and a moving picture, and keeps
// what a test looks at: peer connections, what they hear and count, errors that nobody caught.
(config) => {
  if (window.partylineTest || window.top !== window) return;
  const peers = [];
  const problems = [];
  const opened = { streams: 0 };
  const say = (value) => (value instanceof Error ? `${value.name}: ${value.message}` : String(value));

  window.addEventListener('error', (event) => problems.push(say(event.error ?? event.message)));
  window.addEventListener('unhandledrejection', (event) => problems.push(`unhandled rejection: ${say(event.reason)}`));
  window.addEventListener('securitypolicyviolation', (event) => problems.push(`policy forbids ${event.blockedURI} (${event.violatedDirective})`));
  const report = console.error;
  console.error = (...values) => {
    problems.push(values.map(say).join(' '));
    report.apply(console, values);
  };

  /** All that leaves by WebSockets, a character for each byte of a binary message. */
  const sent = [];
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    sent.push(typeof data === 'string' ? data : new TextDecoder('latin1').decode(data));
    return send.call(this, data);
  };

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class RTCPeerConnection extends Native {
    constructor(...values) {
      super(...values);
      peers.push(this);
    }
  };

  /** A steady tone. */
  function tone() {
    const context = new AudioContext();
    const oscillator = new OscillatorNode(context, { frequency: config.frequency });
    const volume = new GainNode(context, { gain: 0.5 });
    const out = context.createMediaStreamDestination();
    oscillator.connect(volume).connect(out);
    oscillator.start();
    void context.resume();
    return out.stream.getAudioTracks()[0];
  }

  /** A picture that changes all the time. */
  function picture() {
    const canvas = document.createElement('canvas');
    canvas.width = 320;
    canvas.height = 240;
    const pen = canvas.getContext('2d');
    let count = 0;
    const draw = () => {
      count += 1;
      pen.fillStyle = `hsl(${(count * 7) % 360} 70% 50%)`;
      pen.fillRect(0, 0, 320, 240);
      pen.fillStyle = 'white';
      pen.fillRect((count * 5) % 300, 110, 20, 20);
    };
    draw();
    setInterval(draw, 50);
    return canvas.captureStream(20).getVideoTracks()[0];
  }

  const devices = navigator.mediaDevices;
  if (devices) {
    devices.getUserMedia = async (wanted) => {
      if (config.failure) throw new DOMException('as the test asked', config.failure);
      opened.streams += 1;
      const tracks = [];
      if (wanted.audio) tracks.push(tone());
      if (wanted.video) tracks.push(picture());
      return new MediaStream(tracks);
    };
  }

  const analysers = new Map();

  /** What arrives: the loudest frequency, and the level of each that is asked for, in dB. */
  function hear(frequencies) {
    const live = peers.filter((peer) => peer.connectionState === 'connected');
    const track = live.flatMap((peer) => peer.getReceivers()).map((receiver) => receiver.track)
      .find((candidate) => candidate.kind === 'audio' && candidate.readyState === 'live');
    if (!track) return null;
    let analyser = analysers.get(track);
    if (!analyser) {
      const context = new AudioContext();
      void context.resume();
      analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
      const source = context.createMediaStreamSource(new MediaStream([track]));
      source.connect(analyser);
      analysers.set(track, analyser);
      analyser.keep = source;
    }
    const levels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(levels);
    const width = analyser.context.sampleRate / analyser.fftSize;
    const near = (frequency) => {
      const bin = Math.round(frequency / width);
      return Math.max(-200, ...levels.slice(bin - 2, bin + 3));
    };
    let peak = 0;
    levels.forEach((level, bin) => { if (level > levels[peak]) peak = bin; });
    return { peak: peak * width, loudest: Math.max(-200, levels[peak]), levels: frequencies.map(near) };
  }

  /** The connection that carries a call now: kind of its pair and what has come in. */
  async function stats() {
    const peer = peers.findLast((candidate) => candidate.connectionState === 'connected');
    if (!peer) return null;
    const report = await peer.getStats();
    const all = [...report.values()];
    const chosen = all.find((entry) => entry.type === 'transport' && entry.selectedCandidatePairId)?.selectedCandidatePairId;
    const pair = all.find((entry) => entry.id === chosen)
      ?? all.find((entry) => entry.type === 'candidate-pair' && entry.nominated && entry.state === 'succeeded');
    const inbound = (kind) => all.find((entry) => entry.type === 'inbound-rtp' && entry.kind === kind);
    return {
      local: report.get(pair?.localCandidateId)?.candidateType ?? null,
      remote: report.get(pair?.remoteCandidateId)?.candidateType ?? null,
      frames: inbound('video')?.framesDecoded ?? 0,
      audioPackets: inbound('audio')?.packetsReceived ?? 0,
    };
  }

  /** The longest time without a new packet of sound, in ms, since `listen()`. */
  const silence = { longest: 0, since: 0, packets: 0 };
  function listen() {
    if (!silence.since) setInterval(count, 50);
    Object.assign(silence, { longest: 0, since: Date.now() });
  }
  async function count() {
    const peer = peers.findLast(({ signalingState, currentRemoteDescription }) => signalingState !== 'closed' && currentRemoteDescription);
    const report = await peer?.getStats();
    const sound = [...(report?.values() ?? [])].find(({ type, kind }) => type === 'inbound-rtp' && kind === 'audio');
    silence.longest = Math.max(silence.longest, Date.now() - silence.since);
    if ((sound?.packetsReceived ?? 0) <= silence.packets) return;
    silence.packets = sound.packetsReceived;
    silence.since = Date.now();
  }

  /** How far media has come in any connection, also one that is no more: nothing may flow before a refusal. */
  const states = () => peers.map((peer) => ({
    connection: peer.connectionState, ice: peer.iceConnectionState, remote: peer.currentRemoteDescription !== null || peer.pendingRemoteDescription !== null,
  }));

  /** The STUN servers that the connections made so far ask, and the bootstrap servers that the page asked. */
  const asked = () => ({
    stun: peers.flatMap((peer) => peer.getConfiguration().iceServers ?? []).flatMap(({ urls }) => urls),
    bootstrap: performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => name.endsWith('/super-nodes')),
  });

  window.partylineTest = { config, peers, problems, opened, hear, stats, states, asked, sent, listen, silence };
}
