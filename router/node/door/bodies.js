/* What the bodies of pages' requests hold. Data that is only passed on stays the JSON text that it was. No state. */

import { readBody, readForm } from './forms.js'
import { fieldOf, fieldsOf, objectText } from '../wire/json_text.js'
import { Malformed, check, decode, maybe, number, object, text } from '../wire/protocol.js'

/**
 * @typedef {import('node:http').IncomingMessage} IncomingMessage
 * @typedef {import('./forms.js').Form} Form
 * @typedef {import('../wire/limits.js').Limits} Limits
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
  const { said, json } = await readObject(request, limits, AGENT_REQUEST, 'provider_data, client_timestamp')
  return { providerData: fieldOf(json, 'provider_data') ?? '{}', clientTimestamp: said.client_timestamp ?? null }
}

/** @param {IncomingMessage} request @param {Readonly<Limits>} limits */
export async function readOnboarding(request, limits) {
  const expected = 'provider_data {USED_AGENT_ID, onboarding_data}, client_timestamp'
  const { said, json } = await readObject(request, limits, ONBOARDING, expected)
  const { USED_AGENT_ID: agentId } = check(said.provider_data, ONBOARDING_OF, `a JSON object with ${expected}`)
  const onboardingData = fieldOf(fieldOf(json, 'provider_data') ?? '', 'onboarding_data') ?? '{}'
  return { agentId, onboardingData, clientTimestamp: said.client_timestamp ?? null }
}

/** @param {IncomingMessage} request @param {Readonly<Limits>} limits */
export function readLog(request, limits) {
  return readJsonSubmission(request, limits, 'error_data')
}

/**
 * As JSON or as a form. In a form the first of `fields` that is there holds the data, in JSON the last one does.
 * @param {IncomingMessage} request
 * @param {import('./uploads.js').Uploads} uploads
 * @param {Readonly<Limits>} limits
 * @param {string[]} fields
 * @returns {Promise<Submission>}
 */
export async function readSubmission(request, uploads, limits, fields) {
  const jsonField = /** @type {string} */ (fields.at(-1))
  if (!isForm(request)) return readJsonSubmission(request, limits, jsonField)
  const form = await readForm(request, uploads, limits)
  try {
    return submissionOf(form, fields, LEFT_OUT[jsonField])
  } catch (error) {
    uploads.discard(form.files.map(file => file.filename))
    throw error
  }
}

/**
 * The worker's data without anything that Mephisto's launcher would take for files that the router received.
 * @param {string} data
 */
export function guarded(data) {
  if (!isObjectText(data)) return data
  return objectText(new Map(Array.from(fieldsOf(data), ([name, value]) => [RENAMED.get(name) ?? name, value])))
}

const RENAMED = new Map([
  ['files', 'submitted_files'],
  ['filesByFields', 'submitted_filesByFields']
])

/**
 * The worker's data with the router's word on the files, in the two forms that Mephisto's launcher reads.
 * @param {string} data
 * @param {UploadedFile[]} files
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

/**
 * @param {IncomingMessage} request @param {Readonly<Limits>} limits @param {string} field
 * @returns {Promise<Submission>}
 */
async function readJsonSubmission(request, limits, field) {
  const { said, json } = await readObject(request, limits, SUBMISSION, `USED_AGENT_ID, ${field}, client_timestamp`)
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
  if (agentId === undefined) throw new Malformed('expected a form field USED_AGENT_ID')
  const field = fields.find(name => said.has(name))
  const data = field === undefined ? leftOut : jsonOf(said.get(field) ?? '', field)
  const time = Number.parseFloat(said.get('client_timestamp') ?? '')
  const clientTimestamp = Number.isFinite(time) ? time : null
  const submissionId = said.get('submission_id') ?? null
  return { agentId, data, clientTimestamp, submissionId, files }
}

/** @param {string} value @param {string} field */
function jsonOf(value, field) {
  const { json } = decode(Buffer.from(value), `JSON in the form field ${field}`)
  return fieldOf(`{"value":${json}}`, 'value') ?? ''
}

/** @param {IncomingMessage} request @param {Readonly<Limits>} limits @param {Shape} shape @param {string} fields */
async function readObject(request, limits, shape, fields) {
  const expected = `a JSON object with ${fields}`
  const { value, json } = decode(await readBody(request, limits), expected)
  return { said: check(value, shape, expected), json }
}

/** @param {IncomingMessage} request */
function isForm(request) {
  return /^multipart\/form-data\s*(;|$)/i.test(request.headers['content-type'] ?? '')
}

/** @param {string} json */
function isObjectText(json) {
  return json.startsWith('{')
}
