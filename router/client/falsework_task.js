/* One unit in one worker's hands: what `join()` and `task.next()` give to the page. */

import { Draft } from './falsework_drafts.js'
import { Refusal, post } from './falsework_requests.js'
import { Connection } from './falsework_socket.js'
import * as words from './falsework_status.js'
import { Submission, isTaken, uniqueId } from './falsework_submission.js'
import { tellProvider } from './falsework_worker.js'

/**
 * @typedef {object} Visit what a task needs of the page around it
 * @property {words.StatusLine} line
 * @property {import('./falsework_keeping.js').Keeping} keeping
 * @property {string | undefined} runId
 * @property {() => Promise<Task | null>} next
 * @property {(path: string, body: object) => Promise<Task | null>} admit
 * @property {(agentId: string) => Promise<boolean>} isStillOurs
 * @property {(sentence?: string, tone?: words.Tone) => null} end
 *
 * @typedef {object} Details the data of an agent_details packet
 * @property {string | null} agent_id
 * @property {string} worker_id
 * @property {any} init_task_data `falsework` in it holds {data: the unit, live, expires_in: seconds}
 * @property {string | null} [failure_reason]
 * @property {string | null} [failure_code]
 */

const WARN_AT = 2
const MINUTE = 60_000
/** Characters; three bytes each at most, and a frame is 1 MiB. */
const LARGEST_UPDATE = 340_000

export class Task {
  /** The unit: a value of units.jsonl. @type {any} */
  data
  /** What the launcher last said of this agent, such as `waiting`, `in task`, `partner disconnect`. @type {string} */
  status
  /** Called with each new status. @type {((status: string) => void) | null} */
  onstatus = null

  #visit
  #draft
  /** @type {Connection | null} */
  #connection = null
  /** @type {((update: any) => void) | null} */
  #onupdate = null
  /** @type {any[]} */
  #undelivered = []
  #seen = new Set()
  /** @type {Promise<boolean> | null} */
  #submitting = null
  #isReturning = false
  #isOver = false
  #stopClock = () => {}

  /** Made by `join()`. @param {Visit} visit @param {Details} details */
  constructor(visit, details) {
    const start = details.init_task_data ?? {}
    const own = start.falsework ?? {}
    this.#visit = visit
    this.#draft = new Draft(visit.keeping, /** @type {string} */ (details.agent_id))
    this.agentId = /** @type {string} */ (details.agent_id)
    this.workerId = details.worker_id
    this.data = own.data ?? start
    this.onboarding = this.agentId.startsWith('onboarding')
    this.status = this.onboarding ? 'onboarding' : own.live ? 'accepted' : 'in task'
    for (const update of start.past_live_updates ?? []) this.#receive(update.packet_type ? update.data : update)
    if (own.live) this.#connect()
    if (own.expires_in) this.#stopClock = countDown(own.expires_in * 1000, sentence => this.say(sentence, 'bad'))
    setTimeout(() => this.#resume())
  }

  /** Called with each live update, beginning with those that came before it was set. Listening makes any task live. */
  get onupdate() {
    return this.#onupdate
  }

  set onupdate(handler) {
    this.#onupdate = handler
    if (!handler) return
    this.#connect()
    queueMicrotask(() => this.#deliver())
  }

  /**
   * Send a live update to the launcher. It waits in line while there is no connection, and goes nowhere once the task is
   * over. One that a broken connection may have swallowed is sent again under the same `update_id`. Raises RangeError for
   * one that no frame can carry.
   * @param {object} update
   */
  send(update) {
    const data = { ...update, update_id: uniqueId() }
    if (JSON.stringify(data).length > LARGEST_UPDATE) throw new RangeError('this is too large for a live update')
    this.#connect()
    if (this.#connection?.send(data) === false) this.say(words.OVERFLOW, 'bad')
  }

  /** Tell the worker something, on the page's status line. @param {string} sentence @param {words.Tone} [tone] */
  say(sentence, tone) {
    this.#visit.line.say(sentence, tone)
  }

  /**
   * Hand in the answer. Insists until the router has it on its disk; a second call meanwhile gets the same result.
   * @param {unknown} [answer] a JSON value
   * @param {import('./falsework_submission.js').Files | FileList} [files] `{field: File | File[]}`, or an input's `files`
   * @returns {Promise<boolean>} true: this unit is handed in. False: refused; the line says why, and it may be changed
   */
  submit(answer = {}, files) {
    this.#submitting ??= this.#handIn(answer, files).finally(() => (this.#submitting = null))
    return this.#submitting
  }

  /**
   * Hand in the onboarding; resolves to the first unit, or to null for a worker who may not do any.
   * @param {object} [data]
   */
  submitOnboarding(data = {}) {
    this.#stop()
    this.#draft.forget()
    const provider_data = { USED_AGENT_ID: this.agentId, onboarding_data: data }
    return this.#visit.admit('/submit_onboarding', { provider_data })
  }

  /**
   * Add facts about this agent's work, as often as you like. True when they arrived.
   * @param {object} metadata
   * @returns {Promise<boolean>}
   */
  async metadata(metadata) {
    const body = { USED_AGENT_ID: this.agentId, metadata, client_timestamp: Date.now() / 1000 }
    try {
      await post('/submit_metadata', body, { attempts: 6 })
      return true
    } catch (refusal) {
      if (refusal instanceof Refusal) return false
      throw refusal
    }
  }

  /** After `submit`: the next unit for this worker, or null when nothing is left. @returns {Promise<Task | null>} */
  next() {
    this.#stop()
    return this.#visit.next()
  }

  /** Stop without handing in. What was typed stays; opening the page again goes on. */
  leave() {
    this.#stop()
    this.#visit.end(words.LEFT, 'plain')
  }

  /** @param {unknown} answer @param {import('./falsework_submission.js').Files | FileList} [files] */
  async #handIn(answer, files) {
    const { line, keeping, runId } = this.#visit
    const submission = Submission.make(keeping, this.agentId, answer, files)
    line.trouble('')
    line.say(words.SAVING, 'busy')
    addEventListener('beforeunload', holdPage)
    try {
      await submission.send(this.#insistence(), agentId => this.#visit.isStillOurs(agentId))
      line.say(words.SAVED, 'good')
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal
      line.say(refusal.message, 'bad')
      if (!isTaken(refusal)) return false
    } finally {
      removeEventListener('beforeunload', holdPage)
      submission.forget()
    }
    this.status = 'completed'
    this.#stop()
    this.#draft.forget()
    tellProvider(answer, runId)
    return true
  }

  #insistence() {
    const { line } = this.#visit
    return {
      onTrouble: (/** @type {string} */ reason) => line.say(words.notSavedYet(reason), 'bad'),
      onProgress: (/** @type {number} */ part) => line.say(words.sending(part), 'busy'),
    }
  }

  /** Once the page has set itself up for the unit: put the draft back, and keep it from here on. */
  #resume() {
    const restored = this.#draft.restore()
    if (restored !== 'nothing') this.say(restored === 'all' ? words.RESTORED : words.RESTORED_BUT_FILES, 'plain')
    this.#draft.watch()
  }

  #connect() {
    if (this.#connection || this.#isOver) return
    this.#connection = new Connection(this.agentId, packet => this.#read(packet), isOpen => this.#connected(isOpen))
    this.#connection.open()
  }

  /** @param {boolean} isOpen */
  #connected(isOpen) {
    if (!this.#submitting) this.#visit.line.trouble(isOpen ? '' : words.LOST)
  }

  /** @param {import('./falsework_socket.js').Packet} packet */
  #read({ packet_type, data }) {
    if (packet_type === 'client_bound_live_update') this.#receive(data)
    else if (packet_type === 'update_status' || packet_type === 'heartbeat') this.#become(data?.status)
    else if (packet_type === 'error') this.#complain(data)
  }

