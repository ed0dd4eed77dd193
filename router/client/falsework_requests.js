/* HTTP to the router, insisted upon: what a later try may mend is tried again until it is answered. */

import { backoff, pause, retryAfter } from './falsework_waits.js'

/** Longer than the router holds any request open. */
const DEADLINE = 150_000
/** An upload that has not moved for this long is broken off and tried again. */
const STALL = 60_000
const TROUBLE = 'trouble'
const AWAY = 'There is no connection to the server.'

/** An answer that another try would not change. `message` is a sentence for the worker. */
export class Refusal extends Error {
  /** @param {number} status @param {string} error a word for programs @param {string} message */
  constructor(status, error, message) {
    super(message)
    this.name = 'Refusal'
    this.status = status
    this.error = error
  }

  /** Whether it only means that the attempts are used up. */
  get isTrouble() {
    return this.error === TROUBLE
  }
}

/**
 * @typedef {{status: number, text: string, retryAfter: string | null}} Reply
 * @typedef {object} Insistence
 * @property {(body: any) => boolean} [isAnswer] whether a body is what was asked for; anything else is tried again
 * @property {(reason: string) => void} [onTrouble] called before each wait
 * @property {number} [attempts] the most tries; without it there is no end
 */

/**
 * POST JSON and return the JSON of the answer. Raises Refusal, and after the last of `attempts` the trouble as a Refusal.
 * @param {string} path @param {object} body @param {Insistence} [insistence]
 */
export function post(path, body, insistence) {
  const text = JSON.stringify(body)
  return insist(() => sendText('POST', path, text), insistence)
}

/** GET JSON, likewise. @param {string} path @param {Insistence} [insistence] */
export function get(path, insistence) {
  return insist(() => sendText('GET', path), insistence)
}

/**
 * POST a form with files, likewise. `onProgress` gets the part that is sent, from 0 to 1.
 * @param {string} path @param {FormData} form @param {Insistence & {onProgress?: (part: number) => void}} [insistence]
 */
export function upload(path, form, insistence = {}) {
  return insist(() => sendForm(path, form, insistence.onProgress ?? (() => {})), insistence)
}

/**
 * Try until there is an answer.
 * @param {() => Promise<Reply>} send @param {Insistence} [insistence]
 */
export async function insist(send, { isAnswer = () => true, onTrouble = () => {}, attempts = Infinity } = {}) {
  for (let attempt = 0; ; attempt++) {
    const { body, trouble, wait } = judge(await sent(send), isAnswer)
    if (!trouble) return body
    if (attempt + 1 >= attempts) throw new Refusal(0, TROUBLE, trouble)
    onTrouble(trouble)
    await pause(Math.max(wait, backoff(attempt)))
  }
}

/** @param {() => Promise<Reply>} send @returns {Promise<Reply | null>} null where there was no answer at all */
async function sent(send) {
  try {
    return await send()
  } catch (error) {
    if (error instanceof Refusal) throw error
    return null
  }
}

/**
 * What a reply means: the answer, or a trouble that may pass. Raises Refusal for what will not.
 * @param {Reply | null} reply @param {(body: any) => boolean} isAnswer
 */
export function judge(reply, isAnswer) {
  if (!reply) return { body: null, trouble: AWAY, wait: 0 }
  const body = parsed(reply.text)
  const succeeded = reply.status >= 200 && reply.status < 300
  if (succeeded && body !== null && isAnswer(body)) return { body, trouble: null, wait: 0 }
  const message = body?.message || `The server answered ${reply.status} where it should not have.`
  if (!succeeded && !mayPass(reply.status)) throw new Refusal(reply.status, body?.error ?? 'refused', message)
  return { body: null, trouble: message, wait: retryAfter(reply.retryAfter) }
}

/** @param {number} status */
function mayPass(status) {
  return status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501)
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** @param {string} method @param {string} path @param {string} [text] @returns {Promise<Reply>} */
async function sendText(method, path, text) {
  const headers = text === undefined ? undefined : { 'Content-Type': 'application/json' }
  const signal = AbortSignal.timeout(DEADLINE)
  const response = await fetch(addressed(path), { method, headers, body: text, signal, cache: 'no-store' })
  return { status: response.status, text: await response.text(), retryAfter: response.headers.get('Retry-After') }
}

/**
 * XMLHttpRequest, because fetch tells no progress.
 * @param {string} path @param {FormData} form @param {(part: number) => void} onProgress
 */
async function sendForm(path, form, onProgress) {
  await assertReadable(form)
  return new Promise((/** @type {(reply: Reply) => void} */ resolve, reject) => {
    const request = new XMLHttpRequest()
    let stalled = setTimeout(() => request.abort(), STALL)
    const moved = (/** @type {number} */ limit) => {
      clearTimeout(stalled)
      stalled = setTimeout(() => request.abort(), limit)
    }
    request.upload.onprogress = event => {
      moved(STALL)
      if (event.lengthComputable) onProgress(event.loaded / event.total)
    }
    request.upload.onload = () => moved(DEADLINE)
    request.onloadend = () => {
      clearTimeout(stalled)
      if (!request.status) return reject(new TypeError('no answer'))
      resolve({ status: request.status, text: request.responseText, retryAfter: request.getResponseHeader('Retry-After') })
    }
    request.open('POST', addressed(path))
    request.send(form)
  })
}

/** A file that was changed or removed since it was chosen fails for ever: say so instead. @param {FormData} form */
async function assertReadable(form) {
  for (const value of form.values()) {
    if (typeof value === 'string') continue
    try {
      await value.slice(0, 1).arrayBuffer()
    } catch {
      throw new Refusal(0, 'unreadable', `The file ${value.name} can no longer be read. Please choose it again.`)
    }
  }
}

/** A crowd provider may want its parameters on every request. @param {string} path */
function addressed(path) {
  const parameters = /** @type {any} */ (globalThis).getProviderURLParams?.()
  if (!parameters) return path
  return `${path}?${new URLSearchParams(parameters)}`
}
