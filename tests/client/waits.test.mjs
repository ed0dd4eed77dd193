import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoff, pause, retryAfter } from '../../router/client/falsework_waits.js'

test('the waits double up to the longest', () => {
  const waits = [0, 1, 2, 3, 10, 100].map(attempt => backoff(attempt, { random: () => 1 }))
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 30_000, 30_000])
})

test('jitter takes off up to half, so that not everybody comes back at once', () => {
  assert.equal(backoff(1, { random: () => 0 }), 500)
  assert.equal(backoff(1, { random: () => 0.5 }), 750)
})

test('Retry-After is read as seconds, as a date, and not at all', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  assert.equal(retryAfter('10'), 10_000)
  assert.equal(retryAfter('Thu, 01 Jan 2026 00:00:20 GMT', now), 20_000)
  assert.equal(retryAfter('Thu, 01 Jan 2025 00:00:20 GMT', now), 0)
  for (const nothing of [null, '', 'soon', '-5']) assert.equal(retryAfter(nothing, now), 0)
})

test('no server makes a page wait for longer than five minutes', () => {
  assert.equal(retryAfter('86400'), 300_000)
})

test('a pause ends as soon as the browser is online again', async context => {
  const listeners = {}
  globalThis.addEventListener = (type, listener) => (listeners[type] = listener)
  globalThis.removeEventListener = type => delete listeners[type]
  context.after(() => [delete globalThis.addEventListener, delete globalThis.removeEventListener])
  const waiting = pause(3_600_000)
  listeners.online()
  await waiting
  assert.deepEqual(listeners, {})
})
