// @ts-check

/** What the API throws: a code to branch on, and a detail for the log. */
export class PhoneError extends Error {
  /**
   * @param {import('./index.js').ProblemCode} code
   * @param {string} [detail]
   */
  constructor(code, detail = '') {
    super(detail ? `${code}: ${detail}` : code);
    this.name = 'PhoneError';
    this.code = code;
    this.detail = detail;
  }
}

/**
 * Makes any thrown thing one of ours.
 * @param {unknown} error
 * @param {import('./index.js').ProblemCode} [code] what it counts as if it isn't one yet
 * @returns {PhoneError}
 */
export function phoneError(error, code = 'failed') {
  return error instanceof PhoneError ? error : new PhoneError(code, String(error));
}

/** @type {Record<string, import('./index.js').ProblemCode>} */
const CAPTURE = {
  NotAllowedError: 'permission-refused',
  SecurityError: 'permission-refused',
  NotFoundError: 'no-microphone',
  OverconstrainedError: 'no-microphone',
};

/**
 * Names what went wrong when a microphone or camera was opened.
 * @param {unknown} error
 * @returns {PhoneError}
 */
export function captureError(error) {
  const name = error instanceof DOMException || error instanceof Error ? error.name : '';
  return new PhoneError(CAPTURE[name] ?? 'failed', String(error));
}
