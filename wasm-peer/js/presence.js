// @ts-check

/**
 * Tells when the page goes and when it comes back. A page that a browser keeps for the way back, or freezes, hears nothing
 * while its sockets stay open: whoever called it would wait for a minute.
 * @param {{ gone: () => void, back: () => void }} on
 */
export function watchPresence({ gone, back }) {
  addEventListener('pagehide', gone);
  addEventListener('pageshow', ({ persisted }) => { if (persisted) back(); });
  document.addEventListener('freeze', gone);
  document.addEventListener('resume', back);
}
