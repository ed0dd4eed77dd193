/* A task page in ten lines. No build step, no dependencies; put `<script type="module" src="task.js">` into the page and

     import { join } from '/falsework.js'

     let task = await join()       // a unit for this worker; null when there is none, and the page says why
     show(task.data)               // the unit, as units.jsonl has it
     if (await task.submit({ answer: 42 }, files)) task = await task.next()

   Live tasks: `task.send(update)`, `task.onupdate = update => …`, `task.onstatus = status => …`. See falsework_task.js.

   The page tells its worker what happens in <p id="falsework-status" role="status" aria-live="polite">, which is made if it
   is missing. Forms marked `data-falsework-draft` survive a reload and are emptied for each new unit. The attribute
   `data-falsework` of <html> says joining, preview, working or over, for the page's style sheet. */

import { Draft, emptyForms } from './falsework_drafts.js'
import { reportErrors } from './falsework_errors.js'
import { Keeping } from './falsework_keeping.js'
import { Refusal, get, post } from './falsework_requests.js'
import * as words from './falsework_status.js'
import { Submission, isTaken } from './falsework_submission.js'
import { Task } from './falsework_task.js'
import { backoff, pause } from './falsework_waits.js'
import { isProviderReady, providerData, tellProvider } from './falsework_worker.js'

/** @typedef {import('./falsework_task.js').Details} Details */
/** @typedef {import('./falsework_requests.js').Insistence} Insistence */

/**
 * Get a unit for this worker. Insists for as long as it takes; trouble with the network is told to the worker, not raised.
 * @returns {Promise<Task | null>} null in a preview, or when there is nothing (more) for this worker
 */
export function join() {
  return new Visit().begin()
}

/** Tries to get the next unit, over about a quarter of a minute: the last answer of a run ends it, and its server goes. */
const AFTER_SAVING = 6
/** @type {[string, words.Tone]} */
const NO_NEWS = ['', 'plain']
/** @type {[string, words.Tone]} */
const ANOTHER = [words.SAVED_AND_NEXT, 'good']

/** One load of the page by one worker, over as many units as the worker does. */
class Visit {
  line = new words.StatusLine(document)
  keeping = new Keeping()
  /** @type {string | undefined} */
  runId
  /** @type {Task | null} */
  #task = null
  #assignmentId = ''
  /** What the worker still has to hear once the next unit is there. @type {[string, words.Tone]} */
  #news = NO_NEWS

  async begin() {
    this.#enter('joining', words.CONNECTING, 'busy')
    reportErrors(() => this.#task?.agentId)
    if (!(await isProviderReady())) return this.end(words.INCOMPLETE, 'bad')
    this.runId = await this.#askRunId()
    if (!providerData(this.runId)) return this.#enter('preview', words.PREVIEW)
    for (const submission of Submission.unsent(this.keeping)) await this.#sendAgain(submission)
    return this.#request()
  }

  /** The next unit, if the provider has another assignment for this worker. */
  async next() {
    if (providerData(this.runId)?.assignment_id === this.#assignmentId) return this.end()
    if (this.line.said !== words.SAVED) return this.#request()
    this.#news = ANOTHER
    return this.#request({ attempts: AFTER_SAVING, onTrouble: () => this.line.say(words.LOOKING, 'busy') })
  }

  /**
   * Ask for an agent, and make it a task.
   * @param {string} path @param {object} body @param {Insistence} [insistence]
   * @returns {Promise<Task | null>}
   */
  async admit(path, body, insistence) {
    try {
      return await this.#open(await this.#ask(path, body, insistence))
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal
      return refusal.isTrouble ? this.end(words.SAVED_AND_GONE) : this.end(refusal.message, 'bad')
    }
  }

  /**
   * A router that was started anew knows no agents: have the launcher name ours again. False when it is not ours any more.
   * @param {string} agentId
   */
  async isStillOurs(agentId) {
    try {
      const details = await this.#ask('/request_agent', { provider_data: providerData(this.runId) })
      return details.agent_id === agentId
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal
      return false
    }
  }

  /** There is nothing more to do on this page. @param {string} [sentence] @param {words.Tone} [tone] @returns {null} */
  end(sentence = this.line.said, tone = 'good') {
    this.#task = null
    return this.#enter('over', sentence, tone)
  }

  /** @param {string} path @param {object} body @param {Insistence} [insistence] @returns {Promise<Details>} */
  async #ask(path, body, insistence) {
    const packet = await post(path, { ...body, client_timestamp: Date.now() / 1000 }, {
      isAnswer: ({ data }) => data?.agent_id !== undefined,
      onTrouble: reason => this.line.say(`${reason} Trying again…`, 'busy'),
      ...insistence,
    })
    return packet.data
  }

  /** @param {Insistence} [insistence] */
  #request(insistence) {
    const worker = providerData(this.runId)
    this.#assignmentId = worker?.assignment_id ?? ''
    return this.admit('/request_agent', { provider_data: worker }, insistence)
  }

  /** @param {Details} details */
  #open(details) {
    if (details.failure_code === 'all_in_work') return this.#waitForWork(details)
    const [news, tone] = this.#news
    this.#news = NO_NEWS
    if (!details.agent_id) {
      const sentence = words.sentenceForRefusal(details.failure_reason)
      return this.end(tone === 'bad' ? `${news} ${sentence}` : sentence, 'plain')
    }
    emptyForms()
    this.#enter('working', news, tone)
    this.#task = new Task(this, details)
    return this.#task
  }

  /**
   * Others are at all that is left; some of it may become free.
   * @param {Details} details
   * @returns {Promise<Task | null>}
   */
  async #waitForWork({ failure_reason }) {
    this.#enter('joining', `${failure_reason} ${words.ASKS_AGAIN}`, 'busy')
    await pause(backoff(9))
    return this.#request()
  }

  /** An answer that was under way when the page was left. @param {Submission} submission */
  async #sendAgain(submission) {
    this.line.say(words.SAVING, 'busy')
    const insistence = { onTrouble: (/** @type {string} */ reason) => this.line.say(words.notSavedYet(reason), 'bad') }
    try {
      await submission.send(insistence, agentId => this.isStillOurs(agentId))
      this.#news = ANOTHER
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal
      this.#news = [`Your last answer was not saved: ${refusal.message}`, 'bad']
      if (!isTaken(refusal)) return
    } finally {
      submission.forget()
    }
    new Draft(this.keeping, submission.agentId).forget()
    tellProvider(submission.answer, this.runId)
  }

  /** The run's id; a router that is not falsework's has none. */
  async #askRunId() {
    try {
      const alive = await get('/is_alive', { onTrouble: reason => this.line.say(`${reason} Trying again…`, 'busy') })
      return alive.run_id
    } catch (refusal) {
      if (refusal instanceof Refusal) return undefined
      throw refusal
    }
  }

  /**
   * @param {'joining' | 'preview' | 'working' | 'over'} stage @param {string} sentence @param {words.Tone} [tone]
   * @returns {null}
   */
  #enter(stage, sentence, tone) {
    document.documentElement.dataset.falsework = stage
    this.line.say(sentence, tone)
    return null
  }
}
