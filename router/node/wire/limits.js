/* What a router takes and how long it waits. Bytes, counts and seconds. No I/O. */

/** What a router takes. Bytes and counts. Any limit can be set with `--limit NAME=VALUE`. */
const AMOUNTS = {
  /** One WebSocket frame, either way. */
  frame: 1 << 20,
  /** The JSON of one HTTP request. */
  submission: 32 << 20,
  /** One uploaded file. */
  upload: 100 << 20,
  /** Files in one submission. */
  upload_files: 20,
  /** Live updates kept for an agent whose page is away; the oldest go first. */
  page_queue: 1000,
  /** Packets kept for a launcher that is away; the oldest go first. */
  launcher_queue: 20_000,
  launcher_queue_bytes: 64 << 20,
  /** Requests held open at once. */
  waiting: 10_000,
  /** What one slow reader may leave unread before it is dropped. */
  peer_bytes: 16 << 20,
  sockets_per_agent: 4,
  /** Bytes of durable packets on the way to the launcher and not yet acknowledged. */
  outbox_window: 4 << 20
}

/** How long a router waits. Seconds. */
const SECONDS = {
  /** How long a page's request waits for the launcher's answer. */
  request_deadline: 120,
  /** How long a page's request waits for a launcher that is not connected. */
  away_deadline: 10,
  /** A working agent whose page was not heard for this long is disconnected. */
  silence: 15,
  /** WebSocket pings, both ways. */
  ping: 20,
  /** How long a slow reader may stay behind before it is dropped. */
  peer_stall: 20
}

/** @typedef {typeof AMOUNTS & typeof SECONDS} Limits */

/** @type {Readonly<Limits>} */
export const LIMITS = Object.freeze({ ...AMOUNTS, ...SECONDS })

/**
 * A copy with the named limits set. Throws RangeError for a name that is none, or a value that is no positive number.
 * @param {Readonly<Limits>} limits
 * @param {Iterable<[string, string]>} settings
 * @returns {Readonly<Limits>}
 */
export function overrideLimits(limits, settings) {
  /** @type {Record<string, number>} */
  const changed = { ...limits }
  for (const [name, value] of settings) {
    if (!Object.hasOwn(limits, name)) {
      throw new RangeError(`'${name}' is no limit; the limits are ${Object.keys(limits).join(', ')}`)
    }
    if (!/^\d+(\.\d+)?$/.test(value) || Number(value) <= 0) {
      throw new RangeError(`limit ${name}: '${value}' is no positive number`)
    }
    changed[name] = Object.hasOwn(SECONDS, name) ? Number(value) : Math.trunc(Number(value))
  }
  return Object.freeze(/** @type {Limits} */ (changed))
}
