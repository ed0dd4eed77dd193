/* Spreading workers over several routers of one run: who opens a page that another one has to serve is sent there.

   Only pages are: once a worker's page is loaded, it speaks to where it came from. */

import { randomBytes } from 'node:crypto'

import { filled, pages } from '../wire/agreed.js'
import { cookieOf } from './pages.js'

const HOST = /^(\[[\da-fA-F:.]+\]|[\w.-]+)(:\d+)?$/

/** Where visitors belong, for the routers of this run. */
export class Spreading {
  #switchboard
  #cookie

  /** @param {import('../board/switchboard.js').Switchboard} switchboard */
  constructor(switchboard) {
    this.#switchboard = switchboard
    this.#cookie = filled(pages.visitor_cookie, { run_id: switchboard.runId })
  }

  /**
   * Where a visitor has to go who belongs to another router; null for one who belongs here, or has an agent here. A browser
   * whose link tells no worker is given a name of ours to come back with: cookies know no ports.
   * @param {import('node:http').IncomingMessage} request @param {import('fastify').FastifyReply} reply
   * @param {string | null} session the cookie of a visitor who was here before
   */
  elsewhere(request, reply, session) {
    const { peers, agents, counters } = this.#switchboard
    if (!peers.areAny) return null
    const port = peers.portOf(this.#visitor(request, reply))
    const host = HOST.exec(request.headers.host ?? '')
    if (port === null || !host || (session !== null && agents.hasSession(session))) return null
    counters.add('pages_redirected')
    return `//${host[1]}:${port}${request.url}`
  }

  /** @param {import('node:http').IncomingMessage} request @param {import('fastify').FastifyReply} reply */
  #visitor(request, reply) {
    const [, query] = /^[^?]*\??(.*)$/.exec(request.url ?? '') ?? []
    const asked = new URLSearchParams(query)
    const named = pages.worker_names.map(name => asked.get(name)).find(Boolean) || cookieOf(request, this.#cookie)
    if (named) return named
    const fresh = randomBytes(16).toString('hex')
    reply.header('Set-Cookie', filled(pages.visitor, { cookie: this.#cookie, visitor: fresh }))
    return fresh
  }
}
