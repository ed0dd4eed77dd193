/* The router's side of its launcher: who it is, what waits for it while it is away. No I/O, no clock. */

import { createHash, timingSafeEqual } from 'node:crypto'

import { closings, filled } from '../wire/agreed.js'
import { checkData, integer, leaseSeconds, maybe, object, optional, text } from '../wire/protocol.js'

/**
 * The data of a launcher's first `alive`. A launcher that knows only Mephisto's packets says none of it.
 * @typedef {{token: string | null, protocol: number, epoch: number, acked: [string, number][], lease: number | null}} Hello
 * @typedef {import('./agents.js').Peer} Peer
 */

const HELLO = {
  token: maybe(text),
  protocol: optional(integer),
  epoch: optional(integer),
  acked: optional(value => object(value) && Object.values(/** @type {object} */ (value)).every(integer)),
  lease: maybe(leaseSeconds)
}

/**
 * What the sender of an `alive` says of itself. Throws Malformed.
 * @param {import('../wire/protocol.js').Packet} packet @returns {Hello}
 */
export function readHello(packet) {
  const { token = null, protocol = 0, epoch = 0, acked = {}, lease = null } = checkData(packet, HELLO)
  return { token, protocol, epoch, acked: Object.entries(acked), lease }
}

/** A launcher that is not let in; the close code and the reason. */
export class HandshakeRefused extends Error {
  /**
   * @param {import('../wire/agreed.js').Closing} closing @param {Record<string, unknown>} [facts] that its reason speaks of
   */
  constructor({ code, reason }, facts = {}) {
    super(filled(reason, facts))
    this.code = code
  }
}

/** One launcher at most is attached. `token` null takes any launcher (an open router, on the loopback only). */
export class LauncherLink {
  #token
  #limits
  /** @type {Buffer[]} */
  #backlog = []
  #backlogBytes = 0
  /** @type {Peer | null} */
  peer = null
  protocol = 0
  epoch = 0
  /** Counts the connections, so that what was sent on which can be told. */
  connection = 0
  /** Packets that were given up because the launcher was away for too long. */
  dropped = 0

  /** @param {string | null} token @param {Readonly<import('../wire/protocol.js').Limits>} limits @param {number} now */
  constructor(token, limits, now) {
    this.#token = token
    this.#limits = limits
    this.heard = now
    /** When the last launcher went away (or the router started). */
    this.left = now
  }

  /** Throws HandshakeRefused unless this launcher may attach now. @param {Hello} hello */
  check(hello) {
    if (!this.knows(hello.token ?? '')) throw new HandshakeRefused(closings.bad_token)
    if (hello.protocol === 0) return
    if (hello.epoch < this.epoch || (this.peer && hello.epoch === this.epoch)) {
      throw new HandshakeRefused(closings.not_newer, { epoch: this.epoch, said: hello.epoch })
    }
  }

  /**
   * Whether whoever says this is this run's launcher, in constant time. An open router believes anybody.
   * @param {string | Buffer} said
   */
  knows(said) {
    return this.#token === null || timingSafeEqual(digest(this.#token), digest(said))
  }

  /**
   * Make this the launcher. The one before it, if still there, is closed.
   * @param {Peer} peer @param {Hello} hello @param {number} now
   */
  attach(peer, hello, now) {
    this.peer?.close(closings.displaced.code, closings.displaced.reason)
    this.peer = peer
    this.protocol = hello.protocol
    this.epoch = Math.max(this.epoch, hello.epoch)
    this.connection += 1
    this.heard = now
    peer.batches = hello.protocol >= 1
  }

  /** The launcher's socket is gone. @param {number} now */
  detach(now) {
    this.peer = null
    this.left = now
  }

  /** To the launcher, or kept for the next one; when too much is kept the oldest go, counted. @param {string} packet */
  send(packet) {
    if (this.peer) this.peer.send(packet)
    else this.#keep(Buffer.from(packet))
  }

  /** Hand over what was kept, in order. */
  sendBacklog() {
    const backlog = this.#backlog
    this.#backlog = []
    this.#backlogBytes = 0
    for (const packet of backlog) this.send(packet.toString())
  }

  /** Seconds without an attached launcher; 0 while there is one. @param {number} now */
  awayFor(now) {
    return this.peer ? 0 : now - this.left
  }

  /** @param {Buffer} packet bytes of its own, as text could hold on to the whole frame that it was cut from */
  #keep(packet) {
    this.#backlog.push(packet)
    this.#backlogBytes += packet.length
    const { launcher_queue, launcher_queue_bytes } = this.#limits
    while (this.#backlog.length > launcher_queue || this.#backlogBytes > launcher_queue_bytes) {
      this.#backlogBytes -= /** @type {Buffer} */ (this.#backlog.shift()).length
      this.dropped += 1
    }
  }
}

/** @param {string | Buffer} content */
function digest(content) {
  return createHash('sha256').update(content).digest()
}
