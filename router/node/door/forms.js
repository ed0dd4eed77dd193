/* What pages send by HTTP, read up to its limits: JSON bodies, and forms whose files go straight to the disk. */

import { Busboy } from '@fastify/busboy'

import { CutOff, Malformed, Refused, storageFull } from '../wire/errors.js'

const MOST_FIELDS = 100
/** What a worker says of a file is cut to what file names may be. */
const LONGEST_NAME = 255

/**
 * @typedef {import('node:http').IncomingMessage} IncomingMessage
 * @typedef {import('../wire/protocol.js').UploadedFile} UploadedFile
 * @typedef {import('./uploads.js').Uploads} Uploads
 * @typedef {import('@fastify/busboy').BusboyFileStream} FileStream
 */

/** What a multipart request held. */
export class Form {
  /** @type {Map<string, string>} */
  fields = new Map()
  /** @type {UploadedFile[]} */
  files = []
}

/**
 * The whole body of a request. Throws Refused (413) or CutOff.
 * @param {IncomingMessage} request
 * @param {Readonly<import('../wire/limits.js').Limits>} limits
 */
export async function readBody(request, limits) {
  const chunks = []
  let size = 0
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      size += chunk.length
      if (size > limits.submission) throw tooLarge(limits)
      chunks.push(chunk)
    }
  } catch (error) {
    throw request.complete || error instanceof Refused ? error : new CutOff()
  } finally {
    request.resume() // what is left of a refused one is let pass, so that the answer is heard
  }
  return Buffer.concat(chunks, size)
}

/**
 * Read a multipart request, its files into `uploads`. Throws Refused, Malformed or CutOff; then nothing of it stays.
 * @param {IncomingMessage} request
 * @param {Uploads} uploads
 * @param {Readonly<import('../wire/limits.js').Limits>} limits
 */
export function readForm(request, uploads, limits) {
  return new FormReader(request, uploads, limits).read()
}

/** Reads one form. @fastify/multipart itself refuses fields that are called `__proto__`; its parser takes any name. */
class FormReader {
  #request
  #uploads
  #limits
  #form = new Form()
  /** @type {FileStream[]} */
  #streams = []
  /** @type {Promise<UploadedFile>[]} */
  #receiving = []

  /**
   * @param {IncomingMessage} request
   * @param {Uploads} uploads
   * @param {Readonly<import('../wire/limits.js').Limits>} limits
   */
  constructor(request, uploads, limits) {
    this.#request = request
    this.#uploads = uploads
    this.#limits = limits
  }

  async read() {
    try {
      await this.#parse()
      this.#form.files = await Promise.all(this.#receiving)
      return this.#form
    } catch (error) {
      await this.#discard(/** @type {Error} */ (error))
      throw error
    }
  }

  /** @returns {Promise<void>} */
  #parse() {
    return new Promise((resolve, reject) => {
      const parser = this.#makeParser()
      parser
        .on('field', (name, value, _, isCut) => {
          if (isCut) reject(tooLarge(this.#limits))
          else if (isName(name)) this.#form.fields.set(name, value)
          else reject(nameless())
        })
        .on('file', (name, stream, filename, encoding, mimetype) => {
          stream.on('limit', () => reject(fileTooLarge(this.#limits))).on('error', error => reject(notWhole(error)))
          this.#streams.push(stream)
          const receiving = this.#receive(stream, { name, filename, encoding, mimetype })
          receiving.catch(reject)
          this.#receiving.push(receiving)
        })
        .on('filesLimit', () => reject(tooManyFiles(this.#limits)))
        .on('fieldsLimit', () => reject(tooManyFields()))
        .on('error', error => reject(notWhole(/** @type {Error} */ (error))))
        .on('finish', resolve)
      const cutOff = () => this.#request.complete || reject(new CutOff())
      this.#request.on('error', cutOff).on('close', cutOff)
      this.#request.pipe(parser)
    })
  }

  #makeParser() {
    const { submission, upload, upload_files } = this.#limits
    try {
      return new Busboy({
        headers: /** @type {import('@fastify/busboy').BusboyHeaders} */ (this.#request.headers),
        preservePath: true,
        isPartAFile: (_, __, filename) => filename !== undefined,
        limits: { fieldSize: submission, fields: MOST_FIELDS, fileSize: upload, files: upload_files }
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
    if (!isName(name) || !isName(filename)) throw nameless()
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
      throw isOfTheDisk(error) ? storageFull() : error
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

/** @param {string | undefined} name @returns {name is string} */
function isName(name) {
  return name !== undefined && !name.includes('\0')
}

function nameless() {
  return new Malformed('expected form fields and files, each with a name, and none with a NUL in it')
}

/** @param {unknown} error */
function isOfTheDisk(error) {
  return error instanceof Error && 'syscall' in error
}

/** @param {Error} error */
function notWhole(error) {
  return new Malformed(`expected a whole multipart/form-data body: ${error.message}`)
}

/** @param {string} said */
function cut(said) {
  return said.length <= LONGEST_NAME ? said : Array.from(said).slice(0, LONGEST_NAME).join('')
}

function tooManyFields() {
  return new Refused(413, 'too_many_fields', `At most ${MOST_FIELDS} fields can be sent.`)
}

/** @param {Readonly<import('../wire/limits.js').Limits>} limits */
function tooLarge(limits) {
  return new Refused(413, 'too_large', `The limit for one answer is ${limits.submission} bytes.`)
}

/** @param {Readonly<import('../wire/limits.js').Limits>} limits */
function fileTooLarge(limits) {
  return new Refused(413, 'file_too_large', `The limit for one file is ${limits.upload} bytes.`)
}

/** @param {Readonly<import('../wire/limits.js').Limits>} limits */
function tooManyFiles(limits) {
  return new Refused(413, 'too_many_files', `At most ${limits.upload_files} files can be uploaded.`)
}
