import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Keeping } from '../../router/client/falsework_keeping.js'
import { Submission, listed, uniqueId } from '../../router/client/falsework_submission.js'

/** Stores like a browser's, whose items are also its properties. */
class Store {
  static full() {
    const store = new Store()
    Object.defineProperty(store, 'setItem', { value: () => { throw new DOMException('full', 'QuotaExceededError') } })
    return store
  }
  getItem(name) { return this[name] ?? null }
  setItem(name, text) { this[name] = text }
  removeItem(name) { delete this[name] }
}

const forbidden = () => { throw new DOMException('no cookies, no storage', 'SecurityError') }

for (const [kind, find] of [['a store', () => new Store()], ['a full one', Store.full], ['none', forbidden]]) {
  test(`values come back, with ${kind}`, () => {
    const keeping = new Keeping(find)
    keeping.set('unsent:a', { text: 'ü' })
    keeping.set('draft:a', [1])
    assert.deepEqual(keeping.get('unsent:a'), { text: 'ü' })
    assert.deepEqual(keeping.names('unsent:'), ['unsent:a'])
    keeping.remove('unsent:a')
    assert.equal(keeping.get('unsent:a'), null)
    assert.deepEqual(keeping.names('unsent:'), [])
  })
}

test('what others stored is neither read nor listed', () => {
  const store = new Store()
  store.setItem('unsent:x', '1')
  store.setItem('falsework:draft:a', 'no JSON')
  const keeping = new Keeping(() => store)
  assert.equal(keeping.get('unsent:x'), null)
  assert.equal(keeping.get('draft:a'), null)
  assert.deepEqual(keeping.names(''), ['draft:a'])
})

test('an unsent answer is found again under its id, unless it has files', () => {
  const store = new Store()
  const made = Submission.make(new Keeping(() => store), 'agent-1', { text: 'hello' })
  Submission.make(new Keeping(() => store), 'agent-2', {}, { photo: new File(['x'], 'x.png') })
  const [found, ...others] = Submission.unsent(new Keeping(() => store))
  assert.deepEqual([found.agentId, found.answer, found.id], ['agent-1', { text: 'hello' }, made.id])
  assert.deepEqual(others, [])
})

test('files are listed with their fields, whatever form they come in', () => {
  const [a, b] = ['a.png', 'b.png'].map(name => new File(['x'], name))
  assert.deepEqual(listed(), [])
  assert.deepEqual(listed({ photo: a, none: null, empty: [] }), [['photo', a]])
  assert.deepEqual(listed({ photos: [a, b] }), [['photos', a], ['photos', b]])
  assert.deepEqual(listed([a, b]), [['files', a], ['files', b]])
  assert.deepEqual(listed({ empty_field: new File([], '') }), [])
})

test('ids are unique with and without a secure context', context => {
  context.after(() => delete globalThis.isSecureContext)
  const ids = new Set()
  for (globalThis.isSecureContext of [true, false]) for (let n = 0; n < 100; n++) ids.add(uniqueId())
  assert.equal(ids.size, 200)
})
