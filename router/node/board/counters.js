/* How often what happened. */

/** Counts by name; what never happened is counted as 0. */
export class Counters {
  /** @type {Map<string, number>} */
  #counts = new Map()

  /** Count one more. @param {string} name */
  add(name) {
    this.#counts.set(name, this.get(name) + 1)
  }

  /** @param {string} name */
  get(name) {
    return this.#counts.get(name) ?? 0
  }

  [Symbol.iterator]() {
    return this.#counts[Symbol.iterator]()
  }
}
