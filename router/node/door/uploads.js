/* Files that workers upload: streamed to disk under names of the router's own, and given out to the launcher.

   A file is there whole (written, fsynced, renamed) or not at all. The worker's file name is only ever data. */

import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { open, rename, unlink } from 'node:fs/promises'
import path from 'node:path'

import { syncDirectory } from '../wire/journal.js'
import { Refused } from '../wire/errors.js'

const NAME = /^[0-9a-f]{32}(\.[a-z0-9]{1,8})?$/
const EXTENSION = /^\.[a-z0-9]{1,8}$/

/** One directory of uploaded files. */
export class Uploads {
  /** @param {string} directory */
  constructor(directory) {
    this.directory = directory
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    for (const name of fs.readdirSync(directory)) if (name.endsWith('.part')) fs.unlinkSync(path.join(directory, name))
  }

  /**
   * Where an upload lies. Throws Refused for whatever the router did not name itself, or does not have.
   * @param {string} name
   */
  path(name) {
    const file = path.join(this.directory, name)
    if (NAME.test(name) && fs.statSync(file, { throwIfNoEntry: false })?.isFile()) return file
    throw new Refused(404, 'no_such_file', 'There is no such file here.')
  }

  /**
   * Store what comes as an upload; resolves with the router's name of it. `nameHint` gives no more than the extension.
   * @param {string} nameHint
   * @param {Iterable<Buffer> | AsyncIterable<Buffer>} content
   */
  async keep(nameHint, content) {
    const name = newName(nameHint)
    const partial = path.join(this.directory, `${name}.part`)
    try {
      await writeSynced(partial, content)
      await rename(partial, path.join(this.directory, name))
    } catch (error) {
      await unlink(partial).catch(ignoreGone)
      throw error
    }
    syncDirectory(this.directory)
    return name
  }

  /**
   * Delete uploads. Gone is fine.
   * @param {Iterable<string>} names
   */
  discard(names) {
    for (const name of names) fs.rmSync(path.join(this.directory, name), { force: true })
  }
}

/** @param {string} file @param {Iterable<Buffer> | AsyncIterable<Buffer>} content */
async function writeSynced(file, content) {
  const handle = await open(file, 'wx', 0o600)
  try {
    for await (const chunk of content) await handle.writeFile(chunk)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** @param {NodeJS.ErrnoException} error */
function ignoreGone(error) {
  if (error.code !== 'ENOENT') throw error
}

/** @param {string} original */
function newName(original) {
  const extension = path.extname(original).toLowerCase()
  return randomBytes(16).toString('hex') + (EXTENSION.test(extension) ? extension : '')
}
