/* What a browser is told about a page besides the page: what it may load, and who may show it in a frame. No I/O.

   The default lets a page do what pages of a task do (own scripts and styles, pictures and recordings made on the spot, the
   router's WebSocket) and nothing else: no inline script, no `eval`, nothing from elsewhere. A crowd site that frames the task
   is where its form goes, too. */

const DEFAULT = [
  "default-src 'self'",
  "img-src 'self' data: blob:",
  "media-src 'self' data: blob:",
  "font-src 'self' data:",
  "connect-src 'self' ws: wss:", // 'self' does not cover WebSockets in every browser
  "object-src 'none'",
  "base-uri 'self'"
]
const NOBODY = "'none'"
const FRAME_ANCESTOR = /^('self'|\*|https?:|(https?:\/\/)?(\*\.)?\w[\w-]*(\.\w[\w-]*)*(:(\d{1,5}|\*))?)$/

/** On every answer. The address of a page names its worker, so it is told to nobody else. */
export const EVERYWHERE = { 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'same-origin' }

/**
 * The headers of what a browser shows. `policy` takes the default's place, but for the ancestors that it does not name.
 * @param {string | null} policy
 * @param {string[]} frameAncestors
 */
export function pageHeaders(policy, frameAncestors) {
  const allowed = frameAncestors.join(' ')
  const directives = policy === null ? [...DEFAULT, `form-action 'self' ${allowed}`.trim()] : [policy.replace(/[;\s]+$/, '')]
  if (policy === null || !namesAncestors(policy)) directives.push(`frame-ancestors ${allowed || NOBODY}`)
  return { 'Content-Security-Policy': directives.join('; ') }
}

/** Whether a `frame-ancestors` can hold it. @param {string} origin */
export function isFrameAncestor(origin) {
  return FRAME_ANCESTOR.test(origin)
}

/** Whether a Content-Security-Policy header can hold it. @param {string} policy */
export function isPolicy(policy) {
  return /^[ -~]+$/.test(policy)
}

/** @param {string} policy */
function namesAncestors(policy) {
  return policy.split(';').some(directive => directive.trim().split(/\s/, 1)[0].toLowerCase() === 'frame-ancestors')
}
