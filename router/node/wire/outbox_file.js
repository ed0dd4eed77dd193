/* The outbox's file, and the names of what lies beside it in a router's data directory: nothing else knows the format.

   The first record says the router's epoch and the number that comes next; each one after it is a packet that was handed in, or
   says up to which number the launcher has everything. Either router goes on with what the other has left, and a launcher reads
   it where no router is left. */

import { dataDirectory } from './agreed.js'
import { Malformed } from './errors.js'
import { JournalDamaged } from './journal.js'
import { check, integer, maybe, namesOf, object, optional, text } from './protocol.js'

export const { outbox: OUTBOX, uploads: UPLOADS, lock: LOCK, birth: BIRTH } = dataDirectory

/**
 * One packet that is held: its number, where it is and how long, and the uploads that it speaks of.
 * @typedef {{number: number, offset: number, length: number, files: string[]}} Held
 *
 * What an outbox's file holds; `submitted` is by agent the id of its submission.
 * @typedef {{routerEpoch: string, next: number, held: Held[], submitted: Map<string, string>}} Contents
 */

/** The first record of a file. @param {string} routerEpoch @param {number} next */
export function headerRecord(routerEpoch, next) {
  return Buffer.from(JSON.stringify({ router_epoch: routerEpoch, next }))
}

/** The record of a packet. @param {import('./protocol.js').Envelope} envelope */
export function packetRecord(envelope) {
  return Buffer.from(envelope.encode().replaceAll('\n', ' ')) // in valid JSON a line break is only white space
}

/** The record that says what the launcher has; it may be lost in a crash, then the launcher says it again. @param {number} acked */
export function ackedRecord(acked) {
  return Buffer.from(JSON.stringify({ acked }))
}

/**
 * What the records of a file say, of which there is one at least. Throws JournalDamaged.
 * @param {string} file @param {import('./journal.js').Rec[]} records @returns {Contents}
 */
export function readOutbox(file, records) {
  const { router_epoch: routerEpoch, next } = readRecord(file, records, 0, HEADER)
  /** @type {Contents} */
  const contents = { routerEpoch, next, held: [], submitted: new Map() }
  let released = 0
  for (let index = 1; index < records.length; index++) {
    const { number, acked = 0, files = [], data_file, subject_id = '', submission_id } = readRecord(file, records, index, RECORD)
    if (number == null) {
      while (contents.held[released]?.number <= acked) released += 1
      continue
    }
    const { offset, line } = records[index]
    contents.held.push({ number, offset, length: line.length, files: namesOf(files, data_file ?? null) })
    contents.next = number + 1
    if (submission_id != null) contents.submitted.set(subject_id, submission_id)
  }
  contents.held.splice(0, released)
  return contents
}

/** @param {string} file @param {import('./journal.js').Rec[]} records @param {number} index @param {import('./protocol.js').Shape} shape */
function readRecord(file, records, index, shape) {
  try {
    return check(JSON.parse(records[index].line.toString()), shape, 'a record')
  } catch (error) {
    if (error instanceof Malformed) throw new JournalDamaged(file, index + 1)
    throw error
  }
}

const HEADER = { router_epoch: text, next: integer }
const FILE = {
  fieldname: text,
  originalname: text,
  encoding: text,
  mimetype: text,
  destination: text,
  filename: text,
  path: text,
  size: integer
}
const RECORD = {
  number: maybe(integer),
  acked: optional(integer),
  subject_id: optional(text),
  files: optional(value => Array.isArray(value) && value.every(isFile)),
  data_file: maybe(text),
  submission_id: maybe(text)
}

/** @param {any} said */
function isFile(said) {
  return object(said) && Object.entries(FILE).every(([name, kind]) => kind(said[name]))
}
