import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Counters } from '../../router/node/board/counters.js'
import { CutOff, refusalOf, refuseWhatIsNotHttp } from '../../router/node/door/refusals.js'
import { refusals } from '../../router/node/wire/agreed.js'
import { Malformed, Refused } from '../../router/node/wire/errors.js'

/** A connection that keeps what is written to it. @param {boolean} writable */
function connection(writable) {
  return {
    writable,
    written: '',
    isDestroyed: false,
    /** @param {string} text */
    write(text) {
      this.written += text
    },
    destroy() {
      this.isDestroyed = true
    }
  }
}

test('what is no HTTP is answered in one line, counted, and cut off', () => {
  for (const [code, status] of Object.entries({ HPE_INVALID_METHOD: 400, HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 })) {
    const counters = new Counters()
    const peer = connection(true)
    refuseWhatIsNotHttp(counters)(Object.assign(new Error(), { code }), /** @type {any} */ (peer))
    assert.match(peer.written, new RegExp(`^HTTP/1.1 ${status} [A-Z][^]*Connection: close`))
    assert.deepEqual([peer.isDestroyed, counters.get('refused_not_http')], [true, 1])
  }
})

test('nothing is written to who has gone', () => {
  for (const [code, writable] of /** @type {const} */ ([['ECONNRESET', true], ['HPE_INVALID_METHOD', false]])) {
    const peer = connection(writable)
    refuseWhatIsNotHttp(new Counters())(Object.assign(new Error(), { code }), /** @type {any} */ (peer))
    assert.deepEqual([peer.isDestroyed, peer.written], [true, ''])
  }
})

test('each error has its status, and no page is told of a defect', () => {
  assert.equal(refusalOf(new Refused(refusals.already_taken)).status, 409)
  assert.deepEqual([refusalOf(new Malformed('what?')).status, refusalOf(new CutOff()).error], [400, 'cut_off'])
  assert.equal(refusalOf(Object.assign(new Error('no'), { statusCode: 415 })).status, 415)
})
