/* What is answered to who is not served: JSON for a page, a page for a person; and what is counted, not logged. */

import { STATUS_CODES } from 'node:http'

import { CutOff, Malformed, Refused } from '../wire/errors.js'
import { log } from '../process/log.js'

/** The statuses of what is no HTTP, where it is not 400, by Node's codes. @type {Record<string, number>} */
const STATUS_OF = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431 }

/** @typedef {import('fastify').FastifyReply} Reply */

/** What a page is told of an error; one that nobody expected is logged. @param {unknown} error */
export function refusalOf(error) {
  if (error instanceof Refused) return error
  if (error instanceof Malformed) return new Refused(400, 'malformed', error.message)
  if (error instanceof CutOff) return new Refused(400, 'cut_off', 'The request did not arrive whole. Please try again.')
  const { statusCode = 500, message, stack } = /** @type {import('fastify').FastifyError} */ (error)
  if (statusCode < 500) return new Refused(statusCode, 'malformed', message)
  log.error(`Unhandled: ${stack}`)
  return new Refused(500, 'internal', 'Something went wrong on the server. Please try again.')
}

/**
 * For what is no HTTP. It is only counted: whoever finds the port could fill the disk with it.
 * @param {import('./metrics.js').Counters} counters
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
export function plainPage(refused) {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Not available</title>
<p>${refused.message}</p>
</html>
`
}

/** @param {number} status */
function emptyAnswer(status) {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
}
