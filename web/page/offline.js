// @ts-check
// Keeps the page's files in the browser, so that it opens when the super node it came from is dead.
import { toast } from './toast.js';

/**
 * Registers the service worker once the page has started, whose loading it would slow down.
 * Where there is none, the page works as long as its super node does.
 * @param {import('./line.js').Line} line */
export function keepForOffline(line) {
  const { serviceWorker } = navigator;
  let kept = false;
  if (!serviceWorker) return () => {};
  serviceWorker.addEventListener('message', ({ data }) => {
    if (data?.partyline === 'updated') toast.update(() => location.reload());
  });

  return () => {
    if (kept || line.state === 'signing-in') return;
    kept = true;
    serviceWorker.register('/sw.js').then(() => serviceWorker.ready).then(
      ({ active }) => active?.postMessage({ partyline: 'look' }),
      (error) => console.warn('the page is not kept for offline use:', error),
    );
  };
}
