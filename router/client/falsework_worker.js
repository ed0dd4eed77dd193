/* Who works here, as the crowd provider's wrap_crowd_source.js says it. */

import { pause, backoff } from './falsework_waits.js'

/**
 * @typedef {object} ProviderData
 * @property {string} worker_name
 * @property {string} assignment_id
 * @property {string} agent_registration_id
 * @property {string} provider_type
 */

const LOADS = 4

/** Have the provider's globals, whether the page loaded them or not. False when they cannot be had. */
export async function isProviderReady() {
  for (let attempt = 0; attempt < LOADS && !isLoaded(); attempt++) {
    if (attempt) await pause(backoff(attempt))
    await load(new URL('./wrap_crowd_source.js', import.meta.url).href)
  }
  return isLoaded()
}

/**
 * What the launcher is told of the worker; null in a preview.
 * @param {string} [runId] keeps apart what two runs on one address remember
 * @returns {ProviderData | null}
 */
export function providerData(runId) {
  const { getWorkerName, getAssignmentId, getAgentRegistration, getProviderType } = /** @type {any} */ (globalThis)
  const worker = getWorkerName(runId)
  const assignment = getAssignmentId(runId)
  if (worker === null || assignment === null) return null
  return {
    worker_name: worker,
    assignment_id: assignment,
    agent_registration_id: registrationId(getAgentRegistration?.(runId)) ?? `${worker}-${assignment}`,
    provider_type: getProviderType?.() ?? 'crowd',
  }
}

/**
 * Tell the crowd provider that the unit is handed in. A crowd site may leave the page now.
 * @param {unknown} answer @param {string} [runId]
 */
export function tellProvider(answer, runId) {
  const { handleSubmitToProvider } = /** @type {any} */ (globalThis)
  handleSubmitToProvider?.(answer, runId)
}

/** What tells one visit of a worker from another: a provider says it alone, or among all that it says of the worker. */
const registrationId = (/** @type {any} */ registration) => registration?.agent_registration_id ?? registration

const isLoaded = () => typeof (/** @type {any} */ (globalThis).getWorkerName) === 'function'

/** @param {string} address @returns {Promise<void>} also when it failed */
function load(address) {
  return new Promise(resolve => {
    const script = document.createElement('script')
    script.src = address
    script.onload = script.onerror = () => resolve()
    document.head.append(script)
  })
}
