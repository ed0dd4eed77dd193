/* What is answered to who is not served: JSON for a page, a page for a person; and what is counted, not logged. */

import { STATUS_CODES } from 'node:http'

import { log } from './log.js'
import { filled, pages, refusals } from '../wire/agreed.js'
import { Malformed, Refused } from '../wire/errors.js'

/** The statuses of what is no HTTP, where it is not 400, by Node's codes. @type {Record<string, number>} */
const STATUS_OF = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431 }

const INTERNAL = { status: 500, error: 'internal', message: 'Something went wrong on the server. Please try again.' }

/** @typedef {import('fastify').FastifyReply} Reply */

/** A request that ended before it was whole: whoever sent it has gone. */
export class CutOff extends Error {}

/** What a page is told of an error; one that nobody expected is logged. @param {unknown} error */
export function refusalOf(error) {
  if (error instanceof Refused) return error
  if (error instanceof Malformed) return Refused.of(error)
  if (error instanceof CutOff) return new Refused(refusals.cut_off)
  const { statusCode = 500, message, stack } = /** @type {import('fastify').FastifyError} */ (error)
  if (statusCode < 500) return new Refused({ ...refusals.malformed, status: statusCode }, { reason: message })
  log.error(`Unhandled: ${stack}`)
  return new Refused(INTERNAL)
}

/**
 * For what is no HTTP. It is only counted: whoever finds the port could fill the disk with it.
 * @param {import('../board/counters.js').Counters} counters
 * @returns {(error: NodeJS.ErrnoException, connection: import('node:net').Socket) => void}
 */
export function refuseWhatIsNotHttp(counters) {
  return ({ code = '' }, connection) => {
    counters.add('refused_not_http')
    const status = STATUS_OF[code] ?? 400
    if (connection.writable && code !== 'ECONNRESET') connection.write(emptyAnswer(status))
    connection.destroy()
  }
}

/** @param {Reply} reply */
export function notFound(reply) {
  return reply.code(404).type('text/plain; charset=utf-8').send('404: Not Found')
}

/** @param {Reply} reply */
export function notAllowed(reply) {
  return reply.code(405).header('Allow', 'GET,HEAD').type('text/plain; charset=utf-8').send('405: Method Not Allowed')
}

/** For a person who opened the task. @param {Refused} refused */
export function plainPage({ message }) {
  return filled(pages.not_available, { message })
}

/** @param {number} status */
function emptyAnswer(status) {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
}
