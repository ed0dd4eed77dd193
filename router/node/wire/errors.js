/* What the router answers to what it does not serve. No I/O. */

import { filled, malformed, refusals } from './agreed.js'

/** A request that is not served: the HTTP status, a word for programs and a sentence for the worker. */
export class Refused extends Error {
  /** @param {import('./agreed.js').Refusal} refusal @param {Record<string, unknown>} [facts] that its sentence speaks of */
  constructor({ status, error, message, retry_after: retryAfter }, facts = {}) {
    super(filled(message, facts))
    this.status = status
    this.error = error
    this.retryAfter = retryAfter
  }

  /** What is told of a packet, or of a body, that cannot be read. @param {Malformed} error */
  static of({ message: reason }) {
    return new Refused(refusals.malformed, { reason })
  }
}

/** Bytes that are no packet; says what was expected. */
export class Malformed extends Error {
  /** @param {string} sentence @param {Record<string, unknown>} [facts] that the sentence speaks of */
  constructor(sentence, facts = {}) {
    super(filled(sentence, facts))
  }

  /**
   * Of bytes that cannot be read: what they should have been, with the facts of that, and why they are not.
   * @param {string} what @param {string} reason @param {Record<string, unknown>} [facts]
   */
  static expected(what, reason, facts = {}) {
    return new Malformed(malformed.expected, { what: filled(what, facts), reason })
  }
}
