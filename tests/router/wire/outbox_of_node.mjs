/* The outbox's file as the router in Node writes and reads it: `node outbox_of_node.mjs write FILE` puts the envelopes of a JSON
   list on standard input, and acknowledges the first; `read FILE` says what the file holds. */

import fs from 'node:fs'

import { DiskOutbox } from '../../../router/node/door/outbox.js'
import { readRecords } from '../../../router/node/wire/journal.js'
import { readOutbox } from '../../../router/node/wire/outbox_file.js'
import { Envelope } from '../../../router/node/wire/protocol.js'

const [verb, file] = process.argv.slice(2)
const say = said => process.stdout.write(JSON.stringify(said))

if (verb === 'write') {
  const outbox = new DiskOutbox(file, () => {}, () => {})
  const envelopes = JSON.parse(fs.readFileSync(0, 'utf8')).map(({ subject, data, ...rest }) =>
    Object.assign(new Envelope('submit_unit', subject, JSON.stringify(data), 1.5, 2.5), rest)
  )
  await Promise.all(envelopes.map(envelope => outbox.put(envelope)))
  outbox.acknowledge(outbox.routerEpoch, 1)
  await outbox.close()
  say(outbox.routerEpoch)
} else {
  const { records } = readRecords(file)
  const contents = readOutbox(file, records)
  const lines = new Map(records.map(({ offset, line }) => [offset, line.toString()]))
  const held = contents.held.map(({ number, offset, files }) => ({ number, files, packet: JSON.parse(lines.get(offset)) }))
  say({ ...contents, held, submitted: Object.fromEntries(contents.submitted) })
}
