// @ts-check

/** A user, with or without scheme and domain: what can be called. */
const CALLABLE = /^(sips?:)?[^\s@:;?<>"]+(@[^\s@;?<>"]+)?$/i;

/** @param {string} target */
export function isCallable(target) {
  return CALLABLE.test(target);
}

/** @param {string} target @param {string} domain of names without one @returns {string} `sip:bob@example.org` */
export function uriOf(target, domain) {
  const user = target.replace(/^sips?:/i, '');
  return `sip:${user.includes('@') ? user : `${user}@${domain}`}`;
}

/** @param {string} uri `sip:bob@example.org` @returns {string} `bob` */
export function nameOf(uri) {
  return uri.replace(/^sips?:/i, '').split('@')[0];
}
