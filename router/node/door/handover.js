/* How a connection passes from HTTP to a WebSocket. Node hands over whoever asks for an upgrade, of whatever kind and path;
   what is no handshake of ours is answered as any other request. */

import { ServerResponse } from 'node:http'

import { refusals } from '../wire/agreed.js'
import { Refused } from '../wire/errors.js'

/**
 * @typedef {import('node:http').IncomingMessage} IncomingMessage
 * @typedef {import('node:http').Server} Server
 * @typedef {import('node:net').Socket} Connection
 */

/**
 * Let handshakes of that server reach `open(request, connection, head)`.
 * @param {Server} server @param {(request: IncomingMessage, connection: Connection, head: Buffer) => void} open
 */
export function handOverHandshakes(server, open) {
  server.on('upgrade', (request, duplex, head) => {
    const connection = /** @type {Connection} */ (duplex)
    if (isOurHandshake(request)) open(request, connection, head)
    else answerPlainly(server, request, connection)
  })
}

/** Throws Refused for a request that wants a WebSocket and gave no handshake for it. @param {IncomingMessage} request */
export function refuseHalfHandshake(request) {
  if (wantsWebSocket(request)) throw new Refused(refusals.no_handshake)
}

/** @param {IncomingMessage} request */
function isOurHandshake(request) {
  const { method, url, headers } = request
  const key = headers['sec-websocket-key'] ?? ''
  const isForRoot = method === 'GET' && /^\/(\?|$)/.test(url ?? '')
  return isForRoot && wantsWebSocket(request) && headers['sec-websocket-version'] === '13' && isKey(key)
}

/** @param {IncomingMessage} request */
function wantsWebSocket(request) {
  return request.headers.upgrade?.toLowerCase() === 'websocket'
}

/** 16 bytes in base64. @param {string} key */
function isKey(key) {
  return /^[+/0-9A-Za-z]{22}==$/.test(key)
}

/** @param {Server} server @param {IncomingMessage} request @param {Connection} connection */
function answerPlainly(server, request, connection) {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(connection)
  response.on('finish', () => connection.destroySoon())
  connection.on('error', () => connection.destroy())
  server.emit('request', request, response)
}
