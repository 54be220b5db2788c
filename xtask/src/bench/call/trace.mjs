// What happens in a call and when: `cargo xtask bench call --trace` shows what waits for what.

/** In a page, before its scripts: notes what it asks of the browser, and what the browser tells it. */
export function tracer() {
  const notes = [];
  const note = (what) => notes.push({ at: performance.timeOrigin + performance.now(), what });
  window.traced = (start) => ({ start: performance.timeOrigin + start, notes: notes.splice(0) });

  const message = (data) => (typeof data === 'string'
    ? `${data.slice(0, data.indexOf('\r')).slice(0, 60)} (${/\r\nCSeq: *([^\r]*)/i.exec(data)?.[1]}), ${data.length} bytes`
    : `frame, ${data.byteLength} bytes`);
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...values) {
      super(...values);
      this.addEventListener('message', ({ data }) => note(`<- ${message(data)}, ${this.url.slice(5, 20)}`));
    }

    send(data) {
      note(`-> ${message(data)}, ${this.url.slice(5, 20)}`);
      super.send(data);
    }
  };

  const follow = (kind, ...methods) => {
    for (const name of methods) {
      const native = kind.prototype[name];
      kind.prototype[name] = function followed(...values) {
        const start = performance.now();
        const result = native.apply(this, values);
        const held = performance.now() - start;
        const done = (word) => note(`${name} ${word} after ${(performance.now() - start).toFixed(1)} ms, of which it held the page ${held.toFixed(1)}`);
        if (result?.then) result.then(() => done('done'), () => done('FAILED'));
        else done('done');
        return result;
      };
    }
  };
  follow(SubtleCrypto, 'sign', 'verify', 'importKey');
  follow(MediaDevices, 'getUserMedia');
  follow(Permissions, 'query');
  follow(RTCPeerConnection, 'setLocalDescription', 'setRemoteDescription', 'addIceCandidate');
  follow(RTCRtpSender, 'replaceTrack');
  follow(HTMLMediaElement, 'play');
  follow(HTMLDialogElement, 'showModal');

  for (const name of ['RTCPeerConnection', 'AudioContext']) {
    const Native = window[name];
    window[name] = class extends Native {
      constructor(...values) {
        const start = performance.now();
        super(...values);
        note(`new ${name} held the page ${(performance.now() - start).toFixed(1)} ms`);
        if (name === 'RTCPeerConnection') watch(this);
      }
    };
  }
  const watch = (peer) => {
    let dtls = null;
    peer.addEventListener('icecandidate', ({ candidate }) => note(`candidate ${candidate?.candidate.split(' ').slice(2, 8).join(' ') ?? 'end'}`));
    peer.addEventListener('iceconnectionstatechange', () => note(`ICE ${peer.iceConnectionState}`));
    peer.addEventListener('connectionstatechange', () => note(`connection ${peer.connectionState}`));
    peer.addEventListener('signalingstatechange', () => {
      note(`signalling ${peer.signalingState}`);
      const transport = peer.getTransceivers()[0]?.sender.transport;
      if (!transport || transport === dtls) return;
      dtls = transport;
      dtls.addEventListener('statechange', () => note(`DTLS ${transport.state}`));
    });
  };

  document.addEventListener('DOMContentLoaded', () => {
    let last = '';
    new MutationObserver(() => {
      const { state, call } = document.body.dataset;
      if (last === `${state}, call ${call}`) return;
      last = `${state}, call ${call}`;
      note(`body ${last}`);
    }).observe(document.body, { attributes: true });
  });
}

/** The notes of both pages in one column of time, from the click on. @param {{ start: number, notes: { at: number, what: string }[] }} caller */
export function traceOf(caller, callee) {
  const both = [
    ...caller.notes.map((one) => ({ ...one, side: 'caller' })),
    ...callee.notes.map((one) => ({ ...one, side: '                    callee' })),
  ];
  return both.sort((one, other) => one.at - other.at)
    .map(({ at, side, what }) => `${(at - caller.start).toFixed(1).padStart(8)}  ${side}  ${what}`)
    .filter((line) => !line.trim().startsWith('-')).join('\n');
}
