/**
 * Python's own spelling of values, as Barman writes its metadata, read by us.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parsePythonLiteral } from '../../../src/barman/import/python-literal.ts'

const VALUES = 2000
const REPR = 'import json,sys; print(json.dumps([repr(v) for v in json.load(sys.stdin)]))'
const isThere = spawnSync('python3', ['--version']).status === 0

const leaf = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.string({
    unit: fc.constantFrom(...Array.from(`'"\\\n\r\t\0\u0007\u0080\u2028ü☃😀nx`)),
    maxLength: 10,
  }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
)
const key = fc.string({
  unit: fc.constantFrom(...Array.from(`'"\\\nabü`)),
  minLength: 1,
  maxLength: 6,
})
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
  ),
}))

test(
  'what Python prints of a value is read as that value',
  {
    skip: !isThere && 'python3 is not installed',
  },
  (t) => {
    const seed = Math.floor(Math.random() * 1e9)
    t.diagnostic(`seed ${seed}`)
    const values = fc.sample(tree, { numRuns: VALUES, seed })
    const { stdout, stderr } = spawnSync('python3', ['-c', REPR], {
      input: JSON.stringify(values),
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    })
    const spelled = JSON.parse(stdout || assert.fail(stderr)) as string[]
    assert.equal(spelled.length, VALUES)
    for (const [index, text] of spelled.entries()) {
      // JSON is the judge: a dictionary of ours has no prototype.
      assert.equal(JSON.stringify(parsePythonLiteral(text)), JSON.stringify(values[index]), text)
    }
  },
)

test('what Python would not print is no value', () => {
  for (const text of ["'\\U00110000'", "'\\UFFFFFFFF'", 'constructor', "'\\u12'", "'\\c'"]) {
    assert.equal(parsePythonLiteral(text), undefined, text)
  }
})
