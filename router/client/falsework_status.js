/* What the worker is told: one line, in plain words, read out by screen readers as well. */

/** @typedef {'busy' | 'good' | 'bad' | 'plain'} Tone */

export const CONNECTING = 'Connecting…'
export const ASKS_AGAIN = 'This page asks again by itself.'
export const PREVIEW = 'This is a preview. Accept the task to begin.'
export const SAVING = 'Saving…'
export const SAVED = 'Saved. Thank you.'
export const SAVED_AND_NEXT = 'Saved. Here is the next one.'
export const LOOKING = 'Saved. Thank you. Looking for the next one…'
export const SAVED_AND_GONE = 'Saved. Thank you. This task is over or away for now; to look for more, load this page again.'
export const LOST = 'The connection is lost. Trying again… What you typed is kept.'
export const PARTNER_HERE = 'Your partner is here.'
export const LEFT = 'You have left. To come back, open this page again.'
export const INCOMPLETE = 'This page did not load completely. Please load it again.'
export const OVERFLOW = 'You were without a connection for so long that your oldest messages are lost.'
export const RESTORED = 'What you typed before is back.'
export const RESTORED_BUT_FILES = 'What you typed before is back. Please choose your file again.'
export const TIME_IS_UP = 'Time is up for this one. Open this page again to get another.'

/** @type {Record<string, [string, Tone]>} */
const STATUSES = {
  waiting: ['Waiting for a partner… Please leave this page open.', 'busy'],
  'partner disconnect': ['Your partner has left.', 'bad'],
  timeout: [TIME_IS_UP, 'bad'],
  expired: ['This task is closed. Thank you.', 'bad'],
  returned: ['This one was given back. Open this page again to get another.', 'plain'],
  disconnect: ['You were away for too long. Open this page again to go on.', 'bad'],
  completed: [SAVED, 'good'],
  approved: [SAVED, 'good'],
  soft_rejected: [SAVED, 'good'],
  rejected: [SAVED, 'good'],
}

/** @type {Record<string, string>} */
const REFUSALS = {
  nothing_left: 'There is nothing left to do. Thank you.',
  finished: 'You have done your part of this task. Thank you.',
  blocked: 'You cannot take part in this task.',
}

/**
 * The sentence for an agent's status, or null for one that is no news by itself.
 * @param {string} status
 * @returns {[string, Tone] | null}
 */
export function sentenceForStatus(status) {
  return STATUSES[status] ?? null
}

/**
 * Why there is no unit: a sentence of ours for a word that we know, else the reason as it came.
 * @param {string | null} [reason]
 */
export function sentenceForRefusal(reason) {
  return REFUSALS[reason || 'nothing_left'] ?? /** @type {string} */ (reason)
}

/** @param {string} reason a sentence */
export const notSavedYet = reason => `Not saved yet: ${reason} Trying again… Please leave this page open.`

/** In steps, since a screen reader reads out each change. @param {number} part from 0 to 1 */
export const sending = part => (part < 0.1 ? SAVING : `Sending… ${Math.min(90, Math.floor(part * 10) * 10)} %`)

/** @param {number} minutes */
export const timeLeft = minutes => (minutes === 1 ? 'One minute left.' : `${minutes} minutes left.`)

/** The line itself: what was said last, unless there is trouble, which covers it until it is over. */
export class StatusLine {
  #element
  #said = ''
  /** @type {Tone} */
  #tone = 'plain'
  #trouble = ''

  /** @param {Document} page */
  constructor(page) {
    this.#element = page.getElementById('falsework-status') ?? made(page)
  }

  /** What was said last. */
  get said() {
    return this.#said
  }

  /** @param {string} sentence @param {Tone} [tone] */
  say(sentence, tone = 'plain') {
    this.#said = sentence
    this.#tone = tone
    this.#show()
  }

  /** Cover what was said with a trouble; an empty one uncovers it. @param {string} sentence */
  trouble(sentence) {
    this.#trouble = sentence
    this.#show()
  }

  #show() {
    const sentence = this.#trouble || this.#said
    this.#element.dataset.tone = this.#trouble ? 'bad' : this.#tone
    if (this.#element.textContent !== sentence) this.#element.textContent = sentence
  }
}

/** @param {Document} page */
function made(page) {
  const element = page.createElement('p')
  element.id = 'falsework-status'
  element.setAttribute('role', 'status')
  element.setAttribute('aria-live', 'polite')
  page.body.prepend(element)
  return element
}
