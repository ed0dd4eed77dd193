/* What a router knows of its lease, where it outlives it: told to the process above it, which hands it down to the next.

   A router that dies again and again while its launcher is away must not get a new lease each time, or it would live for ever. */

/** The environment variable by which a router knows of that process; it holds the lease of the router before, or null. */
const SUPERVISED = 'FALSEWORK_SUPERVISED'

/** @typedef {import('../board/lease.js').LeaseState} LeaseState */

/** Whether there is such a process above this one. @param {NodeJS.ProcessEnv} environment */
export function isSupervised(environment) {
  return environment[SUPERVISED] !== undefined
}

/** A router's environment, with what the one before it knew. @param {NodeJS.ProcessEnv} environment @param {LeaseState | undefined} lease */
export function handDown(environment, lease) {
  return { ...environment, [SUPERVISED]: JSON.stringify(lease ?? null) }
}

/**
 * Say something to the process above, if there is one: it may have been killed; then this router goes on alone.
 * @param {{lease?: LeaseState, ready?: {port: number}}} word
 */
export function tell(word) {
  if (process.connected) process.send?.(word, () => {})
}

/** Takes what is handed down out of the environment. */
export class LeaseMemory {
  #before

  /** @param {NodeJS.ProcessEnv} environment */
  constructor(environment) {
    this.#before = environment[SUPERVISED]
    delete environment[SUPERVISED]
  }

  /** @param {LeaseState} lease */
  save(lease) {
    tell({ lease })
  }

  /** What the router before this one saved last; undefined if there was none. @returns {LeaseState | undefined} */
  load() {
    return JSON.parse(this.#before ?? 'null') ?? undefined
  }
}
