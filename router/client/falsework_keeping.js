/* What a page keeps over a reload: JSON values in sessionStorage, or in memory where the browser forbids or is full. */

const PREFIX = 'falsework:'

/** JSON values under names that start with `falsework:`. Never throws. */
export class Keeping {
  #memory = new Map()
  #storage

  /** @param {() => Storage} find asked once; a browser may refuse by throwing */
  constructor(find = () => sessionStorage) {
    try {
      this.#storage = find()
    } catch {
      this.#storage = null
    }
  }

  /** @param {string} name @returns {any} null when there is nothing, or nothing that can be read */
  get(name) {
    const text = this.#memory.get(name) ?? this.#storage?.getItem(PREFIX + name) ?? null
    try {
      return JSON.parse(text)
    } catch {
      return null
    }
  }

  /** @param {string} name @param {unknown} value */
  set(name, value) {
    const text = JSON.stringify(value)
    try {
      if (!this.#storage) throw new DOMException('no storage', 'NotSupportedError')
      this.#storage.setItem(PREFIX + name, text)
      this.#memory.delete(name)
    } catch {
      this.#memory.set(name, text)
    }
  }

  /** @param {string} name */
  remove(name) {
    this.#memory.delete(name)
    this.#storage?.removeItem(PREFIX + name)
  }

  /** The names that start so. @param {string} start */
  names(start) {
    const stored = Object.keys(this.#storage ?? {}).filter(name => name.startsWith(PREFIX))
    const all = new Set([...stored.map(name => name.slice(PREFIX.length)), ...this.#memory.keys()])
    return [...all].filter(name => name.startsWith(start))
  }
}
