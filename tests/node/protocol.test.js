import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Malformed } from '../../router/node/wire/errors.js'
import { Envelope, LIMITS, decodeFrame, encode, encodeFrame, overrideLimits } from '../../router/node/wire/protocol.js'

const decodeText = (/** @type {string} */ text) => decodeFrame(Buffer.from(text))

test('a frame is a packet, or an array of them', () => {
  const one = '{"packet_type":"heartbeat","subject_id":"a1","client_timestamp":1.5}'
  const packet = { packet_type: 'heartbeat', subject_id: 'a1', data: '{}', client_timestamp: 1.5, server_timestamp: null }
  assert.deepEqual(decodeText(one), [packet])
  assert.deepEqual(decodeText(`[${one}, ${one}]`), [packet, packet])
  assert.deepEqual(decodeText('[]'), [])
})

test('data is passed on as it was written', () => {
  const [packet] = decodeText('{"packet_type":"x","data":{"n":1.0,"big":12345678901234567890,"e":1e400}}')
  assert.equal(packet.data, '{"n":1.0,"big":12345678901234567890,"e":1e400}')
})

test('what is no packet is malformed, and says what was expected', () => {
  for (const text of ['', 'hello', '17', 'null', '[5]', '{"packet_type":5}', '{"packet_type":"x","subject_id":[]}']) {
    assert.throws(() => decodeText(text), Malformed, text)
  }
  assert.throws(() => decodeText('{"packet_type":"x","client_timestamp":1e400}'), /client_timestamp/)
  assert.throws(() => decodeFrame(Buffer.from([0x22, 0xff, 0x22])), /UTF-8/)
})

test('half a surrogate pair is mended, a whole one is kept', () => {
  const [packet] = decodeText('{"packet_type":"x","data":"\\ud83d \\ud83d\\ude00 \\ude00 \\\\ud83d"}')
  assert.equal(JSON.parse(packet.data), '\ufffd \u{1f600} \ufffd \\ud83d')
})

test('a packet always has a type, a subject and data, and nothing that is not known', () => {
  assert.equal(encode('x', 'a"b', '[1]'), '{"packet_type":"x","subject_id":"a\\"b","data":[1]}')
  const json = JSON.parse(encode('x', '', '{}', { clientTimestamp: 2.5, serverTimestamp: null, wall: 3 }))
  assert.deepEqual(Object.keys(json).slice(3), ['client_timestamp', 'router_incoming_timestamp', 'router_outgoing_timestamp'])
})

test('an envelope speaks of its number and its files', () => {
  const envelope = new Envelope('submit_unit', 'a1', '{}', null, 7)
  assert.deepEqual(Object.keys(JSON.parse(envelope.encode())).slice(-1), ['number'])
  envelope.dataFile = 'f.json'
  assert.deepEqual(envelope.uploads(), ['f.json'])
  assert.equal(JSON.parse(envelope.encode()).data_file, 'f.json')
})

test('packets share a frame as an array', () => {
  assert.equal(encodeFrame(['1']), '1')
  assert.equal(encodeFrame(['1', '2']), '[1,2]')
})

test('limits are set by name, counts as whole numbers', () => {
  const limits = overrideLimits(LIMITS, [['frame', '2048.9'], ['ping', '0.5']])
  assert.deepEqual([limits.frame, limits.ping, limits.waiting], [2048, 0.5, LIMITS.waiting])
  for (const [name, value] of /** @type {[string, string][]} */ ([['frames', '1'], ['frame', ''], ['ping', '-1'], ['toString', '1']])) {
    assert.throws(() => overrideLimits(LIMITS, [[name, value]]), RangeError, name)
  }
})
