import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFields, writeFields } from '../../router/client/falsework_drafts.js'

class Field extends EventTarget {
  constructor(name, type, rest) {
    super()
    Object.assign(this, { name, type, told: [], ...rest })
    for (const event of ['input', 'change']) this.addEventListener(event, () => this.told.push(event))
  }
}

const form = () => [
  new Field('text', 'textarea', { value: '' }),
  new Field('tag', 'text', { value: '' }),
  new Field('tag', 'text', { value: '' }),
  new Field('rating', 'radio', { value: '1', checked: false }),
  new Field('rating', 'radio', { value: '2', checked: false }),
  new Field('colours', 'select-multiple', {
    options: ['red', 'green'].map(value => ({ value, selected: false })),
    get selectedOptions() { return this.options.filter(option => option.selected) },
  }),
  new Field('photo', 'file', { value: 'C:\\fakepath\\x.png' }),
  new Field('secret', 'password', { value: 'hunter2' }),
  new Field('', 'text', { value: 'nameless' }),
]

test('a draft comes back into the fields that it was read from, and they tell of it', () => {
  const typed = form()
  typed[0].value = 'Some text'
  typed[2].value = 'second tag'
  typed[4].checked = true
  typed[5].options[1].selected = true
  const saved = JSON.parse(JSON.stringify(readFields(typed)))
  const fresh = form()
  writeFields(fresh, saved)
  assert.deepEqual(readFields(fresh), readFields(typed))
  assert.deepEqual(fresh[0].told, ['input', 'change'])
  assert.deepEqual(fresh[1].told, [])
})

test('files, passwords and nameless fields are not kept', () => {
  assert.deepEqual(Object.keys(readFields(form())), ['text', 'tag', 'rating', 'colours'])
})

test('a draft of another form does no harm', () => {
  const fields = form()
  writeFields(fields, { text: [], other: ['x'], tag: ['only one'], __proto__: ['y'] })
  assert.equal(fields[1].value, 'only one')
  assert.equal(fields[2].value, '')
})
