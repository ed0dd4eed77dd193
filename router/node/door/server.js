/* The router as a server: HTTP and WebSocket on one port, its outbox, its time, its start and its end. */

import path from 'node:path'
import { performance } from 'node:perf_hooks'

import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'

import { HandshakeRefused } from '../board/launcher_link.js'
import { Lease } from '../board/lease.js'
import { Switchboard } from '../board/switchboard.js'
import { DataDirectory } from './data_directory.js'
import { log } from './log.js'
import { closings, refusals } from '../wire/agreed.js'
import { Malformed, Refused } from '../wire/errors.js'
import { OUTBOX, UPLOADS } from '../wire/outbox_file.js'
import * as wire from '../wire/protocol.js'
import { decodeFrame } from '../wire/protocol.js'
import { Delivery } from './delivery.js'
import { handOverHandshakes } from './handover.js'
import { DiskOutbox, MemoryOutbox } from './outbox.js'
import { Pages } from './pages.js'
import { notFound, refuseWhatIsNotHttp } from './refusals.js'
import { Routes } from './routes.js'
import { Sockets } from './sockets.js'
import { Uploads } from './uploads.js'

/** Milliseconds. */
const TICK = 250
/** Milliseconds that sockets and requests get to end when the server does. */
const STOP_PATIENCE = 300
const BACKLOG = 1024
/** What a router that takes this one's place must know, even if this one dies at once. */
const ABOUT_THE_LEASE = new Set([wire.LEASE, wire.DRAIN, wire.BYE])

/**
 * @typedef {import('./settings.js').Settings} Settings
 * @typedef {import('../wire/protocol.js').Packet} Packet
 * @typedef {import('./sockets.js').Socket} Socket
 * @typedef {import('./lease_memory.js').LeaseMemory} LeaseMemory
 * @typedef {import('../board/switchboard.js').Instant} Instant
 */

/** One router. `start`, then wait for `over` or a signal, then `stop`. */
export class Router {
  #settings
  #memory
  #data
  #outbox
  #uploads
  #switchboard
  #sockets
  #pages
  #app
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
   * @param {Settings} settings @param {LeaseMemory} memory
   */
  constructor(settings, memory) {
    const { data, limits, token, runId } = settings
    this.#settings = settings
    this.#memory = memory
    this.#data = new DataDirectory(data, runId)
    this.#outbox = this.#makeOutbox()
    this.#uploads = new Uploads(path.resolve(data, UPLOADS), limits)
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
    this.#app = Fastify({
      clientErrorHandler: refuseWhatIsNotHttp(this.#switchboard.counters),
      frameworkErrors: (_, __, reply) => void notFound(reply),
      return503OnClosing: false
    })
  }

  /**
   * Listen, on the socket of that descriptor if there is one; resolves with the port. Rejects with the system's error.
   * @param {number | undefined} listener
   */
  async start(listener) {
    this.#addRoutes()
    await this.#app.ready()
    const { server } = this.#app
    handOverHandshakes(server, (request, connection, head) =>
      this.#sockets.open(request, connection, head, this.#pages.session(request))
    )
    const { host, port } = this.#settings
    const where = listener === undefined ? { host, port } : { host: '127.0.0.1', fd: listener } // the host is not used then
    await this.#app.listen({ ...where, backlog: BACKLOG })
    this.#ticking = setInterval(() => this.#tick(), TICK)
    return /** @type {import('node:net').AddressInfo} */ (server.address()).port
  }

  /** Answer who waits, close the sockets, write out what is held. */
  async stop() {
    clearInterval(this.#ticking)
    this.#switchboard.waiting.refuseAll(refusals.restarting)
    await this.#sockets.closeAll(STOP_PATIENCE)
    const patience = setTimeout(() => this.#app.server.closeAllConnections(), STOP_PATIENCE)
    await this.#app.close()
    clearTimeout(patience)
    await this.#outbox.close()
  }

  #addRoutes() {
    this.#app.register(fastifyStatic, { serve: false, cacheControl: false })
    this.#pages.addRoutes(this.#app)
    const parts = {
      settings: this.#settings,
      switchboard: this.#switchboard,
      pages: this.#pages,
      uploads: this.#uploads,
      sockets: this.#sockets,
      outbox: this.#outbox,
      clock
    }
    new Routes(parts).addTo(this.#app)
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
    this.#memory.save(this.#switchboard.lease.state)
  }

  #takeUpLease() {
    const { lease, grace, idleTimeout, maxLifetime } = this.#settings
    const { now, wall } = clock()
    const lifetimeLeft = maxLifetime === undefined ? undefined : maxLifetime - this.#data.age(wall)
    return new Lease(lease, grace, now, { idleTimeout, lifetimeLeft, before: this.#memory.load() })
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
    return new DiskOutbox(path.join(this.#settings.data, OUTBOX), onHeld, onReleased)
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
      if (isBinary) throw new Refused(refusals.not_text)
      return decodeFrame(content)
    } catch (error) {
      const refused = error instanceof Malformed ? Refused.of(error) : error
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
    if (error instanceof Malformed) return socket.close(closings.malformed.code, error.message)
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
    if (socket.closeCode === closings.frame_too_large.code) this.#switchboard.counters.add('refused_frame_too_large')
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
