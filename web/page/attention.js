// @ts-check
// A ring for those who don't look at the page: the title, and a notification that can answer.
import { nameOf } from './names.js';
import { say } from './sentences.js';

const FLASH_MS = 1_000;
const TAG = 'partyline-call';

/** @param {import('./line.js').Line} line */
export function attention(line) {
  let timer = 0;

  const begin = () => {
    const name = line.call ? nameOf(line.call.peer) : '';
    const ringing = `☎ ${say('incoming.titled', { name })}`;
    document.title = ringing;
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    timer = setInterval(() => {
      // Asked before any touch, browsers complain in the console.
      if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(FLASH_MS / 2);
      if (!still) document.title = document.title === ringing ? `· ${name} ·` : ringing;
    }, FLASH_MS);
    if (document.hidden) void notify(name);
  };
  const finish = () => {
    clearInterval(timer);
    timer = 0;
    void silence();
  };
  navigator.serviceWorker?.addEventListener('message', ({ data }) => {
    if (line.state !== 'ringing') return;
    if (data?.partyline === 'answer') line.answer(true);
    if (data?.partyline === 'decline') line.leave();
  });

  return () => {
    const ringing = line.state === 'ringing';
    if (ringing && !timer) begin();
    if (!ringing && timer) finish();
  };
}

/** @param {string} name */
async function notify(name) {
  if (!('Notification' in window) || Notification.permission !== 'granted') return;
  const worker = await navigator.serviceWorker?.getRegistration();
  const options = { body: say('incoming.announce', { name }), tag: TAG, icon: '/icons/icon-192.png', requireInteraction: true, renotify: true };
  const actions = [{ action: 'answer', title: say('incoming.answer') }, { action: 'decline', title: say('incoming.decline') }];
  await worker?.showNotification('Partyline', { ...options, .../** @type {object} */ ({ actions }) });
}

async function silence() {
  const worker = await navigator.serviceWorker?.getRegistration();
  for (const shown of (await worker?.getNotifications({ tag: TAG })) ?? []) shown.close();
}
