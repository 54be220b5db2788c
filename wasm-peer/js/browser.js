// @ts-check
import { PhoneError } from './errors.js';

/** Says what a browser, or an address without TLS, lacks. */
export function requireBrowser() {
  const needs = {
    RTCPeerConnection: globalThis.RTCPeerConnection, WebAssembly: globalThis.WebAssembly,
    'a secure address': globalThis.crypto?.subtle, locks: navigator.locks,
  };
  const lacking = Object.entries(needs).find(([, there]) => !there);
  if (lacking) throw new PhoneError('unsupported', lacking[0]);
}

/** Whether the page comes from this machine: a network for trying out, which is made anew now and then. */
export function isLoopback() {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(location.hostname);
}
