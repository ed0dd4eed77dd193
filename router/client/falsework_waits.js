/* How long to wait before trying again, and the waiting. */

/**
 * Milliseconds before a retry: doubling from `first` to `most`, with jitter, so that a thousand pages that lost the same
 * server do not come back in the same instant.
 * @param {number} attempt 0 for the first retry
 * @param {{first?: number, most?: number, random?: () => number}} [settings]
 */
export function backoff(attempt, { first = 500, most = 30_000, random = Math.random } = {}) {
  const ceiling = Math.min(most, first * 2 ** attempt)
  return ceiling * (0.5 + random() / 2)
}

/**
 * Milliseconds that a Retry-After header asks for (seconds or a date), or 0 when it asks for nothing.
 * @param {string | null} header
 * @param {number} [now]
 */
export function retryAfter(header, now = Date.now()) {
  if (!header) return 0
  const wait = /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now
  return Math.min(Math.max(wait || 0, 0), 300_000)
}

/**
 * Wait, but no longer than until the browser is online again.
 * @param {number} milliseconds
 * @returns {Promise<void>}
 */
export function pause(milliseconds) {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer)
      globalThis.removeEventListener?.('online', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    globalThis.addEventListener?.('online', done)
  })
}
