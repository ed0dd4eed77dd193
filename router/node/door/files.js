/* The files that browsers get: the task's own, and beside them falsework's client. */

import { existsSync } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** In this directory in a bundle, which holds one router; beside it in the repository and in an installed package. */
const CLIENT = ['../client/', '../../client/'].map(place => fileURLToPath(new URL(place, import.meta.url))).find(existsSync)

/** @typedef {import('fastify').FastifyReply} Reply */

/** One task's files. */
export class StaticFiles {
  #roots
  #headers

  /**
   * @param {string} directory
   * @param {Record<string, string>} pageHeaders
   */
  constructor(directory, pageHeaders) {
    this.#roots = CLIENT === undefined ? [directory] : [directory, CLIENT]
    this.#headers = { 'Cache-Control': 'no-cache', ...pageHeaders }
  }

  /**
   * Answer with the file of that name.
   * @param {Reply} reply
   * @param {string} name
   */
  async send(reply, name) {
    for (const root of this.#roots) {
      const found = await inside(root, name)
      if (found) return sendFile(reply.headers(this.#headers), found)
    }
    return reply.callNotFound()
  }
}

/**
 * Answer with a file, wherever it lies.
 * @param {Reply} reply
 * @param {string} file
 */
export function sendFile(reply, file) {
  return reply.sendFile(path.basename(file), path.dirname(file))
}

/**
 * The file of that name under `root`, or undefined: nothing outside, no links out, no directories.
 * @param {string} root
 * @param {string} name
 */
async function inside(root, name) {
  try {
    const found = await realpath(path.join(root, name.replace(/^\/+/, '')))
    const isUnder = found.startsWith((await realpath(root)) + path.sep)
    return isUnder && (await stat(found)).isFile() ? found : undefined
  } catch (error) {
    if (isAboutTheName(error)) return undefined
    throw error
  }
}

const NO_SUCH_NAME = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'EACCES', 'ERR_INVALID_ARG_VALUE'])

/** @param {unknown} error */
function isAboutTheName(error) {
  return error instanceof Error && NO_SUCH_NAME.has(/** @type {NodeJS.ErrnoException} */ (error).code ?? '')
}
