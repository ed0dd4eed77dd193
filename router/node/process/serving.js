/* One router's life as a process: the signals that end it, its ready line, its last line where it cannot start. */

import { setFlagsFromString } from 'node:v8'

import { Router } from '../door/server.js'
import { JournalDamaged } from '../wire/journal.js'
import { DataDirectoryError } from '../door/data_directory.js'
import { LeaseMemory, isSupervised, tell } from '../door/lease_memory.js'
import { LISTENER, sayReady } from './listening.js'

/**
 * Serve until a signal or the end of the lease. Resolves with 0, or with 1 if it cannot start and has said why on stderr.
 * @param {import('../door/settings.js').Settings} settings
 */
export async function serve(settings) {
  const isBelow = isSupervised(process.env)
  try {
    const router = new Router(settings, new LeaseMemory(process.env))
    for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, router.end)
    // V8 would let its space for short-lived objects grow on the way to many connections: by 3 KB for each of 5,000.
    setFlagsFromString('--semi-space-growth-factor=1')
    const ready = { port: await router.start(isBelow ? LISTENER : undefined) }
    if (isBelow) tell({ ready })
    else sayReady(ready)
    await router.over
    await router.stop()
    return 0
  } catch (error) {
    return giveUp(settings, error)
  }
}

/**
 * For errors of the system, and of files; any other is a defect and says where.
 * @param {import('../door/settings.js').Settings} settings @param {unknown} error
 */
function giveUp({ host, port }, error) {
  if (!(error instanceof Error)) throw error
  const { syscall } = /** @type {NodeJS.ErrnoException} */ (error)
  const isOfData = error instanceof JournalDamaged || error instanceof DataDirectoryError
  if (!isOfData && syscall === undefined) throw error
  const isOfListening = syscall === 'listen' || syscall === 'getaddrinfo'
  const what = isOfListening ? `cannot listen on ${host} port ${port}` : 'cannot use the data directory'
  process.stderr.write(`${what}: ${error.message}\n`)
  return 1
}
