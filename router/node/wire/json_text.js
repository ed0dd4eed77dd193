/* Where the parts of a JSON text lie, so that they are passed on as they were written: no digit of a number is lost on the
   way, and nothing is put into words again. The text has been through JSON.parse before; here it is only measured. No I/O. */

import { Malformed } from './errors.js'

/** Deeper than this, other readers of JSON give up: Python's, by default, at about a thousand. */
const MOST_NESTED = 900

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const SPACE = 0x20

/**
 * The text of one field of the object at `start`, or undefined. Of fields with one name the last counts.
 * Throws Malformed for what is nested too deep, as do the others.
 * @param {string} json @param {string} name @param {number} [start]
 */
export function fieldOf(json, name, start = 0) {
  /** @type {string | undefined} */
  let found
  eachField(json, start, (key, begin, end) => {
    if (key === name) found = json.slice(begin, end)
  })
  return found
}

/** The texts of all fields of an object, in their order. @param {string} json @returns {Map<string, string>} */
export function fieldsOf(json) {
  const fields = new Map()
  eachField(json, 0, (key, begin, end) => fields.set(key, json.slice(begin, end)))
  return fields
}

/** Where each item of an array begins. @param {string} json @returns {number[]} */
export function itemsOf(json) {
  const starts = []
  let at = skipSpace(json, skipSpace(json, 0) + 1)
  while (json.charCodeAt(at) !== CLOSE_ARRAY) {
    starts.push(at)
    at = skipSpace(json, endOfValue(json, at))
    if (json.charCodeAt(at) === COMMA) at = skipSpace(json, at + 1)
  }
  return starts
}

/** The opposite of `fieldsOf`. @param {Map<string, string>} fields */
export function objectText(fields) {
  return `{${Array.from(fields, ([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`
}

/** @param {string} json @param {number} start @param {(name: string, begin: number, end: number) => void} visit */
function eachField(json, start, visit) {
  let at = skipSpace(json, skipSpace(json, start) + 1)
  while (json.charCodeAt(at) !== CLOSE_OBJECT) {
    const endOfName = endOfString(json, at)
    const begin = skipSpace(json, skipSpace(json, endOfName) + 1)
    const end = endOfValue(json, begin)
    visit(nameAt(json, at, endOfName), begin, end)
    at = skipSpace(json, end)
    if (json.charCodeAt(at) === COMMA) at = skipSpace(json, at + 1)
  }
}

/** @param {string} json @param {number} begin @param {number} end */
function nameAt(json, begin, end) {
  const name = json.slice(begin + 1, end - 1)
  return name.includes('\\') ? JSON.parse(`"${name}"`) : name
}

/** @param {string} json @param {number} at */
function skipSpace(json, at) {
  while (json.charCodeAt(at) <= SPACE) at++
  return at
}

/** @param {string} json @param {number} at */
function endOfValue(json, at) {
  const first = json.charCodeAt(at)
  if (first === QUOTE) return endOfString(json, at)
  if (first === OPEN_OBJECT || first === OPEN_ARRAY) return endOfNested(json, at)
  return endOfWord(json, at)
}

/** @param {string} json @param {number} at */
function endOfNested(json, at) {
  let depth = 0
  for (;;) {
    const code = json.charCodeAt(at)
    if (code === QUOTE) {
      at = endOfString(json, at)
      continue
    }
    at++
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      if (++depth > MOST_NESTED) throw tooDeep()
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      if (--depth === 0) return at
    }
  }
}

/** @param {string} json @param {number} at */
function endOfString(json, at) {
  let end = json.indexOf('"', at + 1)
  while (json.charCodeAt(end - 1) === BACKSLASH && isEscaped(json, end)) end = json.indexOf('"', end + 1)
  return end + 1
}

/** @param {string} json @param {number} quote */
function isEscaped(json, quote) {
  let slash = quote - 1
  while (json.charCodeAt(slash) === BACKSLASH) slash--
  return (quote - slash) % 2 === 0
}

/** A number, or one of the three words. @param {string} json @param {number} at */
function endOfWord(json, at) {
  for (; at < json.length; at++) {
    const code = json.charCodeAt(at)
    if (code <= SPACE || code === COMMA || code === CLOSE_OBJECT || code === CLOSE_ARRAY) break
  }
  return at
}

function tooDeep() {
  return new Malformed(`expected JSON that is nested no more than ${MOST_NESTED} levels deep`)
}
