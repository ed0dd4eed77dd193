/* A page's own errors, sent to the launcher's log, so that a researcher learns of them. */

const MOST = 20

/** Report what goes wrong on the page from now on, a bounded number of times. @param {() => string | undefined} agentId */
export function reportErrors(agentId) {
  let left = MOST
  const report = (/** @type {object} */ error_data) => {
    const USED_AGENT_ID = agentId()
    if (USED_AGENT_ID && left-- > 0) send({ USED_AGENT_ID, error_data, client_timestamp: Date.now() / 1000 })
  }
  addEventListener('error', event => report(described(event.error ?? event.message, event)))
  addEventListener('unhandledrejection', event => report(described(event.reason)))
}

/** @param {any} error @param {ErrorEvent} [event] */
function described(error, event) {
  const place = event && { source: event.filename, line: event.lineno, column: event.colno }
  const { message, name, stack } = Object(error)
  return { message: String(message ?? error), name, stack, ...place, page: location.pathname }
}

/** A log that does not arrive is no news to the worker. @param {object} body */
function send(body) {
  const headers = { 'Content-Type': 'application/json' }
  fetch('/log_error', { method: 'POST', headers, body: JSON.stringify(body), keepalive: true }).catch(() => {})
}
