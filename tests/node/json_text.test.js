import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Malformed } from '../../router/node/wire/errors.js'
import { fieldOf, fieldsOf, itemsOf, objectText } from '../../router/node/wire/json_text.js'

test('a field is cut out as it was written', () => {
  const json = ' { "a" : 1.50 , "data":{"big": 12345678901234567890, "s": "}\\"{" } ,"z":[ ]}'
  assert.equal(fieldOf(json, 'data'), '{"big": 12345678901234567890, "s": "}\\"{" }')
  assert.equal(fieldOf(json, 'a'), '1.50')
  assert.equal(fieldOf(json, 'z'), '[ ]')
  assert.equal(fieldOf(json, 'none'), undefined)
  assert.equal(fieldOf('{}', 'a'), undefined)
})

test('of fields with one name the last counts, and escapes in names are read', () => {
  assert.equal(fieldOf('{"a":1,"a":2}', 'a'), '2')
  assert.equal(fieldOf('{"d\\u0061ta":true}', 'data'), 'true')
  assert.equal(fieldOf('{"a\\\\":"x","b":null}', 'b'), 'null')
})

test('strings may end in backslashes', () => {
  assert.equal(fieldOf('{"a":"\\\\","b":"\\\\\\"","c":3}', 'c'), '3')
})

test('names like __proto__ are only names', () => {
  const fields = fieldsOf('{"__proto__":1,"constructor":{"x":2}}')
  assert.deepEqual([...fields], [['__proto__', '1'], ['constructor', '{"x":2}']])
  assert.equal(objectText(fields), '{"__proto__":1,"constructor":{"x":2}}')
})

test('the items of an array are found, whatever they are', () => {
  const json = '[ {"a":[1,"]"]} ,2, "x" , [] ]'
  assert.deepEqual(itemsOf(json).map(start => json[start]), ['{', '2', '"', '['])
  assert.deepEqual(itemsOf('[]'), [])
})

test('what is nested too deep for its readers is refused', () => {
  const nested = (/** @type {number} */ depth) => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`
  assert.equal(fieldOf(nested(900), 'a')?.length, 1800)
  assert.throws(() => fieldOf(nested(901), 'a'), Malformed)
})

test('whatever JSON.stringify writes is cut where it must be', () => {
  const values = [0, -1.5e-7, '', '"', '\\', '{[,:]}', 'é😀\u2028', true, null, [], {}, [[]], { '': [{}] }, { 'a"b': ['\\"'] }]
  for (const space of [undefined, 2]) {
    const json = JSON.stringify(Object.fromEntries(values.map((value, index) => [`key ${index}`, value])), null, space)
    values.forEach((value, index) => {
      assert.deepEqual(JSON.parse(fieldOf(json, `key ${index}`) ?? ''), value)
    })
  }
})
