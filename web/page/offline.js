// @ts-check
// Keeps the page's files in the browser, so that it opens when the super node it came from is dead.
import { toast } from './toast.js';

/** Registers the service worker. Where there is none, the page works as long as its super node does. */
export function keepForOffline() {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return;
  serviceWorker.register('/sw.js').catch((error) => console.warn('the page is not kept for offline use:', error));
  serviceWorker.addEventListener('message', ({ data }) => {
    if (data?.partyline === 'updated') toast.update(() => location.reload());
  });
}
