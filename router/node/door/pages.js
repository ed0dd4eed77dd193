/* The HTTP requests of workers' pages: reading them, waiting for the launcher, keeping what is handed in. */

import { createHash, randomBytes } from 'node:crypto'

import * as agreed from '../wire/agreed.js'
import { dataDirectory, filled, refusals } from '../wire/agreed.js'
import { Malformed, Refused } from '../wire/errors.js'
import * as wire from '../wire/protocol.js'
import { Envelope, encode } from '../wire/protocol.js'
import { mergeFiles, readAgentRequest, readLog, readOnboarding, readSubmission, withoutFiles } from './bodies.js'

/** Bytes of a frame that the packet around the data may take. */
const FRAME_ALLOWANCE = 4096

/**
 * @typedef {import('fastify').FastifyRequest} Request
 * @typedef {import('fastify').FastifyReply} Reply
 * @typedef {import('../board/agents.js').Agent} Agent
 * @typedef {import('./bodies.js').Submission} Submission
 * @typedef {import('../board/switchboard.js').Instant} Instant
 * @typedef {import('../board/waiting.js').Waiting} Waiting
 * @typedef {{kept: Promise<void>, isNew: boolean}} Taken what became of a submission
 */

/** The handlers. `clock` says what time it is. */
export class Pages {
  #switchboard
  #outbox
  #uploads
  #clock
  #guardFiles
  /** What is on its way into the outbox, by agent. @type {Map<string, {submissionId: string, kept: Promise<void>}>} */
  #saving = new Map()
  /** How many things are on their way into the outbox. */
  keeping = 0

  /**
   * `guardFiles`: the launcher takes `files` in the data for files, so a worker's text of that name is renamed.
   * @param {import('../board/switchboard.js').Switchboard} switchboard @param {import('./outbox.js').Outbox} outbox
   * @param {import('./uploads.js').Uploads} uploads @param {() => Instant} clock @param {boolean} guardFiles
   */
  constructor(switchboard, outbox, uploads, clock, guardFiles) {
    this.#switchboard = switchboard
    this.#outbox = outbox
    this.#uploads = uploads
    this.#clock = clock
    this.#guardFiles = guardFiles
    this.cookie = filled(agreed.pages.session_cookie, { run_id: switchboard.runId })
  }

