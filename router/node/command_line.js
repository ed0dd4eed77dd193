/* The router's command line: flags and environment in, settings out. */

import fs from 'node:fs'
import { isIPv4, isIPv6 } from 'node:net'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { LIMITS, overrideLimits } from './limits.js'
import { isFrameAncestor, isPolicy } from './policy.js'

const USAGE = `usage: node router/node/server.js --static DIR --data DIR [--host HOST] [--port PORT] [--run-id ID]
                                  [--token-file F] [--open] [--lease TIME] [--grace TIME] [--idle-timeout TIME]
                                  [--max-lifetime TIME] [--restart] [--outbox disk|launcher]
                                  [--frame-ancestors ORIGIN]... [--csp POLICY] [--limit NAME=VALUE]...

One router on its own. Says {"ready": {"port": N}} on stdout, and logs on stderr.

  --static DIR        what browsers get; holds index.html
  --data DIR          outbox and uploads
  --host HOST         default: 127.0.0.1
  --port PORT         0: any free one; default: $PORT, else 0
  --run-id ID         default: standalone
  --token-file F      holds the launcher's token (else FALSEWORK_TOKEN)
  --open              take any launcher; on the loopback only
  --lease TIME        how long to go on unheard, such as 15m
  --grace TIME        how long to keep what nobody collected, such as 24h
  --idle-timeout TIME how long to go on without a word from any worker
  --max-lifetime TIME how old to get, restarts on the same data included
  --restart           start again by itself after dying of a signal or an error
  --outbox KIND       disk or launcher
  --frame-ancestors ORIGIN  a site that may show the task in a frame; repeatable (default: none may)
  --csp POLICY        a Content-Security-Policy in place of the strict one
  --limit NAME=VALUE  repeatable
`

const FLAGS = /** @type {const} */ ({
  static: { type: 'string' },
  data: { type: 'string' },
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string' },
  'run-id': { type: 'string', default: 'standalone' },
  'token-file': { type: 'string' },
  lease: { type: 'string', default: '15m' },
  grace: { type: 'string', default: '24h' },
  'idle-timeout': { type: 'string' },
  'max-lifetime': { type: 'string' },
  restart: { type: 'boolean', default: false },
  outbox: { type: 'string', default: 'disk' },
  'frame-ancestors': { type: 'string', multiple: true, default: /** @type {string[]} */ ([]) },
  csp: { type: 'string' },
  open: { type: 'boolean', default: false },
  limit: { type: 'string', multiple: true, default: /** @type {string[]} */ ([]) },
  help: { type: 'boolean', short: 'h', default: false }
})

/** Seconds. @type {Record<string, number>} */
const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, '': 1 }

/**
 * What a router is started with. `token` null makes it open to any launcher. Times in seconds.
 * @typedef {{
 *   static: string, data: string, runId: string, token: string | null, host: string, port: number,
 *   lease: number, grace: number, idleTimeout: number | undefined, maxLifetime: number | undefined, outbox: string,
 *   restart: boolean, frameAncestors: string[], contentSecurityPolicy: string | null,
 *   limits: Readonly<import('./limits.js').Limits>
 * }} Settings
 */

/** Wrong usage; the sentence says what is wrong. */
class WrongUsage extends Error {}

/**
 * The settings that arguments and environment give. Ends the process with 2 for wrong usage, with 0 for `--help`.
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} environment the token is taken out of it
 * @returns {Settings}
 */
export function readSettings(args, environment) {
  try {
    const { values } = parseArgs({ args, options: FLAGS })
    if (!values.help) return settingsOf(values, environment)
    process.stdout.write(USAGE)
    process.exit(0)
  } catch (error) {
    if (!isWrongUsage(error)) throw error
    const [summary] = USAGE.split('\n\n')
    process.stderr.write(`${summary}\nserver.js: error: ${error.message}\n`)
    process.exit(2)
  }
}

/**
 * @param {ReturnType<typeof parseArgs<{options: typeof FLAGS}>>['values']} values
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Settings}
 */
