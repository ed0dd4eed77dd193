/* Pages' requests that the launcher must answer, held open until it does. No I/O, no clock. */

import { refusals } from '../wire/agreed.js'
import { Refused } from '../wire/errors.js'

/**
 * One such request.
 * @typedef {object} Waiting
 * @property {string} requestId
 * @property {string} session
 * @property {number} since
 * @property {(outcome: string | Refused) => void} settle
 * @property {string | null} packet what to say to a launcher that has not heard of it; null where the outbox carries it
 * @property {number} sentOn the launcher's connection on which it was said last; 0: not yet
 */

/** All of them, in the order in which they came. */
export class WaitingRequests {
  #limits
  #link
  /** @type {Map<string, Waiting>} */
  #requests = new Map()

  /**
   * @param {Readonly<import('../wire/protocol.js').Limits>} limits @param {import('./launcher_link.js').LauncherLink} link
   */
  constructor(limits, link) {
    this.#limits = limits
    this.#link = link
  }

  get size() {
    return this.#requests.size
  }

  /** Throws Refused where too many wait already. @param {Waiting} waiting */
  add(waiting) {
    if (this.size >= this.#limits.waiting) throw new Refused(refusals.too_busy)
    this.#requests.set(waiting.requestId, waiting)
  }

  /** The request of that id, which waits no longer; undefined if it did not wait. @param {string} requestId */
  take(requestId) {
    const waiting = this.#requests.get(requestId)
    this.#requests.delete(requestId)
    return waiting
  }

  /** Answer everybody who waits with this. @param {import('../wire/agreed.js').Refusal} refusal */
  refuseAll(refusal) {
    this.refuseOlder(refusal, Infinity)
  }

  /**
   * Answer those with this who have waited since before that time.
   * @param {import('../wire/agreed.js').Refusal} refusal @param {number} time
   */
  refuseOlder(refusal, time) {
    for (const { requestId, since, settle } of this.#requests.values()) {
      if (since >= time) continue
      this.#requests.delete(requestId)
      settle(new Refused(refusal))
    }
  }

  /** Say it to the launcher, if there is one. @param {Waiting} waiting */
  offer(waiting) {
    if (!this.#link.peer || waiting.packet === null) return
    waiting.sentOn = this.#link.connection
    this.#link.send(waiting.packet)
  }

  /**
   * Say the open requests to a launcher that just attached.
   *
   * Ours hears them on each connection, as it knows a repeat by its request id. Mephisto's acts on every copy, so its process
   * hears each once: those never said at its first `alive`, the others only once it shows that it is a new one.
   */
  offerAll(alsoSentBefore = false) {
    const again = alsoSentBefore || this.#link.protocol >= 1
    for (const waiting of this.#requests.values()) {
      if (waiting.sentOn === 0 || (again && waiting.sentOn !== this.#link.connection)) this.offer(waiting)
    }
  }
}
