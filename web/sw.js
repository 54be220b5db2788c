// @ts-check
/// <reference lib="webworker" />
// Keeps one whole version of the page, so that it opens when its super node is dead.
//
// `/files.json` names the version and its files. A version is fetched as a whole into a cache of its own
// and counts from then on: files of two versions never mix. The page is answered from the cache at once,
// and a newer version is looked for when it has loaded, to be seen at the next load. What isn't in the list goes to
// the network untouched: sockets, `/.well-known/partyline` (the phone keeps its last answer itself), other origins.

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const PREFIX = 'partyline-';
const LIST = '/files.json';

worker.addEventListener('install', (event) => {
  void worker.skipWaiting();
  event.waitUntil(update());
});

worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== worker.location.origin) return;
  if (request.mode === 'navigate') {
    if (url.pathname !== '/') return;
    event.respondWith(answer('/', request));
  } else if (url.pathname !== LIST && !url.pathname.startsWith('/.well-known/')) {
    event.respondWith(answer(url.pathname, request));
  }
});

// The page asks when it has loaded all of its files: before that, they would come from two versions.
worker.addEventListener('message', (event) => {
  if (event.data?.partyline === 'look') event.waitUntil(update().catch(() => {}));
});

worker.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(tell(event.action || 'show'));
});

/** @param {string} path @param {Request} request */
async function answer(path, request) {
  const name = await current();
  const kept = name && await (await caches.open(name)).match(path);
  return kept || fetch(request);
}

/** The cache that is whole: the newest one that holds its own list. */
async function current() {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX)).reverse();
  for (const name of names) {
    if (await (await caches.open(name)).match(LIST)) return name;
  }
  return null;
}

/** Fetches the version that the super node has now, unless it is kept already. */
async function update() {
  const list = await fetch(LIST, { cache: 'no-store' });
  if (!list.ok) throw new Error(`${LIST}: ${list.status}`);
  const { version, files } = /** @type {{ version: string, files: string[] }} */ (await list.clone().json());
  const wanted = PREFIX + version;
  const before = await current();
  if (before === wanted) return;
  await caches.delete(wanted);
  const fresh = await caches.open(wanted);
  await Promise.all(files.map(async (file) => {
    const response = await fetch(file, { cache: 'no-cache' });
    if (!response.ok) throw new Error(`${file}: ${response.status}`);
    await fresh.put(file, response);
  }));
  await fresh.put(LIST, list);
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== wanted) await caches.delete(name);
  if (before) for (const client of await worker.clients.matchAll({ type: 'window' })) client.postMessage({ partyline: 'updated' });
}

/** Hands what was pressed in a notification to the page that rings. @param {string} wish */
async function tell(wish) {
  const pages = await worker.clients.matchAll({ type: 'window' });
  for (const page of pages) page.postMessage({ partyline: wish });
  if (wish !== 'decline') await pages[0]?.focus();
}
