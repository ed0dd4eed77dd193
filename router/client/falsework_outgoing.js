/* The live updates on their way out. No socket in here: it says what to send, and keeps what may not have arrived. */

const HEARTBEAT = Symbol('heartbeat')

/**
 * A bounded queue, in order. A socket that breaks may have swallowed what was sent last, so an update stays here until the
 * router has echoed a heartbeat that was sent after it; after a break it is sent once more, under the same update_id.
 */
export class Outgoing {
  /** @type {object[]} */
  #waiting = []
  /** @type {(object | symbol)[]} */
  #underway = []
  #most

  /** @param {number} [most] updates that wait at once; the oldest go first */
  constructor(most = 500) {
    this.#most = most
  }

  /** Add an update. Returns false when the oldest one had to go for it. @param {object} packet */
  push(packet) {
    this.#waiting.push(packet)
    if (this.#waiting.length <= this.#most) return true
    this.#waiting.shift()
    return false
  }

  /** What is to be sent now; it counts as under way. @returns {object[]} */
  take() {
    const packets = this.#waiting
    this.#waiting = []
    this.#underway.push(...packets)
    return packets
  }

  /** A heartbeat was sent. */
  beat() {
    this.#underway.push(HEARTBEAT)
  }

  /** The oldest heartbeat came back: what was sent before it has arrived. */
  echoed() {
    const beat = this.#underway.indexOf(HEARTBEAT)
    if (beat >= 0) this.#underway.splice(0, beat + 1)
  }

  /** The socket is gone: what may not have arrived goes first again. */
  broken() {
    const unsure = /** @type {object[]} */ (this.#underway.filter(entry => entry !== HEARTBEAT))
    this.#waiting = [...unsure, ...this.#waiting].slice(-this.#most)
    this.#underway = []
  }
}
