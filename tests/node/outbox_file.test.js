import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'

import { JournalDamaged, readRecords } from '../../router/node/wire/journal.js'
import { readOutbox } from '../../router/node/wire/outbox_file.js'

/** Files and what they hold, as tests/router/wire/test_outbox_file.py reads them too. */
const VECTORS = JSON.parse(fs.readFileSync(new URL('../router/wire/outbox_files.json', import.meta.url), 'utf8'))

/** @type {string} */
let file
beforeEach(() => (file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'falsework-outbox-')), 'outbox.jsonl')))
afterEach(() => fs.rmSync(path.dirname(file), { recursive: true }))

const contents = () => readOutbox(file, readRecords(file).records)

for (const vector of VECTORS) {
  test(vector.name, () => {
    fs.writeFileSync(file, vector.content)
    if (vector.empty) return assert.deepEqual(readRecords(file), { records: [], end: 0 })
    if (vector.damaged) {
      const { message } = new JournalDamaged(file, vector.damaged)
      return assert.throws(contents, error => error instanceof JournalDamaged && error.message === message)
    }
    const { routerEpoch, next, held, submitted } = contents()
    assert.deepEqual([routerEpoch, next], [vector.router_epoch, vector.next])
    assert.deepEqual(held.map(({ number }) => number), vector.held)
    assert.deepEqual(Object.fromEntries(submitted), vector.submitted ?? {})
    const content = fs.readFileSync(file)
    for (const { number, offset, length, files } of held) {
      assert.equal(JSON.parse(content.subarray(offset, offset + length).toString()).number, number)
      assert.deepEqual(files, vector.files?.[number] ?? [])
    }
  })
}
