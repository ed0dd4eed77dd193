/* The bodies of pages' requests, read up to their limits. Data that is only passed on stays the JSON text that it was. */

import { malformed, pages, refusals } from '../wire/agreed.js'
import { Malformed, Refused } from '../wire/errors.js'
import { fieldOf, fieldsOf, objectText } from '../wire/json_text.js'
import { check, decode, maybe, number, object, text } from '../wire/protocol.js'
import { CutOff } from './refusals.js'

/**
 * @typedef {import('node:http').IncomingMessage} IncomingMessage
 * @typedef {import('./uploads.js').Form} Form
 * @typedef {import('../wire/protocol.js').Limits} Limits
 * @typedef {import('../wire/protocol.js').Shape} Shape
 * @typedef {import('../wire/protocol.js').UploadedFile} UploadedFile
 */

/**
 * Of /submit_task, /submit_metadata and /log_error.
 * @typedef {{
 *   agentId: string, data: string, clientTimestamp: number | null, submissionId: string | null, files: UploadedFile[]
 * }} Submission
 */

const AGENT_REQUEST = { client_timestamp: maybe(number) }
const ONBOARDING = { provider_data: object, client_timestamp: maybe(number) }
const ONBOARDING_OF = { USED_AGENT_ID: text }
const SUBMISSION = { USED_AGENT_ID: text, client_timestamp: maybe(number), submission_id: maybe(text) }
/** What stands for data that a page left out. @type {Record<string, string>} */
const LEFT_OUT = { final_data: 'null', metadata: '{}', error_data: '{}' }

/** @param {IncomingMessage} request @param {Readonly<Limits>} limits */
export async function readAgentRequest(request, limits) {
  const { said, json } = await readObject(request, limits, AGENT_REQUEST, malformed.agent_request)
  return { providerData: fieldOf(json, 'provider_data') ?? '{}', clientTimestamp: said.client_timestamp ?? null }
}

/** @param {IncomingMessage} request @param {Readonly<Limits>} limits */
export async function readOnboarding(request, limits) {
  const { said, json } = await readObject(request, limits, ONBOARDING, malformed.onboarding)
  const { USED_AGENT_ID: agentId } = check(said.provider_data, ONBOARDING_OF, malformed.onboarding)
  const onboardingData = fieldOf(fieldOf(json, 'provider_data') ?? '', 'onboarding_data') ?? '{}'
  return { agentId, onboardingData, clientTimestamp: said.client_timestamp ?? null }
}

/** @param {IncomingMessage} request @param {Readonly<Limits>} limits */
export function readLog(request, limits) {
  return readJsonSubmission(request, limits, 'error_data')
}

/**
 * As JSON or as a form. In a form the first of `fields` that is there holds the data, in JSON the last one does.
 * @param {IncomingMessage} request @param {import('./uploads.js').Uploads} uploads @param {string[]} fields
 * @returns {Promise<Submission>}
 */
export async function readSubmission(request, uploads, fields) {
  const jsonField = /** @type {string} */ (fields.at(-1))
  if (!isForm(request)) return readJsonSubmission(request, uploads.limits, jsonField)
  const form = await uploads.receive(request)
  try {
    return submissionOf(form, fields, LEFT_OUT[jsonField])
  } catch (error) {
    uploads.discard(form.files.map(file => file.filename))
    throw error
  }
}

/** Without anything that Mephisto's launcher would take for files that the router received. @param {string} data */
export function withoutFiles(data) {
  if (!isObjectText(data)) return data
  return objectText(new Map(Array.from(fieldsOf(data), ([name, value]) => [RENAMED.get(name) ?? name, value])))
}

const RENAMED = new Map(Object.entries(pages.guarded))

/**
 * The worker's data with the router's word on the files, in the two forms that Mephisto's launcher reads.
 * @param {string} data @param {UploadedFile[]} files
 */
export function mergeFiles(data, files) {
  const fields = isObjectText(data) ? fieldsOf(data) : new Map([['data', data]])
  /** @type {Map<string, object[]>} */
  const byField = new Map()
  for (const { fieldname, ...facts } of files) {
    const others = byField.get(fieldname)
    if (others) others.push(facts)
    else byField.set(fieldname, [facts])
  }
  fields.set('files', JSON.stringify(files))
  const facts = Array.from(byField, ([name, ofName]) => /** @type {[string, string]} */ ([name, JSON.stringify(ofName)]))
  fields.set('filesByFields', objectText(new Map(facts)))
  return objectText(fields)
}

/** @param {IncomingMessage} request @param {Readonly<Limits>} limits @param {string} field @returns {Promise<Submission>} */
async function readJsonSubmission(request, limits, field) {
  const { said, json } = await readObject(request, limits, SUBMISSION, malformed.submission, { field })
  return {
    agentId: said.USED_AGENT_ID,
    data: fieldOf(json, field) ?? LEFT_OUT[field],
    clientTimestamp: said.client_timestamp ?? null,
    submissionId: said.submission_id ?? null,
    files: []
  }
}

/** @param {Form} form @param {string[]} fields @param {string} leftOut @returns {Submission} */
function submissionOf({ fields: said, files }, fields, leftOut) {
  const agentId = said.get('USED_AGENT_ID')
  if (agentId === undefined) throw new Malformed(malformed.no_agent)
  const field = fields.find(name => said.has(name))
  const data = field === undefined ? leftOut : jsonOf(said.get(field) ?? '', field)
  const time = Number.parseFloat(said.get('client_timestamp') ?? '')
  const clientTimestamp = Number.isFinite(time) ? time : null
  const submissionId = said.get('submission_id') ?? null
  return { agentId, data, clientTimestamp, submissionId, files }
}

/** @param {string} value @param {string} field */
function jsonOf(value, field) {
  const { json } = decode(Buffer.from(value), malformed.form_field, { name: field })
  return fieldOf(`{"value":${json}}`, 'value') ?? ''
}

/**
 * @param {IncomingMessage} request @param {Readonly<Limits>} limits @param {Shape} shape
 * @param {string} expected @param {Record<string, unknown>} [facts]
 */
async function readObject(request, limits, shape, expected, facts) {
  const { value, json } = decode(await readBody(request, limits), expected, facts)
  return { said: check(value, shape, expected, facts), json }
}

/**
 * The whole body of a request. Throws Refused (413) or CutOff.
 * @param {IncomingMessage} request @param {Readonly<Limits>} limits
 */
async function readBody(request, limits) {
  const chunks = []
  let size = 0
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      size += chunk.length
      if (size > limits.submission) throw new Refused(refusals.answer_too_large, { limit: limits.submission })
      chunks.push(chunk)
    }
  } catch (error) {
    throw request.complete || error instanceof Refused ? error : new CutOff()
  } finally {
    request.resume() // what is left of a refused one is let pass, so that the answer is heard
  }
  return Buffer.concat(chunks, size)
}

/** @param {IncomingMessage} request */
function isForm(request) {
  return /^multipart\/form-data\s*(;|$)/i.test(request.headers['content-type'] ?? '')
}

/** @param {string} json */
function isObjectText(json) {
  return json.startsWith('{')
}
