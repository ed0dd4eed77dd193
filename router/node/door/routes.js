/* The router's HTTP side: fastify, its routes, files, metrics, and how a refusal reaches a page. */

import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'

import { Adoption } from './adoption.js'
import { CutOff, Refused } from '../wire/errors.js'
import { StaticFiles, sendFile } from './files.js'
import { refuseHalfHandshake } from './handover.js'
import { isSame } from '../board/launcher_link.js'
import { render } from './metrics.js'
import { EVERYWHERE, pageHeaders } from './policy.js'
import { notAllowed, notFound, plainPage, refusalOf, refuseWhatIsNotHttp } from './refusals.js'
import { Spreading } from './spreading.js'

const BACKLOG = 1024

/**
 * @typedef {import('fastify').FastifyRequest} Request
 * @typedef {import('fastify').FastifyReply} Reply
 * @typedef {object} Parts what there is of a router beside this
 * @property {import('../process/command_line.js').Settings} settings
 * @property {import('../board/switchboard.js').Switchboard} switchboard
 * @property {import('./pages.js').Pages} pages
 * @property {import('./uploads.js').Uploads} uploads
 * @property {import('./sockets.js').Sockets} sockets
 * @property {import('./outbox.js').Outbox} outbox
 * @property {() => import('../board/switchboard.js').Instant} clock
 */

/** What is served by HTTP. `prepare`, then `listen`, then `close`. */
export class Site {
  #settings
  #switchboard
  #pages
  #uploads
  #sockets
  #outbox
  #clock
  #pageHeaders
  #files
  #spreading
  #app
  #adoption