  /** The router did not take something. One that has forgotten the agent is reminded of it. @param {any} data */
  async #complain({ error, message }) {
    if (this.#isReturning) return
    this.#isReturning = true
    const isSettled = error === 'unknown_agent' && (await this.#visit.isStillOurs(this.agentId))
    this.#isReturning = false
    if (!isSettled && message && this.#connection) this.say(message, 'bad')
  }

  /** An update, unless it came before. @param {any} update */
  #receive(update) {
    const id = update?.update_id
    if (id !== undefined && this.#seen.has(id)) return
    this.#seen.add(id)
    this.#undelivered.push(update)
    this.#deliver()
  }

  #deliver() {
    while (this.#onupdate && this.#undelivered.length) {
      try {
        this.#onupdate(this.#undelivered.shift())
      } catch (error) {
        reportError(error) // as if uncaught, but the next update still comes
      }
    }
  }

  /** @param {string | undefined} status */
  #become(status) {
    if (!status || status === 'none' || status === this.status) return
    const before = this.status
    this.status = status
    if (!this.#submitting) this.#announce(before)
    if (status === 'expired') this.#disconnect() // the server is about to go: that is no lost connection
    this.onstatus?.(status)
  }

  /** @param {string} before the status before this one */
  #announce(before) {
    const sentence = words.sentenceForStatus(this.status)
    if (before === 'waiting' && this.status === 'in task') this.say(words.PARTNER_HERE, 'good')
    else if (sentence) this.say(...sentence)
    else if (words.sentenceForStatus(before)) this.say('')
  }

  /** Nothing of this task reaches the page any more. */
  #stop() {
    this.#stopClock()
    this.#draft.unwatch()
    this.#disconnect()
  }

  #disconnect() {
    this.#isOver = true
    this.#connection?.close()
    this.#connection = null
    this.#visit.line.trouble('')
  }
}

/** @param {Event} event */
const holdPage = event => event.preventDefault()

/**
 * Say when two minutes are left, and when none is. Returns what stops it.
 * @param {number} milliseconds @param {(sentence: string) => void} say
 */
function countDown(milliseconds, say) {
  const warning = milliseconds - WARN_AT * MINUTE
  const timers = [later(milliseconds, () => say(words.TIME_IS_UP))]
  if (warning > 0) timers.push(later(warning, () => say(words.timeLeft(WARN_AT))))
  return () => timers.forEach(clearTimeout)
}

/**
 * A browser's timer runs out at once when it is given more than 24 days; then there is no need for one.
 * @param {number} milliseconds @param {() => void} act
 */
const later = (milliseconds, act) => (milliseconds < 2 ** 31 ? setTimeout(act, milliseconds) : 0)
