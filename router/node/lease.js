/* How long the server lives without hearing from its launcher. No I/O, no clock.

   Heard within the lease: it serves. Unheard for longer: it admits no new workers, and keeps what it holds. Once that has been
   collected, or after the grace, it is over, and the server ends itself. */

/** Whether new workers are let in, and why not. @typedef {'open' | 'draining' | 'unheard' | 'closed'} Admission */

export const OPEN = 'open'
/** The launcher asked for it. */
export const DRAINING = 'draining'
/** The lease has run out; any word from the launcher opens it again. */
export const UNHEARD = 'unheard'
/** The launcher said that it leaves for good. */
export const CLOSED = 'closed'

/** All times in seconds of a monotonic clock that is handed in. */
export class Lease {
  /** @type {Admission | null} */
  #asked = null

  /**
   * @param {number} seconds
   * @param {number} grace
   * @param {number} now
   */
  constructor(seconds, grace, now) {
    this.seconds = seconds
    this.grace = grace
    this.heard = now
  }

  /**
   * The launcher was heard; `seconds` sets a new length.
   * @param {number} now
   * @param {number | null} [seconds]
   */
  renew(now, seconds) {
    this.heard = now
    if (seconds != null) this.seconds = seconds
  }

  /** Admit nobody more. */
  drain() {
    this.#asked ??= DRAINING
  }

  /** The launcher leaves for good. */
  end() {
    this.#asked = CLOSED
  }

  /** Whether the launcher said that it leaves for good. */
  get isClosed() {
    return this.#asked === CLOSED
  }

  /**
   * Whether new workers are let in.
   * @param {number} now
   * @returns {Admission}
   */
  admission(now) {
    if (this.#asked === CLOSED) return CLOSED
    if (now - this.heard > this.seconds) return UNHEARD
    return this.#asked ?? OPEN
  }

  /**
   * Whether the server should end itself, holding `held` packets that nobody has collected.
   * @param {number} now
   * @param {number} held
   */
  isOver(now, held) {
    const admission = this.admission(now)
    if (admission !== UNHEARD && admission !== CLOSED) return false
    return held === 0 || now - this.heard > this.seconds + this.grace
  }
}
