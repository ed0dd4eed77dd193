/* The router's command line, made from the table of what it can be told: flags and environment in, settings out. */

import fs from 'node:fs'
import { isIPv4, isIPv6 } from 'node:net'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { isFrameAncestor, isPolicy } from '../door/policy.js'
import { filled, wrongSettings } from '../wire/agreed.js'
import { LIMITS, overrideLimits } from '../wire/protocol.js'
import { FLAGS } from '../wire/router_args.js'

/**
 * @typedef {import('../wire/router_args.js').Flag} Flag
 * @typedef {import('../wire/router_args.js').RouterArgs} RouterArgs
 * @typedef {import('../door/settings.js').Settings} Settings
 */

/** Seconds. @type {Record<string, number>} */
const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, '': 1 }

/** Characters of a line of the usage, and of the column with the flags. */
const WIDTH = 120
const COLUMN = 26

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
    const { values } = parseArgs({ args, options: OPTIONS })
    if (!values.help) return settingsOf(argsOf(values, environment), environment)
    process.stdout.write(`${usage()}\n\n${HELP}\n`)
    process.exit(0)
  } catch (error) {
    if (!isWrongUsage(error)) throw error
    process.stderr.write(`${usage()}\nserver.js: error: ${error.message}\n`)
    process.exit(2)
  }
}

/** @type {NonNullable<import('node:util').ParseArgsConfig['options']>} */
const OPTIONS = {
  ...Object.fromEntries(
    FLAGS.map(({ name, kind, isRepeatable }) => [name, { type: kind === 'switch' ? 'boolean' : 'string', multiple: isRepeatable }])
  ),
  help: { type: 'boolean', short: 'h' }
}

const HELP = `One router on its own. Says {"ready": {"port": N}} on stdout, and logs on stderr.

${FLAGS.map(flag => `  ${spoken(flag).padEnd(COLUMN)}${flag.help}${defaultOf(flag)}`).join('\n')}`

function usage() {
  const lines = ['usage: node router/node/server.js']
  const indent = ' '.repeat(lines[0].length)
  for (const flag of FLAGS) {
    const word = flag.isRequired ? spoken(flag) : `[${spoken(flag)}]${flag.isRepeatable ? '...' : ''}`
    if (lines[lines.length - 1].length + word.length >= WIDTH) lines.push(indent)
    lines[lines.length - 1] += ` ${word}`
  }
  return lines.join('\n')
}

/** A flag with what comes after it. @param {Flag} flag */
function spoken({ name, metavar, choices }) {
  const value = choices.join('|') || metavar
  return value ? `--${name} ${value}` : `--${name}`
}

/** For words alone: what is counted says it in its own help. @param {Flag} flag */
function defaultOf(flag) {
  return typeof flag.default === 'string' ? ` (default: ${flag.default})` : ''
}

/**
 * What each flag says, or its default.
 * @param {Record<string, unknown>} values
 * @param {NodeJS.ProcessEnv} environment
 * @returns {RouterArgs}
 */
function argsOf(values, environment) {
  return /** @type {any} */ (Object.fromEntries(FLAGS.map(flag => [flag.field, valueOf(flag, values[flag.name], environment)])))
}

/** @param {Flag} flag @param {unknown} said @param {NodeJS.ProcessEnv} environment */
function valueOf(flag, said, environment) {
  const value = said ?? (flag.fallsBackOn === null ? undefined : environment[flag.fallsBackOn])
  if (value === undefined) {
    if (flag.isRequired) throw new WrongUsage(`--${flag.name} is required`)
    return flag.default ?? undefined
  }
  if (typeof value === 'boolean') return value
  const read = READERS[flag.kind]
  return Array.isArray(value) ? value.map(one => read(one, flag)) : read(String(value), flag)
}

/** How a value of each kind is read. @type {Record<string, (said: string, flag: Flag) => unknown>} */
const READERS = {
  text: said => said,
  path: said => said,
  port: portOf,
  duration: secondsOf,
  choice: choiceOf,
  origin: originOf,
  policy: policyOf,
  limits: pairOf
}

/** @param {RouterArgs} args @param {NodeJS.ProcessEnv} environment @returns {Settings} */
function settingsOf(args, environment) {
  const token = readToken(args.tokenFile, environment)
  if (token === null && !args.open) {
    throw new WrongUsage('no token: give --token-file or FALSEWORK_TOKEN, or say --open to take any launcher')
  }
  if (args.open && !isLoopback(args.host)) {
    throw new WrongUsage(`--open takes any launcher, so it is for the loopback only, not for ${args.host}`)
  }
  return {
    ...args,
    static: siteOf(args.static),
    token: args.open ? null : token,
    port: args.port ?? 0,
    limits: overrideLimits(LIMITS, args.limits)
  }
}

/** @param {string | undefined} file @param {NodeJS.ProcessEnv} environment */
function readToken(file, environment) {
  const token = file === undefined ? environment.FALSEWORK_TOKEN : fs.readFileSync(file, 'utf8').trim()
  delete environment.FALSEWORK_TOKEN
  if (token === '') throw new WrongUsage('the token is empty')
  return token ?? null
}

/** @param {string} directory */
function siteOf(directory) {
  if (!fs.statSync(path.join(directory, 'index.html'), { throwIfNoEntry: false })?.isFile()) {
    throw new WrongUsage(`${directory} holds no index.html`)
  }
  return directory
}

/** @param {string} said @param {Flag} flag */
function portOf(said, { name }) {
  if (!/^\d{1,5}$/.test(said) || Number(said) > 65535) {
    throw new WrongUsage(`--${name}: '${said}' is no port, which is a number from 0 to 65535`)
  }
  return Number(said)
}

/** @param {string} said @param {Flag} flag */
function secondsOf(said, { name }) {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|)$/.exec(said)
  if (!match) throw new WrongUsage(`--${name}: '${said}' is no duration, such as 90s, 15m or 24h`)
  return Number(match[1]) * UNITS[match[2]]
}

/** @param {string} said @param {Flag} flag */
function choiceOf(said, { name, choices }) {
  if (!choices.includes(said)) throw new WrongUsage(`--${name}: '${said}' is neither ${choices.join(' nor ')}`)
  return said
}

/** @param {string} said @param {Flag} flag */
function originOf(said, { name }) {
  if (isFrameAncestor(said)) return said
  throw new WrongUsage(`--${name}: ${filled(wrongSettings.frame_ancestor, { said })}`)
}

/** @param {string} said @param {Flag} flag */
function policyOf(said, { name }) {
  if (isPolicy(said)) return said
  throw new WrongUsage(`--${name}: ${filled(wrongSettings.policy, { said: JSON.stringify(said) })}`)
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
