/* Starts the router again when it dies, whether or not its launcher is there: a small process above it, with no other work.

   What passes from one router to the next is kept here: the socket that it listens on, and what it knew of its lease; a router
   that dies again and again while its launcher is away must not get a new lease each time, or it would live for ever. */

import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { performance } from 'node:perf_hooks'

import { handDown } from '../door/lease_memory.js'
import { sayReady } from './listening.js'
import { log } from '../door/log.js'

/** Seconds before a router is started again, doubled each time that it dies. */
const FIRST_WAIT = 0.1
const LONGEST_WAIT = 10
/** Seconds of life after which a death counts as the first one. */
const STEADY = 60
/** A router that exits with one of these has ended because it should, or would end in the same way again. */
const FINAL = [0, 2]

/**
 * How one router's life went. `code` null: it was killed by `signal`, or could not be started.
 * @typedef {import('../board/lease.js').LeaseState} LeaseState
 * @typedef {{isReady: boolean, seconds: number, code: number | null, signal: NodeJS.Signals | null}} Life
 */

/** One router after the other, each a child. */
export class Supervisor {
  #command
  #listener
  #patience
  /** @type {LeaseState | undefined} */
  #lease
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #router
  #isToldToEnd = false
  #wakeUp = () => {}

  /**
   * @param {{args: string[], environment: NodeJS.ProcessEnv}} command what this process was started with
   * @param {number} listener the descriptor of the bound socket
   * @param {number} patience seconds in which some router must become ready
   */
  constructor(command, listener, patience) {
    this.#command = command
    this.#listener = listener
    this.#patience = patience
  }

  /**
   * Keep a router running; resolves with the exit status that is left. The first one's ready line is passed on.
   *
   * A router is not followed by another if the first one never was ready, if it exits with one of FINAL, if this process is
   * told to end (as the router is then), or if for as long as the patience none was ready.
   */
  async run() {
    for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT'])) process.on(signal, () => this.#end(signal))
    let life = await this.#live(sayReady)
    if (!life.isReady) log.error(`the router ${endingOf(life)} before it was ready`)
    let isTried = life.isReady
    let wait = FIRST_WAIT
    let lastReady = now()
    while (isTried && !this.#isFinal(life)) {
      log.error(`the router ${endingOf(life)}; starting it again in ${wait} s`)
      if (await this.#isToldToEndWithin(wait)) return 0
      life = await this.#live(() => {})
      if (life.isReady) lastReady = now()
      wait = life.seconds > STEADY ? FIRST_WAIT : Math.min(2 * wait, LONGEST_WAIT)
      isTried = now() - lastReady < this.#patience
    }
    return this.#statusOf(life)
  }

  /**
   * One router's life, from its start to its end.
   * @param {(ready: {port: number}) => void} onReady @returns {Promise<Life>}
   */
  #live(onReady) {
    const began = now()
    const router = this.#start()
    let isReady = false
    router.on('message', message => {
      const { ready, lease } = /** @type {{lease?: LeaseState, ready?: {port: number}}} */ (message)
      this.#lease = lease ?? this.#lease
      if (!ready) return
      isReady = true
      onReady(ready)
    })
    return new Promise(resolve => {
      const ended = (/** @type {number | null} */ code, /** @type {NodeJS.Signals | null} */ signal) =>
        resolve({ isReady, seconds: now() - began, code, signal })
      router.on('exit', ended).on('error', error => {
        log.error(`no router can be started: ${error.message}`)
        ended(null, null)
      })
    })
  }

  #start() {
    const { args, environment } = this.#command
    const command = [...process.execArgv, /** @type {string} */ (process.argv[1]), ...args]
    this.#router = spawn(process.execPath, command, {
      env: handDown(environment, this.#lease),
      stdio: ['ignore', 'ignore', 'inherit', this.#listener, 'ipc'] // the socket is LISTENER there
    })
    return this.#router
  }

  /** @param {NodeJS.Signals} signal */
  #end(signal) {
    this.#isToldToEnd = true
    this.#router?.kill(signal)
    this.#wakeUp()
  }

  /** @param {number} seconds */
  async #isToldToEndWithin(seconds) {
    if (!this.#isToldToEnd) {
      await new Promise(resolve => {
        this.#wakeUp = () => resolve(undefined)
        setTimeout(resolve, seconds * 1000)
      })
    }
    return this.#isToldToEnd
  }

  /** Whether no other router is to follow. @param {Life} life */
  #isFinal({ code }) {
    return this.#isToldToEnd || (code !== null && FINAL.includes(code))
  }

  /** Its exit status, that of a shell where a signal killed it; 0 if it was told to end. @param {Life} life */
  #statusOf({ code, signal }) {
    if (code !== null) return code
    if (this.#isToldToEnd) return 0
    return signal === null ? 1 : 128 + constants.signals[signal]
  }
}

/** @param {Life} life */
function endingOf({ code, signal }) {
  if (signal !== null) return `was killed by ${signal}`
  return code === null ? 'could not be started' : `ended with exit status ${code}`
}

function now() {
  return performance.now() / 1000
}
