import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outgoing } from '../../router/client/falsework_outgoing.js'

const names = packets => packets.map(packet => packet.name)
const pushed = (outgoing, ...given) => given.map(name => outgoing.push({ name }))

test('updates leave in the order in which they came, once', () => {
  const outgoing = new Outgoing()
  pushed(outgoing, 'a', 'b')
  assert.deepEqual(names(outgoing.take()), ['a', 'b'])
  assert.deepEqual(outgoing.take(), [])
})

test('what a broken socket may have swallowed goes first again', () => {
  const outgoing = new Outgoing()
  pushed(outgoing, 'a', 'b')
  outgoing.take()
  outgoing.broken()
  pushed(outgoing, 'c')
  assert.deepEqual(names(outgoing.take()), ['a', 'b', 'c'])
})

test('what was sent before an echoed heartbeat has arrived', () => {
  const outgoing = new Outgoing()
  pushed(outgoing, 'a')
  outgoing.take()
  outgoing.beat()
  pushed(outgoing, 'b')
  outgoing.take()
  outgoing.beat()
  outgoing.echoed()
  outgoing.broken()
  assert.deepEqual(names(outgoing.take()), ['b'])
})

test('an echo that nobody waits for changes nothing', () => {
  const outgoing = new Outgoing()
  pushed(outgoing, 'a')
  outgoing.take()
  outgoing.echoed()
  outgoing.broken()
  assert.deepEqual(names(outgoing.take()), ['a'])
})

test('a full queue loses its oldest update and says so', () => {
  const outgoing = new Outgoing(2)
  assert.deepEqual(pushed(outgoing, 'a', 'b', 'c'), [true, true, false])
  assert.deepEqual(names(outgoing.take()), ['b', 'c'])
  outgoing.broken()
  pushed(outgoing, 'd')
  assert.deepEqual(names(outgoing.take()), ['c', 'd'])
})
