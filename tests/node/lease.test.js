import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CLOSED, DRAINING, EXPIRED, IDLE, Lease, OPEN, UNHEARD } from '../../router/node/board/lease.js'

test('a lease runs out unheard, and any word opens it again', () => {
  const lease = new Lease(10, 100, 0)
  assert.equal(lease.admission(10), OPEN)
  assert.equal(lease.admission(11), UNHEARD)
  lease.renew(12, 5)
  assert.deepEqual([lease.admission(17), lease.admission(18)], [OPEN, UNHEARD])
})

test('what is held keeps the server for the grace, and no longer', () => {
  const lease = new Lease(10, 100, 0)
  assert.equal(lease.isOver(10, 0, false), false)
  assert.equal(lease.isOver(11, 0, true), true)
  assert.equal(lease.isOver(110, 1, false), false)
  assert.equal(lease.isOver(111, 1, true), true)
})

test('a launcher that leaves for good is not overruled by a later drain', () => {
  const lease = new Lease(10, 100, 0)
  lease.drain()
  assert.equal(lease.admission(1), DRAINING)
  assert.equal(lease.isOver(1, 0, true), false)
  lease.end()
  lease.drain()
  assert.equal(lease.admission(1), CLOSED)
  assert.equal(lease.isOver(1, 0, true), true)
})

test('a server without a word from any worker closes, and opens with the next word', () => {
  const lease = new Lease(1000, 100, 0, { idleTimeout: 5 })
  assert.equal(lease.admission(6), IDLE)
  lease.workerHeard(6)
  assert.equal(lease.admission(11), OPEN)
})

test('a server that is as old as it may get ends, and an attached launcher may do it first', () => {
  const lease = new Lease(1000, 100, 0, { lifetimeLeft: 20 })
  assert.equal(lease.admission(21), EXPIRED)
  assert.equal(lease.isOver(21, 0, false), true)
  assert.equal(lease.isOver(80, 0, true), false)
  assert.equal(lease.isOver(81, 0, true), true)
  assert.equal(lease.isOver(120, 1, false), false)
})

test('what the launcher asked for, and when anybody was heard, passes over to the next router', () => {
  const lease = new Lease(10, 100, 0)
  lease.renew(5, 20)
  lease.workerHeard(6)
  lease.drain()
  const next = new Lease(10, 100, 8, { before: lease.state })
  assert.deepEqual(next.state, { heard: 5, seconds: 20, worked: 6, asked: DRAINING })
  assert.deepEqual([next.admission(25), next.admission(26)], [DRAINING, UNHEARD])
})
