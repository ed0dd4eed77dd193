/* One router, put together: what it hears and when, its outbox, its time, its start and its end. */

import path from 'node:path'
import { performance } from 'node:perf_hooks'

import { DataDirectory } from '../process/data_directory.js'
import { Delivery } from './delivery.js'
import { Malformed, Refused, restarting } from '../wire/errors.js'
import { handOverHandshakes } from './handover.js'
import { HandshakeRefused } from '../board/launcher_link.js'
import { Lease } from '../board/lease.js'
import { log } from '../process/log.js'
import { DiskOutbox, MemoryOutbox } from './outbox.js'
import { Pages } from './pages.js'
import * as wire from '../wire/protocol.js'
import { decodeFrame } from '../wire/protocol.js'
import { Site } from './routes.js'
import { Sockets } from './sockets.js'
import { Switchboard } from '../board/switchboard.js'
import { Uploads } from './uploads.js'

/** Milliseconds. */
const TICK = 250
/** Milliseconds that sockets and requests get to end when the server does. */
const STOP_PATIENCE = 300
/** What a router that takes this one's place must know, even if this one dies at once. */
const ABOUT_THE_LEASE = new Set([wire.LEASE, wire.DRAIN, wire.BYE])

/**
 * @typedef {import('../process/command_line.js').Settings} Settings
 * @typedef {import('../wire/protocol.js').Packet} Packet
 * @typedef {import('./sockets.js').Socket} Socket
 * @typedef {import('../process/lease_memory.js').Supervision} Supervision
 * @typedef {import('../board/switchboard.js').Instant} Instant
 */

/** One router. `start`, then wait for `over` or a signal, then `stop`. */
export class Router {
  #settings
  #supervision
  #data
  #outbox
  #uploads
  #switchboard
  #sockets
  #pages
  #site
  /** @type {Delivery | null} */
  #delivery = null
  /** @type {NodeJS.Timeout | undefined} */
  #ticking
  /** Say that it is over. */
  end = () => {}
  /** Resolves when the lease, and what it leaves, has ended. */
  over = new Promise(resolve => (this.end = () => resolve(undefined)))

