/* Files that workers upload, and the forms that they come in: streamed to disk under names of the router's own, and given out to
   the launcher.

   A file is there whole (written, fsynced, renamed) or not at all. The worker's file name is only ever data. */

import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { open, rename, unlink } from 'node:fs/promises'
import path from 'node:path'

import { Busboy } from '@fastify/busboy'

import { bounds, dataDirectory, malformed, refusals } from '../wire/agreed.js'
import { Malformed, Refused } from '../wire/errors.js'
import { syncDirectory } from '../wire/journal.js'
import { CutOff } from './refusals.js'

const NAME = new RegExp(`^${dataDirectory.upload_name}$`)
const EXTENSION = new RegExp(`^${dataDirectory.upload_extension}$`)

/**
 * @typedef {import('node:http').IncomingMessage} IncomingMessage
 * @typedef {import('../wire/protocol.js').Limits} Limits
 * @typedef {import('../wire/protocol.js').UploadedFile} UploadedFile
 * @typedef {import('@fastify/busboy').BusboyFileStream} FileStream
 *
 * What a multipart request held.
 * @typedef {{fields: Map<string, string>, files: UploadedFile[]}} Form
 */

/** One directory of uploaded files. */
export class Uploads {
  /** @param {string} directory @param {Readonly<Limits>} limits */
  constructor(directory, limits) {
    this.directory = directory
    this.limits = limits
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
    throw new Refused(refusals.no_such_file)
  }

  /**
   * Store what comes as an upload; resolves with the router's name of it. `nameHint` gives no more than the extension.
   * @param {string} nameHint @param {Iterable<Buffer> | AsyncIterable<Buffer>} content
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

  /** Delete uploads. Gone is fine. @param {Iterable<string>} names */
  discard(names) {
    for (const name of names) fs.rmSync(path.join(this.directory, name), { force: true })
  }

  /**
   * Read a multipart request. Throws Refused, Malformed or CutOff; then nothing of it stays on the disk.
   * @param {IncomingMessage} request @returns {Promise<Form>}
   */
  receive(request) {
    return new FormReader(request, this).read()
  }
}

/** Reads one form. @fastify/multipart itself refuses fields that are called `__proto__`; its parser takes any name. */
class FormReader {
  #request
  #uploads
  /** @type {Map<string, string>} */
  #fields = new Map()
  /** @type {FileStream[]} */
  #streams = []
  /** @type {Promise<UploadedFile>[]} */
  #receiving = []

  /** @param {IncomingMessage} request @param {Uploads} uploads */
  constructor(request, uploads) {
    this.#request = request
    this.#uploads = uploads
  }

  /** @returns {Promise<Form>} */
  async read() {
    try {
      await this.#parse()
      return { fields: this.#fields, files: await Promise.all(this.#receiving) }
    } catch (error) {
      await this.#discard(/** @type {Error} */ (error))
      throw error
    }
  }

  /** @returns {Promise<void>} */
  #parse() {
    const { submission, upload, upload_files } = this.#uploads.limits
    return new Promise((resolve, reject) => {
      const refuse = (/** @type {import('../wire/agreed.js').Refusal} */ refusal, /** @type {number} */ limit) =>
        reject(new Refused(refusal, { limit }))
      const parser = this.#makeParser()
      parser
        .on('field', (name, value, _, isCut) => {
          if (isCut) refuse(refusals.answer_too_large, submission)
          else if (isName(name)) this.#fields.set(name, value)
          else reject(new Malformed(malformed.nameless))
        })
        .on('file', (name, stream, filename, encoding, mimetype) => {
          stream.on('limit', () => refuse(refusals.file_too_large, upload)).on('error', error => reject(notWhole(error)))
          this.#streams.push(stream)
          const receiving = this.#receive(stream, { name, filename, encoding, mimetype })
          receiving.catch(reject)
          this.#receiving.push(receiving)
        })
        .on('filesLimit', () => refuse(refusals.too_many_files, upload_files))
        .on('fieldsLimit', () => refuse(refusals.too_many_fields, bounds.form_fields))
        .on('error', error => reject(notWhole(/** @type {Error} */ (error))))
        .on('finish', resolve)
      const cutOff = () => this.#request.complete || reject(new CutOff())
      this.#request.on('error', cutOff).on('close', cutOff)
      this.#request.pipe(parser)
    })
  }

  #makeParser() {
    const { submission, upload, upload_files } = this.#uploads.limits
    try {
      return new Busboy({
        headers: /** @type {import('@fastify/busboy').BusboyHeaders} */ (this.#request.headers),
        preservePath: true,
        isPartAFile: (_, __, filename) => filename !== undefined,
        limits: { fieldSize: submission, fields: bounds.form_fields, fileSize: upload, files: upload_files }
      })
    } catch (error) {
      throw notWhole(/** @type {Error} */ (error))
    }
  }

  /**
   * @param {FileStream} stream
   * @param {{name: string | undefined, filename: string, encoding: string, mimetype: string}} said
   * @returns {Promise<UploadedFile>}
   */
  async #receive(stream, { name, filename, encoding, mimetype }) {
    if (!isName(name) || !isName(filename)) throw new Malformed(malformed.nameless)
    const kept = await this.#keepFile(stream, filename)
    return {
      fieldname: cut(name),
      originalname: cut(filename),
      encoding: cut(encoding),
      mimetype: cut(mimetype),
      destination: this.#uploads.directory,
      filename: kept,
      path: `${this.#uploads.directory}/${kept}`,
      size: stream.bytesRead
    }
  }

  /** @param {FileStream} stream @param {string} filename */
  async #keepFile(stream, filename) {
    try {
      return await this.#uploads.keep(filename, stream)
    } catch (error) {
      throw isOfTheDisk(error) ? new Refused(refusals.storage_full) : error
    }
  }

  /** Let what is left of the request pass, so that the answer is heard. @param {Error} error */
  async #discard(error) {
    this.#request.unpipe()
    this.#request.resume()
    for (const stream of this.#streams) stream.destroy(error)
    for (const outcome of await Promise.allSettled(this.#receiving)) {
      if (outcome.status === 'fulfilled') this.#uploads.discard([outcome.value.filename])
    }
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

/** @param {string | undefined} name @returns {name is string} */
function isName(name) {
  return name !== undefined && !name.includes('\0')
}

/** @param {unknown} error */
function isOfTheDisk(error) {
  return error instanceof Error && 'syscall' in error
}

/** @param {Error} error */
function notWhole(error) {
  return Malformed.expected(malformed.form, error.message)
}

/** What a worker says of a file, no longer than file names are. @param {string} said */
function cut(said) {
  return said.length <= bounds.file_name ? said : Array.from(said).slice(0, bounds.file_name).join('')
}
