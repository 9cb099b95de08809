/**
 * JSON results are one object and a newline.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderJson } from '../../../../src/cli/output/json.ts'

test('JSON is one line in a pipe and indented on a terminal', () => {
  assert.equal(renderJson({ a: 1n, b: [] }, false), '{"a":"1","b":[]}\n')
  assert.equal(renderJson({ a: 1 }, true), '{\n  "a": 1\n}\n')
})