function settingsOf(values, environment) {
  const token = readToken(values['token-file'], environment)
  if (token === null && !values.open) {
    throw new WrongUsage('no token: give --token-file or FALSEWORK_TOKEN, or say --open to take any launcher')
  }
  if (values.open && !isLoopback(values.host)) {
    throw new WrongUsage(`--open takes any launcher, so it is for the loopback only, not for ${values.host}`)
  }
  return {
    static: siteOf(required(values.static, 'static')),
    data: required(values.data, 'data'),
    runId: values['run-id'],
    token: values.open ? null : token,
    host: values.host,
    port: portOf(values.port ?? environment.PORT ?? '0'),
    lease: secondsOf('--lease', values.lease),
    grace: secondsOf('--grace', values.grace),
    idleTimeout: maybeSecondsOf('--idle-timeout', values['idle-timeout']),
    maxLifetime: maybeSecondsOf('--max-lifetime', values['max-lifetime']),
    outbox: outboxOf(values.outbox),
    restart: values.restart,
    frameAncestors: values['frame-ancestors'].map(originOf),
    contentSecurityPolicy: policyOf(values.csp ?? null),
    limits: overrideLimits(LIMITS, values.limit.map(limit => pairOf(limit)))
  }
}

/** @param {string | undefined} file @param {NodeJS.ProcessEnv} environment */
function readToken(file, environment) {
  const token = file === undefined ? environment.FALSEWORK_TOKEN : fs.readFileSync(file, 'utf8').trim()
  delete environment.FALSEWORK_TOKEN
  if (token === '') throw new WrongUsage('the token is empty')
  return token ?? null
}

/** @param {string | undefined} value @param {string} flag */
function required(value, flag) {
  if (value === undefined) throw new WrongUsage(`--${flag} is required`)
  return value
}

/** @param {string} directory */
function siteOf(directory) {
  if (!fs.statSync(path.join(directory, 'index.html'), { throwIfNoEntry: false })?.isFile()) {
    throw new WrongUsage(`${directory} holds no index.html`)
  }
  return directory
}

/** @param {string} said */
function portOf(said) {
  if (!/^\d{1,5}$/.test(said) || Number(said) > 65535) {
    throw new WrongUsage(`--port: '${said}' is no port, which is a number from 0 to 65535`)
  }
  return Number(said)
}

/** @param {string} flag @param {string} said */
function secondsOf(flag, said) {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|)$/.exec(said)
  if (!match) throw new WrongUsage(`${flag}: '${said}' is no duration, such as 90s, 15m or 24h`)
  return Number(match[1]) * UNITS[match[2]]
}

/** @param {string} flag @param {string | undefined} said */
function maybeSecondsOf(flag, said) {
  return said === undefined ? undefined : secondsOf(flag, said)
}

/** @param {string} said */
function originOf(said) {
  if (isFrameAncestor(said)) return said
  throw new WrongUsage(
    `--frame-ancestors: '${said}' is no origin such as https://worker.example.org or https://*.example.org`
  )
}

/** @param {string | null} said */
function policyOf(said) {
  if (said === null || isPolicy(said)) return said
  throw new WrongUsage(`--csp: ${JSON.stringify(said)} is no Content-Security-Policy: one line of plain characters`)
}

/** @param {string} said */
function outboxOf(said) {
  if (said !== 'disk' && said !== 'launcher') throw new WrongUsage(`--outbox: '${said}' is neither disk nor launcher`)
  return said
}

/** @param {string} said @returns {[string, string]} */
function pairOf(said) {
  const at = said.indexOf('=')
  return at === -1 ? [said, ''] : [said.slice(0, at), said.slice(at + 1)]
}

/** @param {string} host */
function isLoopback(host) {
  return host === 'localhost' || (isIPv4(host) && host.startsWith('127.')) || (isIPv6(host) && /^(0*:)*0*1$/.test(host))
}

/** @param {unknown} error @returns {error is Error} */
function isWrongUsage(error) {
  if (!(error instanceof Error)) return false
  const { code = '', syscall } = /** @type {NodeJS.ErrnoException} */ (error)
  return error instanceof WrongUsage || error instanceof RangeError || /^ERR_PARSE_ARGS/.test(code) || syscall !== undefined
}
