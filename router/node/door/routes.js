/* What is answered by HTTP beside what pages ask for: the task's files, metrics, downloads, and how a refusal reaches a page. */

import { existsSync } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { refusals } from '../wire/agreed.js'
import { Refused } from '../wire/errors.js'
import { refuseHalfHandshake } from './handover.js'
import { render } from './metrics.js'
import { EVERYWHERE, pageHeaders } from './policy.js'
import { CutOff, notAllowed, notFound, plainPage, refusalOf } from './refusals.js'
import { Spreading } from './spreading.js'

/** falsework's client: beside the folders in a bundle, which holds one router; one above in the repository and in a package. */
const CLIENT = ['../client/', '../../client/'].map(place => fileURLToPath(new URL(place, import.meta.url))).find(existsSync)
/** What the system, or Node, says of a name that no file has. */
const NO_SUCH_NAME = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'EACCES', 'ERR_INVALID_ARG_VALUE'])

/**
 * @typedef {import('fastify').FastifyRequest} Request
 * @typedef {import('fastify').FastifyReply} Reply
 *
 * What there is of a router beside this.
 * @typedef {object} Parts
 * @property {import('./settings.js').Settings} settings
 * @property {import('../board/switchboard.js').Switchboard} switchboard
 * @property {import('./pages.js').Pages} pages
 * @property {import('./uploads.js').Uploads} uploads
 * @property {import('./sockets.js').Sockets} sockets
 * @property {import('./outbox.js').Outbox} outbox
 * @property {() => import('../board/switchboard.js').Instant} clock
 */

/** The handlers. */
export class Routes {
  #parts
  #roots
  #headers
  #spreading

  /** @param {Parts} parts */
  constructor(parts) {
    const { settings, switchboard } = parts
    this.#parts = parts
    this.#roots = CLIENT === undefined ? [settings.static] : [settings.static, CLIENT]
    this.#headers = pageHeaders(settings.contentSecurityPolicy ?? null, settings.frameAncestors)
    this.#spreading = new Spreading(switchboard)
  }

  /** @param {import('fastify').FastifyInstance} app */
  addTo(app) {
    app.addHook('onRequest', async (_, reply) => void reply.headers(EVERYWHERE))
    app.addHook('onRequest', takeAnyContentType)
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_, __, done) => done(null)) // bodies are read in bodies.js, in their own time
    app.setErrorHandler((error, _, reply) => this.#explain(error, reply))
    app.setNotFoundHandler((request, reply) => (isReading(request) ? notFound(reply) : notAllowed(reply)))
    app.get('/', (request, reply) => this.#root(request, reply))
    app.get('/task_index', (request, reply) => this.#index(request, reply))
    app.get('/welcome', (request, reply) => this.#index(request, reply))
    app.get('/metrics', async (_, reply) => reply.type('text/plain; charset=utf-8').send(this.#metrics()))
    app.get('/download_file/*', async (request, reply) => this.#download(request, reply))
    app.get('/*', (request, reply) => this.#file(reply, wildcard(request)))
  }

  /** @param {Request} request @param {Reply} reply */
  async #root(request, reply) {
    refuseHalfHandshake(request.raw)
    return this.#index(request, reply)
  }

  /** @param {Request} request @param {Reply} reply */
  async #index(request, reply) {
    const session = this.#parts.pages.session(request.raw)
    const location = this.#spreading.elsewhere(request.raw, reply, session)
    if (location !== null) return reply.code(307).headers({ 'Cache-Control': 'no-store', Location: location }).send()
    try {
      if (session === null) this.#parts.switchboard.checkAdmission(this.#parts.clock())
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.#refuse(reply, error).headers(this.#headers)
      return reply.type('text/html; charset=utf-8').send(plainPage(error))
    }
    return this.#file(reply, 'index.html')
  }

  /** Answer with the file of that name, of the task or of falsework's client. @param {Reply} reply @param {string} name */
  async #file(reply, name) {
    for (const root of this.#roots) {
      const found = await inside(root, name)
      if (found) return send(reply.headers({ 'Cache-Control': 'no-cache', ...this.#headers }), found)
    }
    return reply.callNotFound()
  }

  /** @param {Request} request @param {Reply} reply */
  #download(request, reply) {
    const { switchboard, uploads } = this.#parts
    const said = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    if (!switchboard.link.knows(Buffer.from(said, 'latin1'))) {
      switchboard.counters.add('refused_download')
      throw new Refused(refusals.no_download)
    }
    return send(reply.header('Content-Disposition', 'attachment'), uploads.path(wildcard(request)))
  }

  #metrics() {
    const { switchboard, sockets, outbox, clock } = this.#parts
    const { link, agents, waiting, counters, lease } = switchboard
    const { now } = clock()
    /** @type {[string, number][]} */
    const gauges = [
      ['sockets', sockets.size],
      ['agents', agents.size],
      ['requests_waiting', waiting.size],
      ['outbox_held', outbox.held],
      ['launcher_attached', link.peer ? 1 : 0],
      ['launcher_silence_seconds', now - link.heard]
    ]
    const left = lease.lifetimeLeft(now)
    if (left < Infinity) gauges.push(['lifetime_left_seconds', left])
    return render(gauges, [
      ...counters,
      ['peers_dropped_slow', sockets.droppedSlow],
      ['launcher_packets_dropped', link.dropped]
    ])
  }

  /**
   * Errors reach a page as JSON {error, message}, with a sentence that a worker can read.
   * @param {unknown} error @param {Reply} reply
   */
  #explain(error, reply) {
    if (error instanceof CutOff) this.#parts.switchboard.counters.add('uploads_cut_off')
    const refused = refusalOf(error)
    return this.#refuse(reply, refused).send({ error: refused.error, message: refused.message })
  }

  /** @param {Reply} reply @param {Refused} refused */
  #refuse(reply, refused) {
    this.#parts.switchboard.counters.add(`refused_${refused.error}`)
    if (refused.retryAfter !== undefined) reply.header('Retry-After', String(refused.retryAfter))
    return reply.code(refused.status)
  }
}

/** @param {Request} request */
function wildcard(request) {
  return /** @type {{'*': string}} */ (request.params)['*']
}

/** Answer with a file, wherever it lies. @param {Reply} reply @param {string} file */
function send(reply, file) {
  return reply.sendFile(path.basename(file), path.dirname(file))
}

/**
 * The file of that name under `root`, or undefined: nothing outside, no links out, no directories.
 * @param {string} root @param {string} name
 */
async function inside(root, name) {
  try {
    const found = await realpath(path.join(root, name.replace(/^\/+/, '')))
    const isUnder = found.startsWith((await realpath(root)) + path.sep)
    return isUnder && (await stat(found)).isFile() ? found : undefined
  } catch (error) {
    if (NO_SUCH_NAME.has(/** @type {NodeJS.ErrnoException} */ (error).code ?? '')) return undefined
    throw error
  }
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
