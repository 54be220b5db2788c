// The phones that are timed, each driven in its own way: `prepare` returns its address, `call` times one call from the
// caller's click on, by the caller's clock.

/** Milliseconds from the start of a page load until the phone can be called. */
async function load(page) {
  await page.reload();
  return page.evaluate(() => bench.when('state', 'ready'));
}

/** Partyline's own page, used as a person uses it. */
export const partyline = {
  name: 'page',
  async prepare(page) {
    await page.evaluate(() => bench.when('state', 'signed-out', 'ready'));
    if (await page.evaluate(() => document.body.dataset.state) === 'signed-out') await page.click('#guest');
    await page.evaluate(() => bench.when('associations', '2'));
    return (await page.evaluate(() => document.body.dataset.identity)).replace('sip:', '');
  },
  load,
  answer(page) {
    return page.evaluate(() => {
      void bench.when('state', 'ringing').then(() => document.querySelector('#answer-audio').click());
    });
  },
  call(page, target) {
    return page.evaluate(async (address) => {
      bench.forget();
      const field = document.querySelector('#dial');
      field.focus();
      field.value = address;
      field.dispatchEvent(new Event('input', { bubbles: true }));
      await new Promise((done) => setTimeout(done, 500));
      const start = performance.now();
      document.querySelector('#call-audio').click();
      const [ringing, answer, media] = await Promise.all([
        bench.when('call', 'ringing', 'connecting', 'in-call'), bench.when('call', 'connecting', 'in-call'), bench.media(),
      ]);
      return { start, ringing: ringing - start, answer: answer - start, media: media - start };
    }, target);
  },
  async end(caller, callee) {
    await caller.evaluate(() => document.querySelector('#hang-up').click());
    for (const page of [caller, callee]) {
      await page.evaluate(async () => {
        await bench.when('state', 'ended');
        document.querySelector('#ended-close').click();
        await bench.when('state', 'ready');
      });
    }
  },
};

/** A page that does nothing but hold Partyline's phone: api.html, api.js. */
export const api = {
  name: 'api',
  async prepare(page) {
    await page.evaluate(() => bench.when('state', 'ready'));
    await page.evaluate(() => bench.when('associations', '2'));
    return page.evaluate(() => window.phone.identity.uri.replace('sip:', ''));
  },
  load,
  answer: (page) => page.evaluate(() => { window.auto = true; }),
  call(page, target) {
    return page.evaluate(async (address) => {
      bench.forget();
      window.phone.warm(address);
      await new Promise((done) => setTimeout(done, 500));
      const start = performance.now();
      const call = window.phone.call(address, { audio: true, video: false });
      window.call = call;
      const on = (...states) => new Promise((done) => {
        call.addEventListener('state', () => states.includes(call.state) && done(performance.now()));
      });
      const [ringing, answer, media] = await Promise.all([on('ringing', 'connecting', 'in-call'), on('connecting', 'in-call'), bench.media()]);
      return { start, ringing: ringing - start, answer: answer - start, media: media - start };
    }, target);
  },
  end: (caller) => caller.evaluate(() => window.call.hangUp()),
};

/** A page that does nothing but hold a JsSIP user agent. */
export const jssip = {
  name: 'jssip',
  async prepare(page) {
    await page.evaluate(() => bench.when('state', 'ready'));
    return page.evaluate(() => window.address);
  },
  load,
  answer: (page) => page.evaluate(() => { window.auto = true; }),
  call(page, target) {
    return page.evaluate(async (address) => {
      bench.forget();
      const start = performance.now();
      const session = window.ua.call(address, { mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } });
      const on = (event) => new Promise((done) => session.once(event, () => done(performance.now())));
      const [ringing, answer, media] = await Promise.all([on('progress'), on('accepted'), bench.media()]);
      window.session = session;
      return { start, ringing: ringing - start, answer: answer - start, media: media - start };
    }, `sip:${target}`);
  },
  end: (caller) => caller.evaluate(() => window.session.terminate()),
};

/** Its document. @param {string} user @param {string} server Kamailio's WebSocket */
export const jssipPage = (user, server) => `<!doctype html><body data-state="waiting"><script src="/jssip.js"></script><script>
window.address = '${user}@127.0.0.1';
window.ua = new JsSIP.UA({ sockets: [new JsSIP.WebSocketInterface('${server}')], uri: 'sip:' + window.address, register: true });
ua.on('registered', () => { document.body.dataset.state = 'ready'; });
ua.on('newRTCSession', ({ originator, session }) => {
  if (originator === 'remote' && window.auto) session.answer({ mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } });
});
ua.start();
</script>`;
