/* The router as a program: `node server.js` is one router on its own. Says `{"ready": {"port": N}}` on stdout, and logs on
   stderr. The server itself, fastify and ws, is put together in door/server.js. */

import { readSettings } from './process/command_line.js'
import { isSupervised } from './door/lease_memory.js'
import { CannotListen, openListener } from './process/listening.js'

/**
 * Serve until a signal or the end of the lease. Exits 0, 1 if it cannot start (one line on stderr says why), or 2 for wrong
 * usage.
 */
async function main() {
  const command = { args: process.argv.slice(2), environment: { ...process.env } }
  const settings = readSettings(command.args, process.env)
  if (settings.restart && !isSupervised(process.env)) {
    const { Supervisor } = await import('./process/supervisor.js') // what it has no use for is not loaded into it
    process.exit(await new Supervisor(command, await listenerOf(settings), settings.lease).run())
  }
  const { serve } = await import('./process/serving.js')
  process.exit(await serve(settings))
}

/** @param {import('./door/settings.js').Settings} settings */
async function listenerOf({ host, port }) {
  try {
    return await openListener(host, port)
  } catch (error) {
    if (!(error instanceof CannotListen)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}

await main()
