/* Handing in an answer, so that it is never lost and never counted twice. */

import { Refusal, post, upload } from './falsework_requests.js'

/** @typedef {import('./falsework_keeping.js').Keeping} Keeping */
/** @typedef {import('./falsework_requests.js').Insistence & {onProgress?: (part: number) => void}} Insistence */
/** @typedef {{[field: string]: File | Iterable<File> | null | undefined}} Files */

const UNSENT = 'unsent:'
const isSaved = (/** @type {any} */ body) => body.status === 'Submitted!'

/** One answer on its way to the router. Its id stays the same over every try, so that a repeat is known for one. */
export class Submission {
  #keeping
  /** @type {[string, File][]} */
  #files

  /**
   * Use `make` or `unsent`.
   * @param {Keeping} keeping @param {string} agentId @param {unknown} answer
   * @param {[string, File][]} files @param {string} id
   */
  constructor(keeping, agentId, answer, files, id) {
    this.#keeping = keeping
    this.agentId = agentId
    this.answer = answer
    this.#files = files
    this.id = id
  }

  /**
   * A new one, kept over a reload until it is settled.
   * @param {Keeping} keeping @param {string} agentId @param {unknown} answer @param {Files | FileList} [files]
   */
  static make(keeping, agentId, answer, files) {
    const submission = new Submission(keeping, agentId, answer, listed(files), uniqueId())
    keeping.set(UNSENT + agentId, { id: submission.id, answer, hasFiles: submission.#files.length > 0 })
    return submission
  }

  /**
   * Those that an earlier load of this page could not hand in. Files do not survive a reload, so an answer with files is
   * not among them.
   * @param {Keeping} keeping
   */
  static unsent(keeping) {
    const agentIds = keeping.names(UNSENT).map(name => name.slice(UNSENT.length))
    const kept = agentIds.map(agentId => ({ agentId, ...keeping.get(UNSENT + agentId) }))
    return kept
      .filter(({ id, hasFiles }) => id && !hasFiles)
      .map(({ agentId, answer, id }) => new Submission(keeping, agentId, answer, [], id))
  }

  /**
   * Send it until the router said that it is saved. Raises Refusal when it will not be.
   * @param {Insistence} insistence
   * @param {(agentId: string) => Promise<boolean>} isStillOurs asked when the router does not know the agent (any more)
   */
  async send(insistence, isStillOurs) {
    try {
      await this.#insist(insistence)
    } catch (refusal) {
      const isForgotten = refusal instanceof Refusal && refusal.status === 404
      if (!isForgotten || !(await isStillOurs(this.agentId))) throw refusal
      await this.#insist(insistence)
    }
  }

  /** It is settled: saved, or refused for good. */
  forget() {
    this.#keeping.remove(UNSENT + this.agentId)
  }

  /** @param {Insistence} insistence */
  async #insist(insistence) {
    const asked = { ...insistence, isAnswer: isSaved }
    if (this.#files.length) await upload('/submit_task', this.#form(), asked)
    else await post('/submit_task', this.#body(), asked)
  }

  #body() {
    return {
      USED_AGENT_ID: this.agentId,
      submission_id: this.id,
      final_data: this.answer,
      client_timestamp: Date.now() / 1000,
    }
  }

  /** The fields first: a router reads a form in order, and must know whose it is before it takes a file. */
  #form() {
    const form = new FormData()
    form.append('USED_AGENT_ID', this.agentId)
    form.append('submission_id', this.id)
    form.append('client_timestamp', String(Date.now() / 1000))
    form.append('final_string_data', JSON.stringify(this.answer))
    for (const [field, file] of this.#files) form.append(field, file, file.name)
    return form
  }
}

/** Whether a refusal means that the unit is handed in already. @param {Refusal} refusal */
export function isTaken(refusal) {
  return refusal.status === 409
}

/**
 * The files one by one with the names of their fields; an empty file field gives none.
 * @param {Files | FileList} [files]
 * @returns {[string, File][]}
 */
export function listed(files) {
  if (!files) return []
  const fields = isList(files) ? { files } : files
  return Object.entries(fields).flatMap(([field, value]) => {
    const several = !value ? [] : isList(value) ? [...value] : [value]
    return several.filter(file => file.name).map(file => /** @type {[string, File]} */ ([field, file]))
  })
}

/** @param {any} value @returns {value is Iterable<File>} */
const isList = value => typeof value?.[Symbol.iterator] === 'function'

/** An id that nobody else has; randomUUID exists only in secure contexts, which a plain http address is not. */
export function uniqueId() {
  if (globalThis.isSecureContext) return crypto.randomUUID()
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('')
}
