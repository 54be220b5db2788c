// Times calls between two pages of one Chromium, with Partyline and with JsSIP by turns.
//
//   node call.mjs '{ "modules": .., "chromium": .., "calls": 9, "pages": [caller, callee], "jssip": file, "kamailio": url }'
//
// Prints one line of JSON per sample: { who, load?, ringing?, answer?, media? }, all in milliseconds. The times of a
// call start at the caller's click and are read from the caller's clock; the other side answers at once by itself.
// With "trace": true it also tells the last call of each step by step, from both pages.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { api, jssip, jssipPage, partyline } from './phones.mjs';
import { traceOf, tracer } from './trace.mjs';

const config = JSON.parse(process.argv[2]);
const puppeteer = createRequire(`${config.modules}/`)('puppeteer-core');
const sleep = (time) => new Promise((done) => setTimeout(done, time));

/** In every page: keeps the peer connections, so that the first packet can be timed. */
function instrument() {
  const peers = [];
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...values) {
      super(...values);
      peers.push(this);
    }
  };
  window.bench = {
    /**
     * When the first inbound RTP packet of any connection came. The browser renews its statistics every 50 ms, so
     * they are read back from the last packet: one was sent every 20 ms.
     */
    async media() {
      for (;;) {
        for (const peer of peers) {
          if (peer.connectionState === 'closed') continue;
          for (const { type, kind, packetsReceived, lastPacketReceivedTimestamp } of (await peer.getStats()).values()) {
            if (type !== 'inbound-rtp' || kind !== 'audio' || !packetsReceived) continue;
            return lastPacketReceivedTimestamp - performance.timeOrigin - (packetsReceived - 1) * 20;
          }
        }
        await new Promise((done) => setTimeout(done, 10));
      }
    },
    /** Forgets the connections of earlier calls. */
    forget() {
      for (let at = peers.length - 1; at >= 0; at -= 1) if (peers[at].connectionState === 'closed') peers.splice(at, 1);
    },
    /** Resolves when an attribute of body has one of these values. */
    when(name, ...values) {
      return new Promise((done) => {
        const look = () => {
          if (!values.includes(document.body.dataset[name] ?? '')) return;
          observer.disconnect();
          done(performance.now());
        };
        const observer = new MutationObserver(look);
        observer.observe(document.body, { attributes: true });
        look();
      });
    },
  };
}

async function open(browser, address) {
  const context = await browser.createBrowserContext();
  await context.overridePermissions(new URL(address).origin, ['microphone']);
  const page = await context.newPage();
  if (config.trace) await page.evaluateOnNewDocument(tracer);
  await page.evaluateOnNewDocument(instrument);
  await page.goto(address);
  return page;
}

const server = createServer((request, response) => {
  const script = request.url === '/jssip.js';
  response.setHeader('content-type', script ? 'text/javascript' : 'text/html');
  response.end(script ? readFileSync(config.jssip) : jssipPage(request.url.slice(1), config.kamailio));
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const theirs = `http://127.0.0.1:${server.address().port}`;

const browser = await puppeteer.launch({
  executablePath: config.chromium,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--allow-loopback-in-peer-connection',
    '--autoplay-policy=no-user-gesture-required', '--disable-background-timer-throttling',
    '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding'],
});
/** One call, timed; the other side answers. */
async function time({ phone, caller, callee, target }) {
  await phone.answer(callee);
  const { start, ...times } = await phone.call(caller, target);
  const trace = config.trace && traceOf(...await Promise.all([caller, callee].map((page) => page.evaluate((at) => window.traced(at), start))));
  await sleep(500);
  await phone.end(caller, callee);
  await sleep(300);
  return { trace, times: { who: phone.name, ...times } };
}

try {
  const sides = [];
  const bare = config.pages.map((page) => new URL('/bench.html', page).href);
  const phones = [[partyline, config.pages], [api, bare], [jssip, [`${theirs}/caller`, `${theirs}/callee`]]];
  for (const [phone, addresses] of phones) {
    const [caller, callee] = await Promise.all(addresses.map((address) => open(browser, address)));
    await phone.prepare(caller);
    sides.push({ phone, caller, callee, target: await phone.prepare(callee) });
  }
  const say = (sample) => console.log(JSON.stringify(sample));
  // The first call of each side warms what is only loaded once, such as codecs, and does not count.
  for (let number = 0; number <= config.calls; number += 1) {
    for (const side of sides) {
      const { trace, times } = await time(side);
      if (number > 0) say(times);
      if (number === config.calls && trace) console.error(`\n${times.who}\n${trace}`);
    }
  }
  for (let number = 0; number <= config.calls; number += 1) {
    for (const { phone, caller } of sides) {
      const load = await phone.load(caller);
      if (number > 0) say({ who: phone.name, load });
    }
  }
} finally {
  await browser.close();
  server.close();
}
