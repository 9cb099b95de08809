/**
 * The grammar of the gate: what a database server may say, and that nothing else is heard.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { recoveryExitCode } from '../../../src/cli/recovery-exit-code.ts'
import { BackstayError, isBackstayError } from '../../../src/errors/backstay-error.ts'
import { parseGateRequest } from '../../../src/service/gate-request.ts'

const SEGMENT = '000000010000000000000001'

test('the gate understands hello, read, wal push and wal get', () => {
  assert.deepEqual(parseGateRequest('hello'), { request: 'hello' })
  assert.deepEqual(parseGateRequest('read'), { request: 'read' })
  const push = { request: 'push', name: SEGMENT, sizeBytes: 16_777_216 }
  assert.deepEqual(parseGateRequest(`wal push ${SEGMENT} 16777216`), push)
  // Some wc print their number in a column.
  assert.deepEqual(parseGateRequest(`wal push ${SEGMENT}   16777216`), push)
  assert.deepEqual(parseGateRequest('wal get 00000002.history'), {
    request: 'get',
    name: '00000002.history',
  })
})

for (const text of [
  undefined,
  '',
  'sh',
  'hello; id',
  'hello\n',
  `wal push ${SEGMENT}`,
  `wal push ${SEGMENT} 99999999999`,
  `wal push ${SEGMENT} 2000000000`,
  `wal push ${SEGMENT} 1 2`,
  `wal push ../${SEGMENT} 16777216`,
  `wal push id.pub 100`,
  `wal get ${SEGMENT} /tmp/x`,
  'wal get $(id)',
  'wal get --repository',
  'wal get 00000002.history\nid',
  'wal list',
  'scp -t /',
]) {
  test(`the gate refuses ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parseGateRequest(text),
      (error) => isBackstayError(error, 'HOST_PRIVILEGE') && !error.message.includes('\n'),
    )
  })
}

test('whatever is asked, only names of WAL files get through', () => {
  const word = fc.constantFrom(
    'wal',
    'push',
    'get',
    'read',
    'hello',
    SEGMENT,
    '00000002.history',
    '16777216',
    '-1',

    '../',
    '/',
    '.',
    ';',
    '$(id)',
    '\n',
    '\0',
    '--',
    '*',
    '0',
    '1e9',
    '0x10',
    `${SEGMENT}.partial`,
  )
  const request = fc.array(fc.oneof(word, word, fc.string({ maxLength: 4 })), { maxLength: 6 })
  fc.assert(
    fc.property(request, fc.constantFrom(' ', '  ', '', '\t'), (words, blank) => {
      try {
        const found = parseGateRequest(words.join(blank))
        if ('name' in found) assert.match(found.name, /^[0-9A-F]{8}([0-9A-F]{16}\S*|\.history)$/)
        if ('name' in found) assert.doesNotMatch(found.name, /[^0-9A-Za-z.]|\.\./)
        if (found.request === 'push') assert.ok(Number.isSafeInteger(found.sizeBytes))
      } catch (error) {
        assert.ok(isBackstayError(error, 'HOST_PRIVILEGE'), String(error))
        assert.doesNotMatch(error.message, /[\n\0]/)
      }
    }),
    { numRuns: 20_000 },
  )
})

test('the gate ends with 1 for a file that is not held, and stops recovery for everything else', () => {
  const words = ['gate', '--repository', '/vault', '--cluster', 'shop']
  assert.equal(recoveryExitCode(words, new BackstayError('WAL_MISSING', 'not held')), 1)
  assert.equal(recoveryExitCode(words, new BackstayError('STORE', 'a disk failed')), 126)
})
