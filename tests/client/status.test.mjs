import assert from 'node:assert/strict'
import { test } from 'node:test'
import { packetsOf } from '../../router/client/falsework_socket.js'
import { StatusLine, sending, sentenceForRefusal, sentenceForStatus } from '../../router/client/falsework_status.js'

function line() {
  const element = { dataset: {}, textContent: '' }
  return [new StatusLine({ getElementById: () => element }), element]
}

test('a trouble covers what was said, until it is over', () => {
  const [status, element] = line()
  status.say('Waiting…', 'busy')
  status.trouble('The connection is lost.')
  assert.deepEqual([element.textContent, element.dataset.tone], ['The connection is lost.', 'bad'])
  status.say('Saved.', 'good')
  assert.equal(element.textContent, 'The connection is lost.')
  status.trouble('')
  assert.deepEqual([element.textContent, element.dataset.tone], ['Saved.', 'good'])
})

test('a page without a status line gets one that screen readers hear', () => {
  const element = { dataset: {}, attributes: {}, setAttribute(name, value) { this.attributes[name] = value } }
  const body = { prepend: added => (body.first = added) }
  new StatusLine({ getElementById: () => null, createElement: () => element, body })
  assert.equal(body.first, element)
  assert.deepEqual(element.attributes, { role: 'status', 'aria-live': 'polite' })
})

test('words become sentences, and sentences stay as they are', () => {
  assert.match(sentenceForRefusal('nothing_left'), /nothing left to do/)
  assert.match(sentenceForRefusal(null), /nothing left to do/)
  assert.equal(sentenceForRefusal('Come back at noon.'), 'Come back at noon.')
  assert.equal(sentenceForStatus('in task'), null)
  assert.equal(sentenceForStatus('a status of tomorrow'), null)
  for (const status of ['waiting', 'timeout', 'expired', 'disconnect', 'partner disconnect', 'completed']) {
    assert.match(sentenceForStatus(status)[0], /\w+/)
  }
})

test('progress is told in steps and is never done before it is', () => {
  assert.deepEqual([0, 0.05, 0.1, 0.57, 1].map(sending), ['Saving…', 'Saving…', 'Sending… 10 %', 'Sending… 50 %', 'Sending… 90 %'])
})

test('a frame is one packet or several, and what is none is passed over', () => {
  const packet = { packet_type: 'heartbeat', subject_id: 'a' }
  assert.deepEqual(packetsOf(JSON.stringify(packet)), [packet])
  assert.deepEqual(packetsOf(JSON.stringify([packet, null, 7, { other: 1 }, packet])), [packet, packet])
  for (const frame of ['', 'nonsense', 'null', '[]', new ArrayBuffer(2)]) assert.deepEqual(packetsOf(frame), [])
})
