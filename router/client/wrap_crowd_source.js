/* Who works here: the globals that a task page asks for its worker. This file serves links, and any page made for
   Mephisto's client; a crowd provider ships its own file under the same name, with the same globals.

   The worker and the assignment come from the URL. On a bare link the page makes both up and keeps them in localStorage,
   so that a reload finds the same unit; each unit handed in is followed by a fresh assignment. falsework.js passes the
   run's id, which keeps two runs on one address apart; Mephisto's client passes nothing. */
'use strict';

(() => {
  const NOT_AVAILABLE = 'ASSIGNMENT_ID_NOT_AVAILABLE'
  // A crowd site (`site`) makes the URL whole, and its assignments are its own. The most telling names come first.
  const FORMS = [
    form('mturk', 'workerId', 'assignmentId', { signs: ['hitId', 'assignmentId', 'workerId'], site: true }),
    form('prolific', 'participant_id', 'submission_id', { signs: ['participant_id', 'study_id'], site: true }),
    form('link', 'worker_id', 'assignment_id', { signs: ['assignment_id'] }),
    form('inhouse', 'worker_id', 'id', { signs: ['worker_id'] }),
  ]
  const BARE = { kind: 'link', worker: null, assignment: null, site: false, preview: false }
  const memory = new Map()

  function form(kind, worker, assignment, { signs, site = false }) {
    return { kind, worker, assignment, signs, site }
  }

  /** What the URL says. Names that are empty count as missing. */
  function visitor() {
    const asked = new URLSearchParams(location.search)
    const found = FORMS.find(({ signs }) => signs.some(name => asked.has(name)))
    if (!found) return BARE
    const worker = asked.get(found.worker) || null
    const assignment = asked.get(found.assignment) || null
    const missing = found.site && !(worker && assignment)
    const kind = found.kind === 'inhouse' && !assignment ? 'link' : found.kind
    return { kind, worker, assignment, site: found.site, preview: missing || assignment === NOT_AVAILABLE }
  }

  /** A value under a name, from localStorage, or from memory where a browser forbids it to framed pages. */
  function recall(name) {
    try {
      return localStorage.getItem(name) ?? memory.get(name) ?? null
    } catch {
      return memory.get(name) ?? null
    }
  }

  function keep(name, value) {
    memory.set(name, value)
    try {
      localStorage.setItem(name, value)
    } catch {
      // The memory has it for as long as the page is open.
    }
    return value
  }

  /** 128 random bits in hexadecimal; unlike randomUUID it also works without https. */
  function fresh() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('')
  }

  const key = (runId, ...rest) => ['falsework', runId ?? 'any', ...rest].join(':')
  const assignmentKey = runId => key(runId, 'assignment', getWorkerName(runId), visitor().assignment ?? '')

  function getWorkerName(runId) {
    const { worker, preview } = visitor()
    if (preview) return null
    return worker ?? recall(key(runId, 'worker')) ?? keep(key(runId, 'worker'), fresh())
  }

  function getAssignmentId(runId) {
    const { assignment, preview, site } = visitor()
    if (preview) return null
    if (site) return assignment
    return recall(assignmentKey(runId)) ?? assignment ?? keep(assignmentKey(runId), fresh())
  }

  /** Who asks for an agent. Mephisto's client sends this as it is. */
  function getAgentRegistration(runId) {
    const worker = getWorkerName(runId)
    const assignment = getAssignmentId(runId)
    return {
      worker_name: worker,
      assignment_id: assignment,
      agent_registration_id: `${worker}-${assignment}`,
      provider_type: getProviderType(),
    }
  }

  function getProviderType() {
    return visitor().kind
  }

  /** The unit is handed in: the next one is asked for under a fresh assignment. A crowd site gives its own. */
  function handleSubmitToProvider(_answer, runId) {
    const { site, preview } = visitor()
    if (!site && !preview) keep(assignmentKey(runId), fresh())
  }

  const asked = { getWorkerName, getAssignmentId, getAgentRegistration, getProviderType, handleSubmitToProvider }
  Object.assign(globalThis, asked)
})()
