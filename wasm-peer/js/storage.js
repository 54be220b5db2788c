// @ts-check
// What this browser keeps, in IndexedDB: keys (which can be used but never read), certificates, the last known network.

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

const STORE = 'kept';

/** @type {Promise<IDBDatabase> | null} */
let opened = null;

/** @returns {Promise<IDBDatabase>} */
function database() {
  if (!opened) {
    const request = indexedDB.open('partyline', 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    opened = done(request);
    opened.catch(() => { opened = null; });
  }
  return opened;
}

/**
 * @param {string} name
 * @returns {Promise<any>} `undefined` if nothing is kept under the name
 */
export async function load(name) {
  return done((await database()).transaction(STORE).objectStore(STORE).get(name));
}

/**
 * Keeps several things at once, all or none.
 * @param {Record<string, unknown>} things `undefined` forgets
 */
export async function keep(things) {
  const transaction = (await database()).transaction(STORE, 'readwrite');
  const store = transaction.objectStore(STORE);
  for (const [name, thing] of Object.entries(things)) {
    if (thing === undefined) store.delete(name);
    else store.put(thing, name);
  }
  await new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(undefined);
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}