  /** @param {Parts} parts */
  constructor({ settings, switchboard, pages, uploads, sockets, outbox, clock }) {
    this.#settings = settings
    this.#switchboard = switchboard
    this.#pages = pages
    this.#uploads = uploads
    this.#sockets = sockets
    this.#outbox = outbox
    this.#clock = clock
    this.#pageHeaders = pageHeaders(settings.contentSecurityPolicy ?? null, settings.frameAncestors)
    this.#files = new StaticFiles(settings.static, this.#pageHeaders)
    this.#app = Fastify({
      clientErrorHandler: refuseWhatIsNotHttp(switchboard.counters),
      frameworkErrors: (_, __, reply) => void notFound(reply),
      return503OnClosing: false
    })
    this.#spreading = new Spreading(switchboard)
    this.#adoption = new Adoption(settings.host, this.#app.server)
  }

  /** Add the routes; resolves with the server, which does not listen yet. */
  async prepare() {
    const app = this.#app
    app.addHook('onRequest', async (_, reply) => void reply.headers(EVERYWHERE))
    app.addHook('onRequest', takeAnyContentType)
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_, __, done) => done(null)) // bodies are read in forms.js, in their own time
    app.setErrorHandler((error, _, reply) => this.#explain(error, reply))
    app.setNotFoundHandler((request, reply) => (isReading(request) ? notFound(reply) : notAllowed(reply)))
    app.register(fastifyStatic, { serve: false, cacheControl: false })
    this.#pages.addRoutes(app)
    app.get('/', (request, reply) => this.#root(request, reply))
    app.get('/task_index', (request, reply) => this.#index(request, reply))
    app.get('/welcome', (request, reply) => this.#index(request, reply))
    app.get('/metrics', async (_, reply) => reply.type('text/plain; charset=utf-8').send(this.#metrics()))
    app.get('/download_file/*', async (request, reply) => this.#download(request, reply))
    app.get('/*', (request, reply) => this.#files.send(reply, wildcard(request)))
    await app.ready()
    return app.server
  }

  /**
   * Listen, on the socket of that descriptor if there is one; resolves with the port. Rejects with the system's error.
   * @param {number | undefined} fd
   */
  async listen(fd) {
    const { host, port } = this.#settings
    const where = fd === undefined ? { host, port } : { host: '127.0.0.1', fd } // the host is not used then
    await this.#app.listen({ ...where, backlog: BACKLOG })
    return /** @type {import('node:net').AddressInfo} */ (this.#app.server.address()).port
  }

  /**
   * Listen in the place of routers that are gone, too. May be repeated. Rejects with the Refused for ports that cannot be had.
   * @param {number[]} ports
   */
  adopt(ports) {
    return this.#adoption.adopt(ports)
  }

  /** Let requests under way end, up to `patience` milliseconds. @param {number} patience */
  async close(patience) {
    this.#adoption.end()
    const timer = setTimeout(() => this.#app.server.closeAllConnections(), patience)
    await this.#app.close()
    clearTimeout(timer)
  }

  /** @param {Request} request @param {Reply} reply */
  async #root(request, reply) {
    refuseHalfHandshake(request.raw)
    return this.#index(request, reply)
  }

  /** @param {Request} request @param {Reply} reply */
  async #index(request, reply) {
    const session = this.#pages.session(request.raw)
    const location = this.#spreading.elsewhere(request.raw, reply, session)
    if (location !== null) return reply.code(307).headers({ 'Cache-Control': 'no-store', Location: location }).send()
    try {
      if (session === null) this.#switchboard.checkAdmission(this.#clock())
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.#refuse(reply, error).headers(this.#pageHeaders)
      return reply.type('text/html; charset=utf-8').send(plainPage(error))
    }
    return this.#files.send(reply, 'index.html')
  }

  /** @param {Request} request @param {Reply} reply */
  #download(request, reply) {
    const { token } = this.#settings
    const said = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    if (token !== null && !isSame(token, Buffer.from(said, 'latin1'))) {
      this.#switchboard.counters.add('refused_download')
      throw new Refused(401, 'not_the_launcher', "Only this run's launcher may fetch files.")
    }
    const file = this.#uploads.path(wildcard(request))
    return sendFile(reply.header('Content-Disposition', 'attachment'), file)
  }

  #metrics() {
    const { link, agents, waiting, counters, lease } = this.#switchboard
    const { now } = this.#clock()
    /** @type {[string, number][]} */
    const gauges = [
      ['sockets', this.#sockets.size],
      ['agents', agents.size],
      ['requests_waiting', waiting.size],
      ['outbox_held', this.#outbox.held],
      ['launcher_attached', link.peer ? 1 : 0],
      ['launcher_silence_seconds', now - link.heard]
    ]
    const left = lease.lifetimeLeft(now)
    if (left < Infinity) gauges.push(['lifetime_left_seconds', left])
    return render(gauges, [
      ...counters,
      ['peers_dropped_slow', this.#sockets.droppedSlow],
      ['launcher_packets_dropped', link.dropped]
    ])
  }

  /**
   * Errors reach a page as JSON {error, message}, with a sentence that a worker can read.
   * @param {unknown} error @param {Reply} reply
   */
  #explain(error, reply) {
    if (error instanceof CutOff) this.#switchboard.counters.add('uploads_cut_off')
    const refused = refusalOf(error)
    return this.#refuse(reply, refused).send({ error: refused.error, message: refused.message })
  }

  /** @param {Reply} reply @param {Refused} refused */
  #refuse(reply, refused) {
    this.#switchboard.counters.add(`refused_${refused.error}`)
    if (refused.retryAfter !== undefined) reply.header('Retry-After', String(refused.retryAfter))
    return reply.code(refused.status)
  }
}

/** @param {Request} request */
function wildcard(request) {
  return /** @type {{'*': string}} */ (request.params)['*']
}

/**
 * fastify would turn away what calls itself by no media type; to us it is JSON until reading it shows that it is not.
 * @type {import('fastify').onRequestHookHandler}
 */
function takeAnyContentType({ raw }, _, done) {
  const said = raw.headers['content-type']
  if (said !== undefined && !/^[^\s/;]+\/[^\s/;]+/.test(said)) raw.headers['content-type'] = 'application/json'
  done()
}

/** @param {Request} request */
function isReading(request) {
  return request.method === 'GET' || request.method === 'HEAD'
}
