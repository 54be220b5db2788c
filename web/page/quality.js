// @ts-check
// Direct or relayed, and how good: from the connection's own statistics.
import { element, mark, show, write } from './dom.js';
import { say } from './sentences.js';

const EVERY_MS = 2_000;

/** @param {import('./line.js').Line} line */
export function quality(line) {
  const place = element('call-quality');
  let timer = 0;
  /** @type {{ packetsLost?: number, packetsReceived?: number } | null} */
  let last = null;

  const look = async () => {
    const { call } = line;
    if (!call || line.state !== 'in-call') return;
    const stats = await call.stats().catch(() => null);
    if (!stats?.path || line.call !== call || line.state !== 'in-call') return;
    const grade = judge(stats.rtt, lossBetween(last, stats));
    last = stats;
    mark(document.body, 'data-path', stats.path);
    mark(document.body, 'data-quality', grade);
    show(place, true);
    write(element('call-path'), say(`call.${stats.path}`));
    write(element('call-grade'), say(`call.quality.${grade}`));
    mark(place, 'title', say(`call.quality.${grade}`));
    mark(place, 'data-quality', grade);
  };

  return () => {
    if (line.state === 'in-call' && !timer) {
      void look();
      timer = setInterval(() => void look(), EVERY_MS);
    }
    if (line.live || !timer) return;
    clearInterval(timer);
    timer = 0;
    last = null;
    show(place, false);
    mark(document.body, 'data-path', null);
    mark(document.body, 'data-quality', null);
  };
}

/** The share of packets lost since the last look.
 * @param {{ packetsLost?: number, packetsReceived?: number } | null} before
 * @param {{ packetsLost?: number, packetsReceived?: number }} now */
function lossBetween(before, now) {
  const lost = (now.packetsLost ?? 0) - (before?.packetsLost ?? 0);
  const received = (now.packetsReceived ?? 0) - (before?.packetsReceived ?? 0);
  return lost > 0 ? lost / (lost + Math.max(received, 1)) : 0;
}

/** The round trip (in ms) and loss from which people notice, and from which they complain (ITU-T G.114).
 * @param {number | null | undefined} rtt @param {number} loss
 * @returns {'good' | 'fair' | 'poor'} */
export function judge(rtt, loss) {
  if ((rtt ?? 0) > 600 || loss > 0.08) return 'poor';
  return (rtt ?? 0) > 300 || loss > 0.02 ? 'fair' : 'good';
}