  /**
   * Throws errors of the system, JournalDamaged or DataDirectoryError where the data directory cannot be used.
   * @param {Settings} settings
   * @param {Supervision} supervision
   */
  constructor(settings, supervision) {
    const { data, limits, token, runId } = settings
    this.#settings = settings
    this.#supervision = supervision
    this.#data = new DataDirectory(data, runId)
    this.#outbox = this.#makeOutbox()
    this.#uploads = new Uploads(path.resolve(data, 'uploads'))
    const acknowledge = (/** @type {string} */ epoch, /** @type {number} */ number) => this.#acknowledge(epoch, number)
    const { submitted } = this.#outbox
    this.#switchboard = new Switchboard(runId, limits, token, this.#takeUpLease(), acknowledge, submitted)
    this.#sockets = new Sockets(
      limits,
      () => clock().now,
      (socket, isBinary, content) => this.#hear(socket, isBinary, content),
      socket => this.#forget(socket)
    )
    this.#pages = new Pages(this.#switchboard, this.#outbox, this.#uploads, clock, token === null)
    this.#site = new Site({
      settings,
      switchboard: this.#switchboard,
      pages: this.#pages,
      uploads: this.#uploads,
      sockets: this.#sockets,
      outbox: this.#outbox,
      clock
    })
  }

  /** Listen; resolves with the port. Rejects if it cannot. */
  async start() {
    const server = await this.#site.prepare()
    handOverHandshakes(server, (request, connection, head) =>
      this.#sockets.open(request, connection, head, this.#pages.session(request))
    )
    const port = await this.#site.listen(this.#supervision.listener)
    this.#ticking = setInterval(() => this.#tick(), TICK)
    return port
  }

  /** Answer who waits, close the sockets, write out what is held. */
  async stop() {
    clearInterval(this.#ticking)
    this.#switchboard.waiting.settleAll(restarting)
    await this.#sockets.closeAll(STOP_PATIENCE)
    await this.#site.close(STOP_PATIENCE)
    await this.#outbox.close()
  }

  // Time

  #tick() {
    const at = clock()
    this.#switchboard.tick(at)
    this.#sockets.tend(at.now)
    this.#saveLease()
    this.#checkOver(at)
  }

  #saveLease() {
    this.#supervision.save(this.#switchboard.lease.state)
  }

  #takeUpLease() {
    const { lease, grace, idleTimeout, maxLifetime } = this.#settings
    const { now, wall } = clock()
    const lifetimeLeft = maxLifetime === undefined ? undefined : maxLifetime - this.#data.age(wall)
    return new Lease(lease, grace, now, { idleTimeout, lifetimeLeft, before: this.#supervision.lease })
  }

  /** @param {Instant} at */
  #checkOver(at) {
    const { lease, link } = this.#switchboard
    if (this.#pages.keeping || !lease.isOver(at.now, this.#outbox.held, link.peer !== null)) return
    this.#switchboard.sayFarewell()
    this.end()
  }

  // Durable packets to the launcher

  #makeOutbox() {
    const onHeld = () => this.#delivery?.pump()
    const onReleased = (/** @type {string[]} */ names) => this.#discardUploads(names)
    if (this.#settings.outbox === 'launcher') return new MemoryOutbox(onHeld, onReleased)
    return new DiskOutbox(path.join(this.#settings.data, 'outbox.jsonl'), onHeld, onReleased)
  }

  /** @param {string} routerEpoch @param {number} number */
  #acknowledge(routerEpoch, number) {
    this.#outbox.acknowledge(routerEpoch, number)
    if (routerEpoch === this.#outbox.routerEpoch) this.#delivery?.acknowledged(number)
    if (this.#switchboard.lease.isClosed) this.#checkOver(clock())
  }

  /** The launcher has fetched them, unless it is one that fetches later without saying so. @param {string[]} names */
  #discardUploads(names) {
    if (this.#switchboard.link.protocol) this.#uploads.discard(names)
  }

  // Sockets

  /** @param {Socket} socket @param {boolean} isBinary @param {Buffer} content */
  #hear(socket, isBinary, content) {
    const at = clock()
    for (const packet of this.#packetsOf(socket, isBinary, content)) {
      if (socket.listener) socket.listener(socket, packet, at)
      else socket.listener = this.#introduce(socket, packet, at)
    }
  }

  /** @param {Socket} socket @param {boolean} isBinary @param {Buffer} content */
  #packetsOf(socket, isBinary, content) {
    try {
      if (isBinary) throw new Refused(400, 'not_text', 'frames are JSON text')
      return decodeFrame(content)
    } catch (error) {
      const refused = error instanceof Malformed ? new Refused(400, 'malformed', error.message) : error
      if (!(refused instanceof Refused)) throw error
      this.#switchboard.refuse(socket, null, refused)
      return []
    }
  }

  /**
   * The first packet says who is there: a launcher, or a page.
   * @param {Socket} socket @param {Packet} packet @param {Instant} at
   */
  #introduce(socket, packet, at) {
    if (packet.packet_type !== wire.ALIVE || packet.subject_id !== wire.LAUNCHER_SUBJECT) {
      this.#switchboard.pageSaid(socket, packet, at)
      return this.#pageSaid
    }
    try {
      const hello = this.#switchboard.attachLauncher(socket, packet, () => this.#welcome(), at)
      log.info(`launcher attached, protocol ${hello.protocol}, epoch ${hello.epoch}`)
      this.#delivery = new Delivery(this.#outbox, socket, this.#settings.limits.outbox_window, hello.protocol >= 1)
      this.#delivery.pump()
      return this.#launcherSaid
    } catch (error) {
      this.#turnAway(socket, error)
      return ignore
    }
  }

  /** @param {Socket} socket @param {unknown} error */
  #turnAway(socket, error) {
    if (error instanceof Malformed) return socket.close(wire.MALFORMED, error.message)
    if (!(error instanceof HandshakeRefused)) throw error
    log.warning(`refused a launcher: ${error.message}`)
    socket.close(error.code, error.message)
  }

  #pageSaid = (/** @type {Socket} */ socket, /** @type {Packet} */ packet, /** @type {Instant} */ at) => {
    this.#switchboard.pageSaid(socket, packet, at)
  }

  #launcherSaid = (/** @type {Socket} */ socket, /** @type {Packet} */ packet, /** @type {Instant} */ at) => {
    this.#switchboard.launcherSaid(socket, packet, at)
    if (ABOUT_THE_LEASE.has(packet.packet_type)) this.#saveLease() // the next tick may be too late
    if (packet.packet_type === wire.BYE) this.#checkOver(at)
    if (packet.packet_type === wire.PEERS) this.#adopt(socket, packet)
  }

  /** @param {Socket} launcher @param {Packet} packet */
  async #adopt(launcher, packet) {
    try {
      await this.#site.adopt(this.#switchboard.adopted)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.#switchboard.refuse(launcher, packet.subject_id, error)
    }
  }

  #welcome() {
    const { frame, submission, upload, upload_files } = this.#settings.limits
    return {
      protocol: wire.PROTOCOL,
      run_id: this.#settings.runId,
      router_epoch: this.#outbox.routerEpoch,
      held: this.#outbox.held,
      limits: { frame, submission, upload, upload_files }
    }
  }

  /** @param {Socket} socket */
  #forget(socket) {
    if (socket.closeCode === wire.MESSAGE_TOO_BIG) this.#switchboard.counters.add('refused_frame_too_large')
    if (this.#switchboard.link.peer === socket) {
      log.info(`launcher gone, close code ${socket.closeCode}`)
      this.#delivery = null
    }
    this.#switchboard.launcherGone(socket, clock())
    this.#switchboard.pageGone(socket)
  }
}

/** What a socket says after it was refused. */
function ignore() {}

/** Where the clock of this process begins on the system's monotonic one, which a router shares with the next. */
const BEGAN = Number(process.hrtime.bigint()) / 1e9 - performance.now() / 1000

/** @returns {Instant} */
function clock() {
  return { now: BEGAN + performance.now() / 1000, wall: Date.now() / 1000 }
}
