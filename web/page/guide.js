// @ts-check
// How to allow the microphone, in the words of the browser that refuses it.
import { say } from './sentences.js';

/** One sentence for this browser. */
export function howToAllow() {
  const { userAgent } = navigator;
  if (/iPhone|iPad/.test(userAgent)) return say('guide.ios');
  if (userAgent.includes('Firefox/')) return say('guide.firefox');
  if (userAgent.includes('Safari/') && !userAgent.includes('Chrom')) return say('guide.safari');
  return say('guide.chromium');
}
