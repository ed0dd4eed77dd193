/* The packets, statuses, limits and close codes of the wire. No I/O, no clock, no state.

   What a packet means is the switchboard's business; how it travels is the server's. */

import { isAscii, isUtf8 } from 'node:buffer'

import * as agreed from './agreed.js'
import { filled } from './agreed.js'
import { Malformed } from './errors.js'
import { fieldOf, itemsOf } from './json_text.js'

export const PROTOCOL = agreed.protocol
/** The subject of a launcher's `alive`, as Mephisto's launcher says it. */
export const LAUNCHER_SUBJECT = agreed.launcherSubject

/** Packet types, from pages, to pages, from and to the launcher. */
export const {
  ALIVE, HEARTBEAT, UPDATE_STATUS, CLIENT_BOUND_LIVE_UPDATE, MEPHISTO_BOUND_LIVE_UPDATE, REQUEST_STATUSES, RETURN_STATUSES,
  REGISTER_AGENT, AGENT_DETAILS, SUBMIT_ONBOARDING, SUBMIT_UNIT, SUBMIT_METADATA, LOG_ERROR, WELCOME, ACK, LEASE, DRAIN, BYE,
  PEERS, ERROR
} = agreed.packets

// Statuses of an agent (protocol §5).
export const { none: NONE, disconnect: DISCONNECT } = agreed.statuses
export const WORKING = new Set(agreed.statuses.working)
/** The agent's work is in the launcher's hands: another submission is refused. */
export const TAKEN = new Set(agreed.statuses.taken)
export const STATUSES = new Set([NONE, DISCONNECT, ...WORKING, ...TAKEN, ...agreed.statuses.others])

/** Characters of an agent's or a submission's id, so that what a packet says around its data has an upper bound. */
export const LONGEST_ID = agreed.bounds.id

/** @typedef {{[name in keyof typeof agreed.limits]: number}} Limits bytes, counts and seconds */

const LIMIT_NAMES = /** @type {(keyof Limits)[]} */ (Object.keys(agreed.limits))

/** What a router takes and how long it waits. @type {Readonly<Limits>} */
export const LIMITS = Object.freeze(
  /** @type {Limits} */ (Object.fromEntries(LIMIT_NAMES.map(name => [name, agreed.limits[name].default])))
)

/**
 * A copy with the named limits set. Throws RangeError for a name that is none, or a value that is no positive number.
 * @param {Readonly<Limits>} limits @param {Iterable<[string, string]>} settings @returns {Readonly<Limits>}
 */
export function overrideLimits(limits, settings) {
  const changed = { ...limits }
  for (const [said, value] of settings) {
    const name = LIMIT_NAMES.find(name => name === said)
    const { unknown_limit, limit } = agreed.wrongSettings
    if (!name) throw new RangeError(filled(unknown_limit, { name: said, names: LIMIT_NAMES.join(', ') }))
    if (!/^\d+(\.\d+)?$/.test(value) || Number(value) <= 0) throw new RangeError(filled(limit, { name, value }))
    changed[name] = agreed.limits[name].kind === 'seconds' ? Number(value) : Math.trunc(Number(value))
  }
  return Object.freeze(changed)
}

/**
 * What anyone may say over a socket. `data` is JSON text, passed on as it came.
 * @typedef {{
 *   packet_type: string, subject_id: string | null, data: string,
 *   client_timestamp: number | null, server_timestamp: number | null
 * }} Packet
 */

/**
 * A file that the router received: `filename` is the router's own name for it, the rest is what the worker said.
 * @typedef {{
 *   fieldname: string, originalname: string, encoding: string, mimetype: string,
 *   destination: string, filename: string, path: string, size: number
 * }} UploadedFile
 */

/**
 * A fixed set of fields: what each may be. Fields that are not named here may be anything.
 * @typedef {Record<string, (value: unknown) => boolean>} Shape
 */

/** @param {unknown} value */
export const text = value => typeof value === 'string'
/** @param {unknown} value */
export const number = value => Number.isFinite(value)
/** @param {unknown} value */
export const integer = value => Number.isSafeInteger(value)
/** @param {unknown} value */
export const leaseSeconds = value => typeof value === 'number' && value > 0 && value <= agreed.bounds.lease
/** @param {unknown} value */
export const port = value => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65535
/** @param {unknown} value */
export const object = value => typeof value === 'object' && value !== null && !Array.isArray(value)
/** @param {(value: unknown) => boolean} kind */
export const optional = kind => (/** @type {unknown} */ value) => value === undefined || kind(value)
/** @param {(value: unknown) => boolean} kind */
export const maybe = kind => (/** @type {unknown} */ value) => value === undefined || value === null || kind(value)

/** @type {Shape} */
const PACKET = {
  packet_type: text,
  subject_id: maybe(text),
  client_timestamp: maybe(number),
  server_timestamp: maybe(number),
  router_incoming_timestamp: maybe(number),
  router_outgoing_timestamp: maybe(number),
  number: maybe(integer),
  files: optional(Array.isArray),
  data_file: maybe(text),
  submission_id: maybe(text)
}
const A_FRAME = agreed.malformed.frame

/** The packets of a frame: one packet, or an array of them. Throws Malformed. @param {Buffer} frame @returns {Packet[]} */
export function decodeFrame(frame) {
  const { value, json } = decode(frame, A_FRAME)
  if (!Array.isArray(value)) return [readPacket(value, json, 0)]
  const starts = itemsOf(json)
  return value.map((said, index) => readPacket(said, json, starts[index]))
}

