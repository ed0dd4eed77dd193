/* What a browser is told about a page besides the page: what it may load, and who may show it in a frame. No I/O.

   The default lets a page do what pages of a task do (own scripts and styles, pictures and recordings made on the spot, the
   router's WebSocket) and nothing else: no inline script, no `eval`, nothing from elsewhere. A crowd site that frames the task
   is where its form goes, too. */

import { policy as agreed } from '../wire/agreed.js'

const FRAME_ANCESTOR = new RegExp(`^(?:${agreed.frame_ancestor})$`)
const PLAIN = new RegExp(`^${agreed.plain}$`)

/** On every answer. The address of a page names its worker, so it is told to nobody else. */
export const EVERYWHERE = agreed.everywhere

/**
 * The headers of what a browser shows. `policy` takes the default's place, but for the ancestors that it does not name.
 * @param {string | null} policy @param {string[]} frameAncestors
 */
export function pageHeaders(policy, frameAncestors) {
  const allowed = frameAncestors.join(' ')
  const ours = [...agreed.default, `${agreed.forms} ${allowed}`.trim()]
  const directives = policy === null ? ours : [policy.replace(/[;\s]+$/, '')]
  if (policy === null || !namesAncestors(policy)) directives.push(`${agreed.framing} ${allowed || agreed.nobody}`)
  return { 'Content-Security-Policy': directives.join('; ') }
}

/** Whether a `frame-ancestors` can hold it. @param {string} origin */
export function isFrameAncestor(origin) {
  return FRAME_ANCESTOR.test(origin)
}

/** Whether a Content-Security-Policy header can hold it. @param {string} policy */
export function isPolicy(policy) {
  return PLAIN.test(policy)
}

/** @param {string} policy */
function namesAncestors(policy) {
  return policy.split(';').some(directive => directive.trim().split(/\s/, 1)[0].toLowerCase() === agreed.framing)
}
