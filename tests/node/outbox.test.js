import assert from 'node:assert/strict'
import fs from 'node:fs'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'

import { JournalDamaged, readRecords } from '../../router/node/wire/journal.js'
import { DiskOutbox, MemoryOutbox } from '../../router/node/door/outbox.js'
import { Envelope } from '../../router/node/wire/protocol.js'

/** @type {string} */
let directory
beforeEach(() => (directory = mkdtempSync(path.join(os.tmpdir(), 'falsework-outbox-'))))
afterEach(() => rmSync(directory, { recursive: true }))

const ignore = () => {}
const file = () => path.join(directory, 'outbox.jsonl')
const openOutbox = () => new DiskOutbox(file(), ignore, ignore)
const envelope = (/** @type {unknown} */ data) => new Envelope('submit_unit', 'a1', JSON.stringify(data), null, 1)
const heldBy = (/** @type {import('../../router/node/door/outbox.js').Outbox} */ outbox) =>
  Array.from(outbox.after(0), held => JSON.parse(outbox.read(held)).data)

test('what was put is numbered without gaps and held until it is acknowledged', async () => {
  const outbox = openOutbox()
  await Promise.all([1, 2, 3].map(data => outbox.put(envelope(data))))
  assert.deepEqual(heldBy(outbox), [1, 2, 3])
  outbox.acknowledge('another', 3)
  assert.equal(outbox.held, 3)
  outbox.acknowledge(outbox.routerEpoch, 2)
  assert.deepEqual(Array.from(outbox.after(0), held => held.number), [3])
  await outbox.close()
})

test('a router that comes back goes on where the file ends', async () => {
  const first = openOutbox()
  await Promise.all(['é', 'two', 'three'].map(data => first.put(envelope(data))))
  first.acknowledge(first.routerEpoch, 1)
  await first.close()
  const second = openOutbox()
  assert.equal(second.routerEpoch, first.routerEpoch)
  assert.deepEqual(heldBy(second), ['two', 'three'])
  await second.put(envelope('four'))
  assert.deepEqual(Array.from(second.after(3), held => held.number), [4])
  await second.close()
})

test('a torn last line is cut off, and its number is given again', async () => {
  const first = openOutbox()
  await first.put(envelope('whole'))
  await first.close()
  fs.appendFileSync(file(), '{"packet_type":"submit_unit","number":2,"da')
  const second = openOutbox()
  assert.deepEqual(heldBy(second), ['whole'])
  await second.put(envelope('next'))
  await second.close()
  assert.deepEqual(readRecords(file()).records.map(({ line }) => JSON.parse(line.toString()).number), [undefined, 1, 2])
})

test('damage anywhere else is an error that names the line, and changes nothing', async () => {
  const outbox = openOutbox()
  await outbox.put(envelope(1))
  await outbox.close()
  const damaged = `${fs.readFileSync(file())}what is this\n{"acked":1}\n`
  fs.writeFileSync(file(), damaged)
  assert.throws(openOutbox, error => error instanceof JournalDamaged && /outbox\.jsonl:3/.test(error.message))
  assert.equal(fs.readFileSync(file(), 'utf8'), damaged)
})

test('data with line breaks between its parts stays one record', async () => {
  const outbox = openOutbox()
  await outbox.put(new Envelope('submit_unit', 'a1', '{\n"a":\n1}', null, 1))
  assert.deepEqual(heldBy(outbox), [{ a: 1 }])
  await outbox.close()
  assert.equal(readRecords(file()).records.length, 2)
})

test('uploads are released with the packet that speaks of them', async () => {
  /** @type {string[][]} */
  const released = []
  const outbox = new DiskOutbox(file(), ignore, files => released.push(files))
  const large = envelope({})
  large.dataFile = 'large.json'
  await outbox.put(large)
  outbox.acknowledge(outbox.routerEpoch, 1)
  assert.deepEqual(released, [['large.json']])
  await outbox.close()
})

test('in memory, put resolves with the acknowledgement', async () => {
  const outbox = new MemoryOutbox(ignore, ignore)
  let isSafe = false
  const put = outbox.put(envelope(1)).then(() => (isSafe = true))
  await new Promise(setImmediate)
  assert.equal(isSafe, false)
  assert.deepEqual(heldBy(outbox), [1])
  outbox.acknowledge(outbox.routerEpoch, 1)
  await put
  assert.equal(outbox.held, 0)
})