/** @param {unknown} value @param {string} json @param {number} start of the packet in the JSON @returns {Packet} */
function readPacket(value, json, start) {
  const said = check(value, PACKET, A_FRAME)
  return {
    packet_type: said.packet_type,
    subject_id: said.subject_id ?? null,
    data: fieldOf(json, 'data', start) ?? '{}',
    client_timestamp: said.client_timestamp ?? null,
    server_timestamp: said.server_timestamp ?? null
  }
}

/**
 * JSON of a foreign hand: its value, and its text. Throws Malformed, which says what was expected, with the facts in
 * their places.
 *
 * Half a surrogate pair is mended to U+FFFD: a text field with a maximum length cuts an emoji in two, and browsers send it,
 * but not every reader of JSON takes it.
 * @param {Buffer} bytes @param {string} expected @param {Record<string, unknown>} [facts] @returns {{value: any, json: string}}
 */
export function decode(bytes, expected, facts) {
  if (!isUtf8(bytes)) throw Malformed.expected(expected, 'this is not UTF-8', facts)
  const written = bytes.toString(isAscii(bytes) ? 'latin1' : 'utf8')
  const json = /\\u[dD]/.test(written) ? written.replace(ESCAPE, mendSurrogate) : written
  try {
    return { value: JSON.parse(json), json }
  } catch (error) {
    throw Malformed.expected(expected, /** @type {Error} */ (error).message, facts)
  }
}

const ESCAPE = /\\(?:u[dD][89abAB]..(\\u[dD][c-fC-F]..)?|u[dD][c-fC-F]..|.)/gs

/** @param {string} escape */
function mendSurrogate(escape) {
  return escape[1] === 'u' && escape.length === 6 ? '\\ufffd' : escape
}

/**
 * The value, once each field is what it may be. Throws Malformed.
 * @param {unknown} value @param {Shape} shape @param {string} expected @param {Record<string, unknown>} [facts] @returns {any}
 */
export function check(value, shape, expected, facts) {
  if (!object(value)) throw Malformed.expected(expected, 'this is no JSON object', facts)
  const said = /** @type {Record<string, unknown>} */ (value)
  for (const name in shape) {
    if (!shape[name](said[name])) throw Malformed.expected(expected, `${name} is missing, or of another type`, facts)
  }
  return said
}

/**
 * The data of a packet, once each field is what it may be. Throws Malformed.
 * @param {Packet} packet @param {Shape} shape @returns {any}
 */
export function checkData({ packet_type, data }, shape) {
  const fields = Object.keys(shape).join(', ')
  return check(JSON.parse(data), shape, agreed.malformed.packet_data, { packet_type, fields })
}

/**
 * `wall`: when the packet came, and goes.
 * @typedef {{clientTimestamp?: number | null, serverTimestamp?: number | null, wall?: number}} Times
 */

/**
 * A packet of the router's as JSON: it always has a type, a subject and data, as Mephisto's channel demands.
 * @param {string} type @param {string} subject @param {string} data JSON @param {Times} [times]
 */
export function encode(type, subject, data, { clientTimestamp, serverTimestamp, wall } = {}) {
  let json = `{"packet_type":"${type}","subject_id":${JSON.stringify(subject)},"data":${data}`
  if (clientTimestamp != null) json += `,"client_timestamp":${clientTimestamp}`
  if (serverTimestamp != null) json += `,"server_timestamp":${serverTimestamp}`
  if (wall !== undefined) json += `,"router_incoming_timestamp":${wall},"router_outgoing_timestamp":${wall}`
  return json + '}'
}

/** A packet that workers hand in: it is kept until the launcher has it. */
export class Envelope {
  /** Given by the outbox. */
  number = 0
  /** The router's own word for what was uploaded with it; `data` is the worker's and proves nothing. @type {UploadedFile[]} */
  files = []
  /** Where the data is too large for a frame: the name under which `/download_file/` has it. @type {string | null} */
  dataFile = null
  /** By which a submission is known: the page's own word, or else a digest of what it handed in. @type {string | null} */
  submissionId = null

  /**
   * @param {string} type @param {string} subject @param {string} data JSON @param {number | null} clientTimestamp
   * @param {number} wall
   */
  constructor(type, subject, data, clientTimestamp, wall) {
    this.type = type
    this.subject = subject
    this.data = data
    this.times = { clientTimestamp, wall }
  }

  /** The packet as JSON. */
  encode() {
    let json = encode(this.type, this.subject, this.data, this.times).slice(0, -1) + `,"number":${this.number}`
    if (this.files.length) json += `,"files":${JSON.stringify(this.files)}`
    if (this.dataFile !== null) json += `,"data_file":"${this.dataFile}"`
    if (this.submissionId !== null) json += `,"submission_id":${JSON.stringify(this.submissionId)}`
    return json + '}'
  }

  /** The router's names of the uploads that it speaks of. */
  uploads() {
    return namesOf(this.files, this.dataFile)
  }
}

/**
 * The router's names of the uploads that a packet speaks of.
 * @param {UploadedFile[]} files @param {string | null} dataFile
 */
export function namesOf(files, dataFile) {
  const names = files.map(file => file.filename)
  return dataFile === null ? names : [...names, dataFile]
}

/** One frame of packets that are encoded already. @param {string[]} packets */
export function encodeFrame(packets) {
  return packets.length === 1 ? packets[0] : `[${packets.join(',')}]`
}
