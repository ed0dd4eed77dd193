/* What workers handed in and the launcher does not have yet.

   A packet in the outbox has a number, counted up without gaps within one router epoch, and stays until the launcher's
   cumulative acknowledgement. `put` resolves when the worker may be told that it is safe: with a DiskOutbox once it is on the
   disk, with a MemoryOutbox (for machines whose disk does not last) once the launcher has acknowledged it. */

import { randomBytes } from 'node:crypto'

import { Journal } from '../wire/journal.js'
import { ackedRecord, headerRecord, packetRecord, readOutbox } from '../wire/outbox_file.js'

/** A file larger than this starts afresh when nothing is held. */
const COMPACT_ABOVE = 8 << 20

/**
 * @typedef {import('../wire/outbox_file.js').Held} Held
 * @typedef {import('../wire/protocol.js').Envelope} Envelope
 */

/**
 * What both kinds share. `onHeld()` is called when something new may be sent, `onReleased(files)` when uploads are no longer
 * needed here. What begins with an underscore is for the two kinds, and for nobody else.
 */
export class Outbox {
  routerEpoch = randomBytes(8).toString('hex')
  _next = 1
  /** By number, without gaps. @type {Map<number, Held>} */
  _held = new Map()
  /** By agent the id of its submission, as far as a router before this one put it here. @type {Map<string, string>} */
  submitted = new Map()
  /** The last number that is not held any more. */
  #released = 0
  #onReleased

  /** @param {() => void} onHeld @param {(files: string[]) => void} onReleased */
  constructor(onHeld, onReleased) {
    this._onHeld = onHeld
    this.#onReleased = onReleased
  }

  /** How many packets the launcher has not acknowledged. */
  get held() {
    return this._held.size
  }

  /**
   * Number the packet and keep it. Rejects if it could not be kept; then the worker must not be told that it was.
   * @abstract @param {Envelope} envelope @returns {Promise<void>}
   */
  async put(envelope) {
    throw new TypeError(`nothing keeps ${envelope.type}`)
  }

  /** The text of a packet that is held. @abstract @param {Held} held @returns {string} */
  read(held) {
    throw new TypeError(`nothing keeps ${held.number}`)
  }

  /** Held packets beyond `number`, oldest first. Do not put meanwhile. @param {number} number */
  *after(number) {
    let held
    for (let next = Math.max(number, this.#released) + 1; (held = this._held.get(next)); next++) yield held
  }

  /**
   * The launcher has everything of this epoch up to `number`. A word about another epoch is none for us.
   * @param {string} routerEpoch @param {number} number
   */
  acknowledge(routerEpoch, number) {
    if (routerEpoch !== this.routerEpoch) return
    const released = this._release(number)
    for (const { files } of released) if (files.length) this.#onReleased(files)
    if (released.length) this._acknowledged(number, released)
  }

  /** Keep what there is to keep. May be repeated. */
  async close() {}

  /** @param {Held} held */
  _hold(held) {
    if (this._held.size === 0) this.#released = held.number - 1
    this._held.set(held.number, held)
  }

  /** Hold nothing up to `number` any more; returns what was held of it. @param {number} number */
  _release(number) {
    const released = []
    for (const held of this.after(0)) {
      if (held.number > number) break
      this._held.delete(held.number)
      this.#released = held.number
      released.push(held)
    }
    return released
  }

  /** After a release. @abstract @param {number} number @param {Held[]} released */
  _acknowledged(number, released) {
    throw new TypeError(`nothing keeps ${released.length} packets up to ${number}`)
  }

  /** @param {Envelope} envelope */
  _takeNumber(envelope) {
    return (envelope.number = this._next++)
  }
}

/** Kept in one file that survives the router. Its epoch is the file's, so a restarted router goes on counting. */
export class DiskOutbox extends Outbox {
  #journal

  /** @param {string} file @param {() => void} onHeld @param {(files: string[]) => void} onReleased */
  constructor(file, onHeld, onReleased) {
    super(onHeld, onReleased)
    // The journal fails whatever is queued behind a failed append, so these numbers never were on the disk.
    this.#journal = new Journal(file, failed => (this._next -= failed))
    const records = this.#journal.open()
    if (records.length) this.#restore(readOutbox(file, records))
    else this.#journal.replace(this.#header())
  }

  /** @override @param {Envelope} envelope */
  async put(envelope) {
    const number = this._takeNumber(envelope)
    const record = packetRecord(envelope)
    const offset = await this.#journal.append(record)
    this._hold({ number, offset, length: record.length, files: envelope.uploads() })
    this._onHeld()
  }

  /** @override @param {Held} held */
  read(held) {
    return this.#journal.read(held.offset, held.length).toString()
  }

  /** @override */
  async close() {
    await this.#journal.close()
  }

  /** @override @param {number} number */
  _acknowledged(number) {
    if (!(this.held === 0 && this.#journal.isIdle && this.#journal.size > COMPACT_ABOVE && this.#startAfresh())) {
      this.#journal.note(ackedRecord(number))
    }
  }

  /** False for a full disk; then the file goes on as it is. */
  #startAfresh() {
    try {
      this.#journal.replace(this.#header())
      return true
    } catch {
      return false
    }
  }

  #header() {
    return headerRecord(this.routerEpoch, this._next)
  }

  /** @param {import('../wire/outbox_file.js').Contents} contents */
  #restore({ routerEpoch, next, held, submitted }) {
    this.routerEpoch = routerEpoch
    this._next = next
    this.submitted = submitted
    for (const one of held) this._hold(one)
  }
}

/** Kept in memory until the launcher has it; `put` waits for that, so the caller's deadline is the worker's. */
export class MemoryOutbox extends Outbox {
  /** @type {Map<number, {packet: string, resolve: () => void}>} */
  #packets = new Map()

  /** @override @param {Envelope} envelope */
  async put(envelope) {
    const number = this._takeNumber(envelope)
    const packet = envelope.encode()
    /** @type {Promise<void>} */
    const acknowledged = new Promise(resolve => this.#packets.set(number, { packet, resolve }))
    this._hold({ number, offset: 0, length: Buffer.byteLength(packet), files: envelope.uploads() })
    this._onHeld()
    await acknowledged
  }

  /** @override @param {Held} held */
  read(held) {
    return /** @type {{packet: string}} */ (this.#packets.get(held.number)).packet
  }

  /** @override @param {number} number @param {Held[]} released */
  _acknowledged(number, released) {
    for (const held of released) {
      this.#packets.get(held.number)?.resolve()
      this.#packets.delete(held.number)
    }
  }
}
