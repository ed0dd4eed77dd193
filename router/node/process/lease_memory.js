/* What passes between a router and the process above it that starts it again when it dies. */

/** The environment variable by which a router knows of that process; it holds the lease of the router before, or null. */
const SUPERVISED = 'FALSEWORK_SUPERVISED'
/** The descriptor at which the bound socket is handed down. */
const LISTENER = 3

/**
 * What a router sees of it. `listener` undefined: it listens by itself.
 * @typedef {object} Supervision
 * @property {number | undefined} listener
 * @property {LeaseState | undefined} lease
 * @property {(lease: LeaseState) => void} save
 * @property {(ready: {port: number}) => void} sayReady
 *
 * @typedef {import('../board/lease.js').LeaseState} LeaseState
 * @typedef {{lease?: LeaseState, ready?: {port: number}}} Word what a router tells the process above
 */

/**
 * A router's environment and descriptors.
 * @param {NodeJS.ProcessEnv} environment
 * @param {LeaseState | undefined} lease
 * @param {number} listener
 * @returns {import('node:child_process').SpawnOptions}
 */
export function handDown(environment, lease, listener) {
  const env = { ...environment, [SUPERVISED]: JSON.stringify(lease ?? null) }
  return { env, stdio: ['ignore', 'ignore', 'inherit', listener, 'ipc'] }
}

/** Whether there is such a process above this one. @param {NodeJS.ProcessEnv} environment */
export function isSupervised(environment) {
  return environment[SUPERVISED] !== undefined
}

/** @param {NodeJS.ProcessEnv} environment @returns {Supervision} */
export function readSupervision(environment) {
  const lease = environment[SUPERVISED]
  if (lease === undefined) return { listener: undefined, lease, save: () => {}, sayReady: sayOnStdout }
  delete environment[SUPERVISED]
  return {
    listener: LISTENER,
    lease: JSON.parse(lease) ?? undefined,
    save: lease => tell({ lease }),
    sayReady: ready => tell({ ready })
  }
}

/** The ready line. @param {{port: number}} ready */
export function sayOnStdout(ready) {
  process.stdout.write(`${JSON.stringify({ ready })}\n`)
}

/** The process above may have been killed; then this router goes on alone. @param {Word} word */
function tell(word) {
  if (process.connected) process.send?.(word, () => {})
}
