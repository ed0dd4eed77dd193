/* What both routers say alike: words, statuses, refusals, limits, page policies. It stands in agreed.json, which the router in
   Python reads too. */

import { existsSync, readFileSync } from 'node:fs'

/**
 * A request that is not served: the HTTP status, a word for programs and a sentence for the worker; seconds to wait.
 * @typedef {{status: number, error: string, message: string, retry_after?: number}} Refusal
 *
 * Why a socket is closed, as its close frame says.
 * @typedef {{code: number, reason: string}} Closing
 */

/** Beside this file in a bundle, which holds one router; in the folder of Python's in the repository and in a package. */
const PLACES = ['agreed.json', '../../wire/agreed.json'].map(place => new URL(place, import.meta.url))

/** @type {typeof import('../../wire/agreed.json', { with: { type: 'json' } })} */
const agreed = JSON.parse(readFileSync(PLACES.find(existsSync) ?? PLACES[0], 'utf8'))

export const { bounds, closings, malformed, packets, pages, policy, refusals, statuses } = agreed
export const { protocol, limits, data_directory: dataDirectory, wrong_settings: wrongSettings, launcher_subject: launcherSubject } = agreed

/** A sentence with the facts in place of their {names}. @param {string} sentence @param {Record<string, unknown>} facts */
export function filled(sentence, facts) {
  return sentence.replace(/\{(\w+)\}/g, (_, name) => String(facts[name]))
}
