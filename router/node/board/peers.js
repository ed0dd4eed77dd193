/* Which of several routers of one run a worker belongs to, as the launcher last said which there are. No I/O, no clock.

   Every router works it out by itself, and all come to the same: of the routers that there are, a worker's is the one whose
   digest with the worker's name is the greatest. When one is lost, only its own workers get another. */

import { createHash } from 'node:crypto'

/** The routers of a run, by number: on which port each one listens. `own` is the number of this one. */
export class Peers {
  #own
  #ports

  /** @param {string} [own] @param {Map<string, number>} [ports] */
  constructor(own = '', ports = new Map()) {
    this.#own = own
    this.#ports = ports
  }

  /** Whether there are any others. */
  get areAny() {
    return [...this.#ports.keys()].some(number => number !== this.#own)
  }

  /** Where a visitor belongs; null where that is here. @param {string} visitor */
  portOf(visitor) {
    if (!this.areAny) return null
    const ranked = [...this.#ports.keys()].map(number => ({ number, digest: digestOf(number, visitor) }))
    const { number } = ranked.reduce((best, one) => (one.digest > best.digest ? one : best))
    return number === this.#own ? null : /** @type {number} */ (this.#ports.get(number))
  }
}

/** @param {string} number @param {string} visitor */
function digestOf(number, visitor) {
  return createHash('sha256').update(`${number}\0${visitor}`).digest('hex')
}
