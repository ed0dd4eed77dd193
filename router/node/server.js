/* The router as a server: HTTP and WebSocket on one port, start and end. As a program, one router on its own. */

import { mkdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'

import { readSettings } from './command_line.js'
import { Delivery } from './delivery.js'
import { Refused } from './errors.js'
import { handOverHandshakes } from './handover.js'
import { JournalDamaged } from './journal.js'
import { HandshakeRefused } from './launcher_link.js'
import { Lease } from './lease.js'
import { log } from './log.js'
import { DiskOutbox, MemoryOutbox } from './outbox.js'
import { Pages } from './pages.js'
import * as wire from './protocol.js'
import { Malformed, decodeFrame } from './protocol.js'
import { Site } from './site.js'
import { Sockets } from './sockets.js'
import { Switchboard } from './switchboard.js'
import { Uploads } from './uploads.js'

/** Milliseconds. */
const TICK = 250
/** Milliseconds that sockets and requests get to end when the server does. */
const STOP_PATIENCE = 300

/**
 * @typedef {import('./command_line.js').Settings} Settings
 * @typedef {import('./protocol.js').Packet} Packet
 * @typedef {import('./sockets.js').Socket} Socket
 * @typedef {import('./switchboard.js').Instant} Instant
 */

/** One router. `start`, then wait for `over` or a signal, then `stop`. */
export class Router {
  #settings
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

  /** @param {Settings} settings */
  constructor(settings) {
    const { data, limits, token, runId, lease, grace } = settings
    mkdirSync(data, { recursive: true, mode: 0o700 })
    this.#settings = settings
    this.#outbox = this.#makeOutbox()
    this.#uploads = new Uploads(path.resolve(data, 'uploads'))
    const ownLease = new Lease(lease, grace, clock().now)
    const acknowledge = (/** @type {string} */ epoch, /** @type {number} */ number) => this.#acknowledge(epoch, number)
    this.#switchboard = new Switchboard(runId, limits, token, ownLease, acknowledge)
    this.#sockets = new Sockets(
      limits,
      () => clock().now,
      (socket, isBinary, content) => this.#hear(socket, isBinary, content),
      socket => this.#forget(socket)
    )
    this.#pages = new Pages(this.#switchboard, this.#outbox, this.#uploads, clock, token === null)
    this.#site = new Site(settings, this.#switchboard, this.#pages, this.#uploads, this.#sockets, this.#outbox, clock)
  }

  /** Listen; resolves with the port. Rejects if it cannot. */
  async start() {
    const server = await this.#site.prepare()
    handOverHandshakes(server, (request, connection, head) =>
      this.#sockets.open(request, connection, head, this.#pages.session(request))
    )
    const port = await this.#site.listen()
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
    this.#checkOver(at)
  }

  /** @param {Instant} at */
  #checkOver(at) {
    if (this.#pages.keeping || !this.#switchboard.lease.isOver(at.now, this.#outbox.held)) return
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

  /** The first packet says who is there: a launcher, or a page. @param {Socket} socket @param {Packet} packet @param {Instant} at */
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

function restarting() {
  return new Refused(503, 'restarting', 'The server is going down. Please try again soon.', 5)
}

/** @returns {Instant} */
function clock() {
  return { now: performance.now() / 1000, wall: Date.now() / 1000 }
}

/** Serve until a signal or the end of the lease. Exits 0, 1 if it cannot start (one line on stderr says why), 2 for wrong usage. */
async function main() {
  const settings = readSettings(process.argv.slice(2), process.env)
  const router = makeRouter(settings)
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, router.end)
  const port = await router.start().catch(error => giveUp(`cannot listen on ${settings.host} port ${settings.port}`, error))
  process.stdout.write(`${JSON.stringify({ ready: { port } })}\n`)
  await router.over
  await router.stop()
  process.exit(0)
}

/** @param {Settings} settings */
function makeRouter(settings) {
  try {
    return new Router(settings)
  } catch (error) {
    return giveUp('cannot use the data directory', error)
  }
}

/** For errors of the system, and of files; any other is a defect and says where. @param {string} what @param {unknown} error @returns {never} */
function giveUp(what, error) {
  if (!(error instanceof JournalDamaged || (error instanceof Error && 'syscall' in error))) throw error
  process.stderr.write(`${what}: ${error.message}\n`)
  process.exit(1)
}

if (realpathSync(process.argv[1] ?? '') === fileURLToPath(import.meta.url)) await main()
