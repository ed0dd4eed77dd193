/* The socket that a router listens on: opened once, and kept by whoever starts the router again when it dies. */

import dns from 'node:dns/promises'
import net from 'node:net'
import { getSystemErrorName } from 'node:util'

/** The descriptor at which the bound socket is handed down to a router. */
export const LISTENER = 3

/** Nobody can listen there; names host and port. */
export class CannotListen extends Error {
  /** @param {string} host @param {number} port @param {string} reason */
  constructor(host, port, reason) {
    super(`cannot listen on ${host} port ${port}: ${reason}`)
  }
}

/**
 * The descriptor of a bound socket. This process never accepts from it, so who connects while no router is there waits.
 * Rejects with CannotListen.
 * @param {string} host @param {number} port @returns {Promise<number>}
 */
export async function openListener(host, port) {
  const { address, family } = await dns.lookup(host).catch(error => {
    throw new CannotListen(host, port, error.message)
  })
  // What node:cluster binds with too: net.Server would also accept. A number is an error of the system.
  const handle = /** @type {any} */ (net)._createServerHandle(address, port, family)
  if (typeof handle === 'number') throw new CannotListen(host, port, reasonOf(getSystemErrorName(handle)))
  // libuv keeps back that the address is taken until somebody listens; until then the socket has no port.
  const bound = /** @type {{ port?: number }} */ ({})
  const status = handle.getsockname(bound)
  if (status !== 0) throw new CannotListen(host, port, reasonOf(getSystemErrorName(status)))
  if (port !== 0 && bound.port !== port) throw new CannotListen(host, port, reasonOf('EADDRINUSE'))
  return handle.fd
}

/** Say where a router listens: the ready line. @param {{port: number}} ready */
export function sayReady(ready) {
  process.stdout.write(`${JSON.stringify({ ready })}\n`)
}

/** @param {string} name */
function reasonOf(name) {
  return name === 'EADDRINUSE' ? 'address already in use' : name
}
