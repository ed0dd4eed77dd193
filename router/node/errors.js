/* What the router answers to what it does not serve. */

/** A request that is not served: the HTTP status, a word for programs and a sentence for the worker. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} error
   * @param {string} message
   * @param {number} [retryAfter] seconds
   */
  constructor(status, error, message, retryAfter) {
    super(message)
    this.status = status
    this.error = error
    this.retryAfter = retryAfter
  }
}

/** Bytes that are no packet; says what was expected. */
export class Malformed extends Error {}

/** A request that ended before it was whole: whoever sent it has gone. */
export class CutOff extends Error {
  constructor() {
    super('the request was cut off')
  }
}
