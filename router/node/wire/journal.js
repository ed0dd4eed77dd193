/* An append-only file of JSON lines that is durable when it says so.

   Appends that come while a write is under way leave together in the next one (group commit): one `write` and one
   `fdatasync` for all of them. A torn last line, the mark of a crash in the middle of an append, is cut off when the file is
   opened; nothing in it was ever acknowledged. Damage anywhere else is an error, never repaired silently. */

import fs from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'

import { dataDirectory, filled } from './agreed.js'

const write = promisify(fs.write)
const datasync = promisify(fs.fdatasync)

const LINE_BREAK = 0x0a
const { O_RDWR, O_CREAT, O_TRUNC, O_APPEND } = fs.constants
const OWN = 0o600

/** A line that is not the last one cannot be read: something else wrote to the file. Names file and line. */
export class JournalDamaged extends Error {
  /** @param {string} file @param {number} line */
  constructor(file, line) {
    super(filled(dataDirectory.damaged, { file, line }))
  }
}

/** @typedef {{offset: number, line: Buffer}} Rec one line of the file, without its line break */
/** @typedef {{record: Buffer, resolve?: (offset: number) => void, reject?: (error: Error) => void}} Queued */

/** One file of records. `open` first; `append` is durable when it resolves; `close` last. */
export class Journal {
  /** @type {number | null} */
  #descriptor = null
  /** @type {Queued[]} */
  #queued = []
  /** @type {Promise<void> | null} */
  #writing = null
  #onFailure
  /** Bytes of the file that are durable; a record appended next starts here. */
  size = 0

  /**
   * @param {string} file @param {(appends: number) => void} onFailure called before the appends that failed together reject
   */
  constructor(file, onFailure) {
    this.file = file
    this.#onFailure = onFailure
  }

  /**
   * Read the records that are there, and make the file ready for appending.
   *
   * Cuts off a torn last line. Throws JournalDamaged for any other line that is no JSON, errors of the system as they come.
   * @returns {Rec[]}
   */
  open() {
    const isNew = !fs.existsSync(this.file)
    const descriptor = fs.openSync(this.file, O_RDWR | O_CREAT | O_APPEND, OWN)
    try {
      const { records, end } = readRecords(this.file)
      fs.ftruncateSync(descriptor, end)
      fs.fsyncSync(descriptor)
      this.size = end
      this.#descriptor = descriptor
      return records
    } finally {
      if (this.#descriptor === null) fs.closeSync(descriptor)
      else if (isNew) syncDirectory(path.dirname(this.file))
    }
  }

  /**
   * Append one record (JSON without a line break); resolves with its offset once it is on the disk. Its place in the queue is
   * taken when this returns.
   *
   * Rejects if it could not be written; then nothing of it is in the file, and the next append tries afresh. Whatever was
   * queued behind a failed append fails with it, so that records never overtake each other.
   * @param {Buffer} line @returns {Promise<number>}
   */
  append(line) {
    return new Promise((resolve, reject) => this.#enqueue({ record: sealed(line), resolve, reject }))
  }

  /** Append a record with the next write, without waiting. For what may be lost in a crash. @param {Buffer} line */
  note(line) {
    this.#enqueue({ record: sealed(line) })
  }

  /** Start the file afresh with one record, atomically. Only while it is idle. @param {Buffer} line */
  replace(line) {
    if (!this.isIdle) throw new Error('a journal is replaced while nothing is being appended')
    const fresh = this.file.replace(/\.[^.]*$/, '.fresh')
    const record = sealed(line)
    const descriptor = fs.openSync(fresh, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, OWN)
    try {
      fs.writeFileSync(descriptor, record)
      fs.fsyncSync(descriptor)
      fs.renameSync(fresh, this.file)
    } catch (error) {
      fs.closeSync(descriptor)
      throw error
    }
    this.#closeDescriptor()
    this.#descriptor = descriptor
    this.size = record.length
    syncDirectory(path.dirname(this.file))
  }

  /** The bytes of a record that is on the disk. @param {number} offset @param {number} length */
  read(offset, length) {
    const record = Buffer.allocUnsafe(length)
    fs.readSync(this.#open, record, 0, length, offset)
    return record
  }

  /** Whether nothing is queued or being written. */
  get isIdle() {
    return this.#queued.length === 0 && this.#writing === null
  }

  /** Wait for what is queued and close the file. May be repeated. */
  async close() {
    while (this.#writing) await this.#writing
    this.#closeDescriptor()
  }

  /** @param {Queued} append */
  #enqueue(append) {
    this.#queued.push(append)
    this.#writing ??= this.#writeQueued()
  }

  async #writeQueued() {
    await new Promise(setImmediate) // what is appended in one turn leaves together
    while (this.#queued.length) {
      const batch = this.#queued
      this.#queued = []
      try {
        await this.#write(Buffer.concat(batch.map(({ record }) => record)))
        this.#settle(batch)
      } catch (error) {
        this.#fail(batch.concat(this.#queued), /** @type {Error} */ (error))
      }
    }
    this.#writing = null
  }

  /** All of the block on the disk, or none of it in the file. @param {Buffer} block */
  async #write(block) {
    const descriptor = this.#open
    if (fs.fstatSync(descriptor).size !== this.size) {
      fs.ftruncateSync(descriptor, this.size) // a failed append could not be taken back then
    }
    try {
      for (let rest = block; rest.length; ) rest = rest.subarray((await write(descriptor, rest)).bytesWritten)
      await datasync(descriptor)
    } catch (error) {
      fs.ftruncateSync(descriptor, this.size)
      throw error
    }
  }

  /** @param {Queued[]} batch */
  #settle(batch) {
    for (const { record, resolve } of batch) {
      const offset = this.size
      this.size += record.length
      resolve?.(offset)
    }
  }

  /** @param {Queued[]} batch @param {Error} error */
  #fail(batch, error) {
    this.#queued = []
    this.#onFailure(batch.filter(({ reject }) => reject).length)
    for (const { reject } of batch) reject?.(error)
  }

  get #open() {
    if (this.#descriptor === null) throw new Error(`${this.file} is not open`)
    return this.#descriptor
  }

  #closeDescriptor() {
    if (this.#descriptor !== null) fs.closeSync(this.#descriptor)
    this.#descriptor = null
  }
}

/**
 * The records of a journal, and where the readable part ends. Changes nothing.
 * @param {string} file @returns {{records: Rec[], end: number}}
 */
export function readRecords(file) {
  const content = fs.readFileSync(file)
  const records = []
  let offset = 0
  for (;;) {
    const end = content.indexOf(LINE_BREAK, offset)
    if (end === -1) break // what follows the last line break was torn off in the middle of an append
    const record = content.subarray(offset, end + 1)
    const line = opened(record)
    if (line === null) {
      // A page that never reached the disk reads as zeros, and so does what follows it.
      if (end + 1 === content.length || record.includes(0)) break
      throw new JournalDamaged(file, records.length + 1)
    }
    records.push({ offset, line })
    offset = end + 1
  }
  return { records, end: offset }
}

/** Make a new or renamed file's name durable. @param {string} directory */
export function syncDirectory(directory) {
  const descriptor = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

// What guards a record in the file is put on in `sealed`, and is looked at and taken off in `opened`; nothing else knows of it.

/** A record as the file has it. @param {Buffer} line */
function sealed(line) {
  return Buffer.concat([line, Buffer.of(LINE_BREAK)])
}

/** The JSON of a record of the file; null for what is none. @param {Buffer} record */
function opened(record) {
  const line = record.subarray(0, -1)
  try {
    JSON.parse(line.toString())
    return line
  } catch {
    return null
  }
}
