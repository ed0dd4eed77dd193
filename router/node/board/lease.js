/* How long the server lives: by its launcher's word, by its workers' words, and in all. No I/O, no clock.

   Within its lease and its limits it serves. Past one of them it admits no new workers, and keeps what it holds. Once that has
   been collected, or after the grace, it is over, and the server ends itself. */

/** Seconds past a limit that an attached launcher has for taking the server down itself, which it does in better order. */
const OVERTIME = 60

/**
 * Whether new workers are let in, and why not.
 * @typedef {'open' | 'draining' | 'unheard' | 'idle' | 'expired' | 'closed'} Admission
 */
export const OPEN = 'open'
/** The launcher asked for it. */
export const DRAINING = 'draining'
/** The lease has run out; any word from the launcher opens it again. */
export const UNHEARD = 'unheard'
/** No worker was heard for too long; any word from one opens it again. */
export const IDLE = 'idle'
/** The server is as old as it may get. */
export const EXPIRED = 'expired'
/** The launcher said that it leaves for good. */
export const CLOSED = 'closed'

/**
 * What passes over to a router that takes the place of one that died.
 * @typedef {{heard: number, seconds: number, worked: number, asked: Admission | null}} LeaseState
 */

/** All times in seconds of a monotonic clock that is handed in. */
export class Lease {
  #grace
  #idleTimeout
  #expires
  #asked

  /**
   * `lifetimeLeft` is what is left of the time that the server may exist, `before` what a router before it knew.
   * @param {number} seconds @param {number} grace @param {number} now
   * @param {{idleTimeout?: number, lifetimeLeft?: number, before?: LeaseState}} [more]
   */
  constructor(seconds, grace, now, { idleTimeout = Infinity, lifetimeLeft = Infinity, before } = {}) {
    const { heard, worked, seconds: length, asked } = before ?? { heard: now, worked: now, seconds, asked: null }
    this.started = now
    this.heard = heard
    this.worked = worked
    this.seconds = length
    this.#asked = asked
    this.#grace = grace
    this.#idleTimeout = idleTimeout
    this.#expires = now + lifetimeLeft
  }

  /** For a router that may have to take this one's place. @returns {LeaseState} */
  get state() {
    return { heard: this.heard, seconds: this.seconds, worked: this.worked, asked: this.#asked }
  }

  /** The launcher was heard; `seconds` sets a new length. @param {number} now @param {number | null} [seconds] */
  renew(now, seconds) {
    this.heard = now
    if (seconds != null) this.seconds = seconds
  }

  /** Any worker. @param {number} now */
  workerHeard(now) {
    this.worked = now
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

  /** Seconds until the server is as old as it may get; Infinity if it may get as old as it likes. @param {number} now */
  lifetimeLeft(now) {
    return Math.max(0, this.#expires - now)
  }

  /** Whether new workers are let in. @param {number} now @returns {Admission} */
  admission(now) {
    if (this.#asked === CLOSED) return CLOSED
    if (now > this.#expires) return EXPIRED
    if (now > this.heard + this.seconds) return UNHEARD
    if (now > this.worked + this.#idleTimeout) return IDLE
    return this.#asked ?? OPEN
  }

  /**
   * Whether the server should end itself, holding `held` packets that nobody has collected.
   *
   * At a limit of its own, a launcher that is attached comes first: it keeps the same limits.
   * @param {number} now @param {number} held @param {boolean} isAttended
   */
  isOver(now, held, isAttended) {
    if (this.isClosed && held === 0) return true
    const limit = Math.min(this.#expires, this.worked + this.#idleTimeout) + (isAttended ? OVERTIME : 0)
    const end = Math.min(this.heard + this.seconds, limit)
    return now > (held === 0 ? end : end + this.#grace)
  }
}
