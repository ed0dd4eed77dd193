/* Listening in the place of routers of the same run that are gone, so that their links and open pages find somebody. */

import net from 'node:net'

import { Refused } from '../wire/errors.js'

const BACKLOG = 1024

/** The ports that one router took over. Who connects there is handed to `server`. */
export class Adoption {
  #host
  #server
  /** @type {Map<number, net.Server>} */
  #listening = new Map()

  /**
   * @param {string} host
   * @param {import('node:http').Server} server
   */
  constructor(host, server) {
    this.#host = host
    this.#server = server
  }

  /**
   * Listen on these too. May be repeated. Rejects with Refused if some cannot be had; on the others it listens.
   * @param {number[]} ports
   */
  async adopt(ports) {
    const missing = ports.filter(port => !this.#listening.has(port))
    const refused = (await Promise.all(missing.map(port => this.#listen(port)))).filter(Boolean)
    if (!refused.length) return
    throw new Refused(409, 'cannot_listen', `cannot listen in the place of a lost router: ${refused.join(', ')}`)
  }

  /** Listen there no more. */
  end() {
    for (const listener of this.#listening.values()) listener.close()
  }

  /** Resolves with what is in the way, or with null. @param {number} port @returns {Promise<string | null>} */
  #listen(port) {
    const listener = net.createServer(connection => this.#server.emit('connection', connection))
    this.#listening.set(port, listener)
    return new Promise(resolve => {
      listener.once('listening', () => resolve(null))
      listener.once('error', error => {
        this.#listening.delete(port)
        resolve(`port ${port} (${error.message})`)
      })
      listener.listen({ host: this.#host, port, backlog: BACKLOG })
    })
  }
}
