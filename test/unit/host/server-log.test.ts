/**
 * Which lines of a log are told.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { meetsLeftovers, portInUse } from '../../../src/host/start-error.ts'
import { tellingLines } from '../../../src/host/server-log.ts'

test('the reason of a failed start comes with what stands just before it', () => {
  const noise = Array.from({ length: 50 }, (_, index) => `LOG:  line ${index}`)
  const log = [...noise, 'LOG:  invalid value', 'FATAL:  no', 'LOG:  shut down', ''].join('\n')
  const told = tellingLines(log).split('\n')
  assert.deepEqual(told.slice(-3), ['LOG:  invalid value', 'FATAL:  no', 'LOG:  shut down'])
  assert.ok(told.length <= 12)
})

test('without a reason the end is told', () => {
  assert.equal(tellingLines('a\nb\nc\n', 2), 'b\nc')
})

test('a taken port is recognised as all versions word it', () => {
  const hint =
    'Is another postmaster already running on port 5433? If not, wait a few seconds and retry.'
  const old = `LOG:  could not bind IPv4 address "127.0.0.1": Address already in use\nHINT:  ${hint}`
  assert.equal(portInUse(old), 5433)
  assert.equal(portInUse('FATAL:  no'), undefined)
})

test('what a crashed server left is recognised', () => {
  assert.ok(
    meetsLeftovers('FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use'),
  )
  assert.ok(meetsLeftovers('FATAL:  lock file "postmaster.pid" already exists'))
  assert.ok(!meetsLeftovers('FATAL:  no'))
})
