import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import vm from 'node:vm'

const SCRIPT = readFileSync(new URL('../../router/client/wrap_crowd_source.js', import.meta.url), 'utf8')

class Store {
  items = new Map()
  getItem(name) { return this.items.get(name) ?? null }
  setItem(name, text) { this.items.set(name, text) }
}

/** What the script says on a page with this query. */
function page(search, localStorage = new Store()) {
  const globals = { location: { search }, localStorage, URLSearchParams, crypto: globalThis.crypto, Uint8Array }
  vm.runInNewContext(SCRIPT, globals)
  const asked = run => [globals.getWorkerName(run), globals.getAssignmentId(run), globals.getProviderType()]
  return { ...globals, asked }
}

for (const [search, expected] of [
  ['?worker_id=w&assignment_id=a', ['w', 'a', 'link']],
  ['?worker_id=w&id=a', ['w', 'a', 'inhouse']],
  ['?workerId=w&assignmentId=a&hitId=h', ['w', 'a', 'mturk']],
  ['?participant_id=w&submission_id=a&study_id=s', ['w', 'a', 'prolific']],
  ['?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=h', [null, null, 'mturk']],
  ['?worker_id=w&assignment_id=ASSIGNMENT_ID_NOT_AVAILABLE', [null, null, 'link']],
  ['?workerId=w&hitId=h', [null, null, 'mturk']],
  ['?study_id=s', [null, null, 'prolific']],
]) {
  test(`${search} says ${expected}`, () => assert.deepEqual(page(search).asked(), expected))
}

test('a bare link makes a worker up, the same after a reload', () => {
  const store = new Store()
  const first = page('', store).asked('run-1')
  assert.match(first[0], /^[0-9a-f]{32}$/)
  assert.deepEqual(page('', store).asked('run-1'), first)
})

test('two runs on one address know nothing of each other', () => {
  const store = new Store()
  assert.notEqual(page('', store).asked('run-1')[0], page('', store).asked('run-2')[0])
})

test('a unit handed in is followed by a fresh assignment of the same worker, also after a reload', () => {
  const store = new Store()
  for (const search of ['', '?worker_id=w', '?worker_id=w&assignment_id=a']) {
    const here = page(search, store)
    const before = here.asked('run-1')
    here.handleSubmitToProvider({}, 'run-1')
    const after = here.asked('run-1')
    assert.equal(after[0], before[0])
    assert.notEqual(after[1], before[1])
    assert.deepEqual(page(search, store).asked('run-1'), after)
  }
})

test('a crowd site gives the next assignment itself', () => {
  const here = page('?workerId=w&assignmentId=a&hitId=h')
  here.handleSubmitToProvider({})
  assert.equal(here.getAssignmentId(), 'a')
})

test('a browser that forbids storage keeps the worker while the page is open', () => {
  const forbidding = { getItem() { throw new Error('SecurityError') }, setItem() { throw new Error('SecurityError') } }
  const here = page('', forbidding)
  assert.deepEqual(here.asked(), here.asked())
})

test('names that look like parts of an object are only names', () => {
  assert.deepEqual(page('?worker_id=__proto__&assignment_id=constructor').asked(), ['__proto__', 'constructor', 'link'])
})