  /** What pages may ask. @param {import('fastify').FastifyInstance} app */
  addRoutes(app) {
    app.post('/request_agent', (request, reply) => this.requestAgent(request, reply))
    app.post('/submit_onboarding', (request, reply) => this.submitOnboarding(request, reply))
    app.post('/submit_task', request => this.submitTask(request))
    app.post('/submit_metadata', request => this.submitMetadata(request))
    app.post('/log_error', request => this.logError(request))
    app.get('/is_alive', async () => ({ status: agreed.pages.alive, run_id: this.#switchboard.runId }))
    app.get('/get_timestamp', async () => ({ timestamp: this.#clock().wall * 1000 }))
  }

  /**
   * The session cookie of this run that the request came with.
   * @param {import('node:http').IncomingMessage} request @returns {string | null}
   */
  session(request) {
    return cookieOf(request, this.cookie)
  }

  /** Held open until the launcher says who this worker is. @param {Request} request @param {Reply} reply */
  async requestAgent(request, reply) {
    const { providerData, clientTimestamp } = await readAgentRequest(request.raw, this.#switchboard.limits)
    const { waiting, answer } = this.#openRequest(request)
    const at = this.#clock()
    const data = `{"provider_data":${providerData},"request_id":"${waiting.requestId}"}`
    waiting.packet = encode(wire.REGISTER_AGENT, waiting.requestId, data, { clientTimestamp, wall: at.wall })
    this.#switchboard.register(waiting, at)
    return this.#answer(request, reply, waiting, answer)
  }

  /**
   * Durable; then held open until the launcher says what comes next for this worker.
   * @param {Request} request @param {Reply} reply
   */
  async submitOnboarding(request, reply) {
    const { agentId, onboardingData, clientTimestamp } = await readOnboarding(request.raw, this.#switchboard.limits)
    const agent = this.#switchboard.worker(agentId, this.session(request.raw), this.#clock())
    this.#switchboard.checkOpen()
    this.#checkSize(Buffer.byteLength(onboardingData))
    const { waiting, answer } = this.#openRequest(request)
    this.#switchboard.awaitOnboarding(agent, waiting)
    const data = `{"onboarding_data":${onboardingData},"request_id":"${waiting.requestId}"}`
    try {
      const envelope = new Envelope(wire.SUBMIT_ONBOARDING, agentId, data, clientTimestamp, this.#clock().wall)
      await this.#waitUntilSafe(this.#keep(envelope))
    } catch (error) {
      this.#switchboard.takeBackOnboarding(agent, waiting)
      throw error
    }
    return this.#answer(request, reply, waiting, answer)
  }

  /** Answers once the work is safe. The same submission again gets the same answer. @param {Request} request */
  async submitTask(request) {
    const submission = await readSubmission(request.raw, this.#uploads, TASK_FIELDS)
    await this.#waitUntilSafe(this.#orDiscard(submission, () => this.#startSubmission(request, submission)))
    return { status: agreed.pages.submitted }
  }

  /** Durable like a submission; an agent may hand in any number. @param {Request} request */
  async submitMetadata(request) {
    const submission = await readSubmission(request.raw, this.#uploads, METADATA_FIELDS)
    const kept = this.#orDiscard(submission, () => {
      this.#switchboard.worker(submission.agentId, this.session(request.raw), this.#clock())
      this.#switchboard.checkOpen()
      return { kept: this.#keep(this.#envelope(wire.SUBMIT_METADATA, submission)), isNew: true }
    })
    await this.#waitUntilSafe(kept)
    return { status: agreed.pages.submitted_metadata }
  }

  /** Passed on to the launcher; not durable. @param {Request} request */
  async logError(request) {
    const { agentId, data, clientTimestamp } = await readLog(request.raw, this.#switchboard.limits)
    const at = this.#clock()
    this.#switchboard.worker(agentId, this.session(request.raw), at)
    this.#switchboard.logError(agentId, data, clientTimestamp, at)
    return { status: agreed.pages.logged }
  }

  // Requests that the launcher answers

  /** @param {Request} request */
  #openRequest(request) {
    /** @type {(outcome: string | Refused) => void} */
    let settle = () => {}
    /** @type {Promise<string | Refused>} */
    const answer = new Promise(resolve => (settle = resolve))
    const session = this.session(request.raw) ?? randomBytes(16).toString('hex')
    const requestId = randomBytes(16).toString('hex')
    /** @type {Waiting} */
    const waiting = { requestId, session, since: this.#clock().now, settle, packet: null, sentOn: 0 }
    return { waiting, answer }
  }

  /** @param {Request} request @param {Reply} reply @param {Waiting} waiting @param {Promise<string | Refused>} answer */
  async #answer(request, reply, waiting, answer) {
    const outcome = await answer
    if (outcome instanceof Refused) throw outcome
    const isSecure = (request.headers['x-forwarded-proto'] ?? request.protocol) === 'https'
    const flags = isSecure ? agreed.pages.over_https : agreed.pages.over_http
    reply.header('Set-Cookie', filled(agreed.pages.session, { cookie: this.cookie, session: waiting.session, flags }))
    return reply.type('application/json; charset=utf-8').send(outcome)
  }

  // What is handed in

  /**
   * Start keeping a submission. If that throws, or this one is kept already, its files are not needed.
   * @param {Submission} submission @param {() => Taken} start
   */
  #orDiscard({ files }, start) {
    let isNeeded = false
    try {
      const taken = start()
      isNeeded = taken.isNew
      return taken.kept
    } finally {
      if (!isNeeded) this.#uploads.discard(files.map(file => file.filename))
    }
  }

  /**
   * Start keeping a submission, unless this very one is kept or being kept. Throws Refused.
   * @param {Request} request @param {Submission} submission @returns {Taken}
   */
  #startSubmission(request, submission) {
    const { agentId, data, submissionId } = submission
    if ((submissionId?.length ?? 0) > wire.LONGEST_ID) {
      throw new Malformed(agreed.malformed.submission_id, { limit: wire.LONGEST_ID })
    }
    const id = submissionId || createHash('sha256').update(data).digest('hex')
    const agent = this.#switchboard.checkSubmission(agentId, this.session(request.raw), id, this.#clock())
    if (!agent) return { kept: Promise.resolve(), isNew: false }
    const saving = this.#saving.get(agentId)
    if (saving) {
      if (saving.submissionId === id) return { kept: saving.kept, isNew: false }
      throw new Refused(refusals.being_saved)
    }
    const envelope = this.#envelope(wire.SUBMIT_UNIT, submission)
    envelope.submissionId = id
    const kept = this.#keep(envelope)
    this.#saving.set(agentId, { submissionId: id, kept })
    const saved = () => this.#saving.delete(agentId)
    kept.then(() => saved() && (agent.submissionId = id), saved)
    return { kept, isNew: true }
  }

  /**
   * Put it into the outbox; goes on when the page gives up waiting. What could not be kept leaves no files.
   * @param {Envelope} envelope
   */
  async #keep(envelope) {
    this.keeping += 1
    const { data, files } = envelope
    try {
      const size = Buffer.byteLength(data) + (files.length ? Buffer.byteLength(JSON.stringify(files)) : 0)
      if (this.#isTooLarge(size)) await this.#moveDataOut(envelope)
      await this.#outbox.put(envelope)
    } catch (error) {
      this.#uploads.discard(envelope.uploads())
      throw error
    } finally {
      this.keeping -= 1
    }
  }

  /** @param {string} type @param {Submission} submission */
  #envelope(type, { agentId, data, clientTimestamp, files }) {
    const own = this.#guardFiles ? withoutFiles(data) : data
    const content = files.length ? mergeFiles(own, files) : own
    const envelope = new Envelope(type, agentId, content, clientTimestamp, this.#clock().wall)
    envelope.files = files
    return envelope
  }

  /** Resolves once it is safe. Throws the Refused that says that it is not, or not yet. @param {Promise<void>} kept */
  async #waitUntilSafe(kept) {
    /** @type {NodeJS.Timeout | undefined} */
    let timer
    const deadline = new Promise((_, reject) => {
      const refused = new Refused(refusals.not_saved_yet)
      timer = setTimeout(reject, this.#switchboard.limits.request_deadline * 1000, refused)
    })
    try {
      await Promise.race([kept, deadline])
    } catch (error) {
      if (error instanceof Refused) throw error
      this.#switchboard.counters.add('storage_errors')
      throw new Refused(refusals.storage_full)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Whether no frame can carry data of that size. @param {number} size */
  #isTooLarge(size) {
    return size > this.#switchboard.limits.frame - FRAME_ALLOWANCE
  }

  /** @param {number} size */
  #checkSize(size) {
    const limit = this.#switchboard.limits.frame - FRAME_ALLOWANCE
    if (this.#isTooLarge(size)) throw new Refused(refusals.answer_too_large, { limit })
  }

  /** Data that no frame can carry goes beside the uploads, where the launcher fetches it. @param {Envelope} envelope */
  async #moveDataOut(envelope) {
    if (this.#guardFiles) this.#checkSize(this.#switchboard.limits.frame)
    try {
      envelope.dataFile = await this.#uploads.keep(dataDirectory.moved_out, [Buffer.from(envelope.data)])
    } catch {
      throw new Refused(refusals.storage_full)
    }
    envelope.data = '{}'
  }
}

/**
 * What a cookie of that name holds; null if the request came without it.
 * @param {import('node:http').IncomingMessage} request @param {string} name
 */
export function cookieOf({ headers }, name) {
  for (const cookie of (headers.cookie ?? '').split(';')) {
    const said = cookie.trimStart()
    if (said.startsWith(`${name}=`)) return said.slice(name.length + 1).trimEnd()
  }
  return null
}

const TASK_FIELDS = ['final_string_data', 'final_data']
const METADATA_FIELDS = ['metadata']
