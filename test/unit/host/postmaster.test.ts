/**
 * Reading postmaster.pid.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePostmasterPid } from '../../../src/host/postmaster.ts'

test('a running server is described by its eight lines', () => {
  const text =
    '4711\n/data/db1\n1700000000\n5432\n/run/postgresql\n127.0.0.1\n  5432001     65536\nready   \n'
  assert.deepEqual(parsePostmasterPid(text), {
    pid: 4711,
    startedAtMs: 1_700_000_000_000,
    port: 5432,
    socketDirectory: '/run/postgresql',
    listenAddress: '127.0.0.1',
    state: 'ready',
  })
})

test('a server that has written only a part is starting', () => {
  const found = parsePostmasterPid('4711\n/data/db1\n1700000000\n5432\n\n')
  assert.deepEqual(
    [found?.state, found?.socketDirectory, found?.listenAddress],
    ['starting', undefined, undefined],
  )
})

test('a stand-alone backend holds the directory, too', () => {
  assert.equal(parsePostmasterPid('-4711\n/data/db1\n')?.pid, 4711)
})

test('an empty or damaged file names nobody', () => {
  for (const text of ['', '\n', 'x\n', '0\n', '12x\n'])
    assert.equal(parsePostmasterPid(text), undefined)
})
