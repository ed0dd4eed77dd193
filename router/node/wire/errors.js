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

/** The launcher left for good. */
export function finished() {
  return new Refused(410, 'finished', 'This task is finished. Thank you for your interest.')
}

/** The launcher is not there, for now. */
export function away() {
  return new Refused(503, 'launcher_away', 'The task is not reachable at the moment. Please try again soon.', 10)
}

/** The launcher is there, and has not answered. */
export function noAnswer() {
  return new Refused(503, 'no_answer', 'The task did not answer in time. Please try again.', 10)
}

/** This server ends. */
export function restarting() {
  return new Refused(503, 'restarting', 'The server is going down. Please try again soon.', 5)
}

/** The disk does not take what was handed in. */
export function storageFull() {
  const message = "Not saved: the server's disk is full. Please keep this page open and try again."
  return new Refused(507, 'storage_full', message, 10)
}

/** Bytes that are no packet; says what was expected. */
export class Malformed extends Error {}

/** A request that ended before it was whole: whoever sent it has gone. */
export class CutOff extends Error {
  constructor() {
    super('the request was cut off')
  }
}
