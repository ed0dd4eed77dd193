import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refusal, insist, judge } from '../../router/client/falsework_requests.js'

const reply = (status, body, retryAfter = null) => ({ status, text: JSON.stringify(body), retryAfter })
const anything = () => true

test('an answer is an answer', () => {
  assert.deepEqual(judge(reply(200, { status: 'Submitted!' }), anything).body, { status: 'Submitted!' })
})

test('what may pass is a trouble with its reason and its wait', () => {
  for (const status of [408, 429, 500, 502, 503, 504, 507]) {
    const { trouble, wait } = judge(reply(status, { message: 'Busy.' }, '2'), anything)
    assert.deepEqual([trouble, wait], ['Busy.', 2000])
  }
})

test('no answer, a foreign page and an unexpected body are troubles, not answers', () => {
  assert.match(judge(null, anything).trouble, /no connection/)
  assert.match(judge({ status: 200, text: '<h1>Log in</h1>', retryAfter: null }, anything).trouble, /answered 200/)
  assert.match(judge(reply(200, { other: 1 }), body => body.status === 'Submitted!').trouble, /answered 200/)
})

test('what will not pass is a refusal in the router\'s words', () => {
  for (const status of [400, 403, 404, 409, 410, 413, 501]) {
    assert.throws(() => judge(reply(status, { error: 'no', message: 'Not so.' }), anything), {
      name: 'Refusal', status, error: 'no', message: 'Not so.',
    })
  }
})

test('insisting tells each trouble and ends with the answer', async context => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const replies = [null, reply(503, { message: 'Away.' }), reply(200, { fine: true })]
  const told = []
  const asked = insist(async () => replies.shift(), {
    onTrouble: reason => [told.push(reason), setImmediate(() => context.mock.timers.tick(60_000))],
  })
  assert.deepEqual(await asked, { fine: true })
  assert.deepEqual(told, ['There is no connection to the server.', 'Away.'])
})

test('insisting ends with a refusal after the last attempt', async () => {
  await assert.rejects(insist(async () => null, { attempts: 1 }), Refusal)
})

test('a sender that cannot reach anybody is no error of the page', async () => {
  const failing = async () => { throw new TypeError('Failed to fetch') }
  await assert.rejects(insist(failing, { attempts: 1 }), { message: 'There is no connection to the server.' })
})
