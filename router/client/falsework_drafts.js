/* What a worker typed but did not hand in, over a reload: the fields of every <form data-falsework-draft>. */

/** @typedef {import('./falsework_keeping.js').Keeping} Keeping */

const NOT_KEPT = ['file', 'password', 'submit', 'button', 'reset', 'image', 'hidden', 'fieldset', 'output']
const TICKED = ['checkbox', 'radio']

/** The draft of one agent. */
export class Draft {
  #keeping
  #name
  #watching = new AbortController()

  /** @param {Keeping} keeping @param {string} agentId */
  constructor(keeping, agentId) {
    this.#keeping = keeping
    this.#name = `draft:${agentId}`
  }

  /** Empty the forms, then put back what was typed. Returns what came back: 'nothing', 'all', or 'all but files'. */
  restore() {
    const saved = this.#keeping.get(this.#name)
    if (!saved) return 'nothing'
    forms().forEach((form, index) => writeFields(form.elements, saved.forms?.[index] ?? {}))
    return saved.hasFiles ? 'all but files' : 'all'
  }

  /** Keep every change from now on. */
  watch() {
    const { signal } = this.#watching
    for (const type of ['input', 'change']) document.addEventListener(type, event => this.#changed(event), { signal })
  }

  /** The unit is handed in: forget it. */
  forget() {
    this.#watching.abort()
    this.#keeping.remove(this.#name)
  }

  /** The page goes on to another unit; this one's draft stays for its return. */
  unwatch() {
    this.#watching.abort()
  }

  /** @param {Event} event */
  #changed(event) {
    const form = /** @type {any} */ (event.target)?.form
    if (!form?.matches('[data-falsework-draft]')) return
    const all = forms()
    const hasFiles = all.some(one => [...one.elements].some(isChosenFile))
    this.#keeping.set(this.#name, { forms: all.map(one => readFields(one.elements)), hasFiles })
  }
}

/** Empty the forms whose drafts are kept, for the next unit. */
export function emptyForms() {
  for (const form of forms()) form.reset()
}

/**
 * The values of fields by their names, in the order of the page. Files and passwords are left out.
 * @param {Iterable<any>} elements
 */
export function readFields(elements) {
  /** @type {Record<string, (string | boolean | string[])[]>} */
  const values = Object.create(null)
  for (const field of kept(elements)) (values[field.name] ??= []).push(valueOf(field))
  return values
}

/**
 * Put values back, and tell the page's own listeners of each change.
 * @param {Iterable<any>} elements @param {Record<string, any[]>} values
 */
export function writeFields(elements, values) {
  const left = new Map(Object.entries(values).map(([name, list]) => [name, [...list]]))
  for (const field of kept(elements)) {
    const value = left.get(field.name)?.shift()
    if (value === undefined || String(value) === String(valueOf(field))) continue
    put(field, value)
    field.dispatchEvent(new Event('input', { bubbles: true }))
    field.dispatchEvent(new Event('change', { bubbles: true }))
  }
}

/** @returns {HTMLFormElement[]} */
const forms = () => [...document.querySelectorAll(/** @type {'form'} */ ('form[data-falsework-draft]'))]

/** @param {Iterable<any>} elements */
const kept = elements => [...elements].filter(({ name, type }) => name && type && !NOT_KEPT.includes(type))

/** @param {any} field */
const isChosenFile = field => field.type === 'file' && field.files.length > 0

/** @param {any} field */
function valueOf(field) {
  if (TICKED.includes(field.type)) return field.checked
  if (field.type === 'select-multiple') return [...field.selectedOptions].map(option => option.value)
  return field.value
}

/** @param {any} field @param {any} value */
function put(field, value) {
  if (TICKED.includes(field.type)) field.checked = Boolean(value)
  else if (field.type !== 'select-multiple') field.value = value
  else for (const option of field.options) option.selected = value.includes(option.value)
}
