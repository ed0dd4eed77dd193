/* What every page shows that is not at work: why it is blocked, that it is a preview, that it waits. */
import React from 'react'

/** The page's only sentence, or null once there is work. `task` is what the package's hook returned. */
export function situationOf(task) {
  if (task.blockedReason !== null) return <h1 role="alert">{task.blockedExplanation}</h1>
  if (task.isPreview) return <h1>This is a preview.</h1>
  if (task.isLoading || !task.initialTaskData) return <p>Loading …</p>
  return null
}

/** Whose page this is, for whoever looks whether it is still the same. */
export function WhoIsHere({ task }) {
  return <output aria-label="Agent">{task.agentId}</output>
}
