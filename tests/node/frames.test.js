import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as ws from '../../router/node/node_modules/ws/wrapper.mjs'

import { textFrame } from '../../router/node/door/frames.js'

const { Receiver } = /** @type {any} */ (ws) // its types leave it out

/** What ws reads from a frame. @param {Buffer} frame @returns {Promise<string>} */
function read(frame) {
  return new Promise((resolve, reject) => {
    new Receiver().on('message', (/** @type {Buffer} */ content) => resolve(content.toString())).on('error', reject).write(frame)
  })
}

test('a frame of any length is what ws reads', async () => {
  for (const length of [0, 1, 125, 126, 65_535, 65_536, 200_000]) {
    assert.equal(await read(textFrame('x'.repeat(length))), 'x'.repeat(length))
  }
})

test('a frame carries any text', async () => {
  for (const message of ['é', 'a\u{1f600}b', 'ÿ'.repeat(100), '\u4e2d'.repeat(30_000)]) {
    assert.equal(await read(textFrame(message)), message)
  }
})
