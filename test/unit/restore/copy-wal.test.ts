import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Lsn, parseLsn } from '../../../src/postgres/lsn.ts'
import { walFilesOf } from '../../../src/restore/path-files.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024

function lsn(text: string): Lsn {
  return parseLsn(text) as Lsn
}

function filesOf(path: Parameters<typeof walFilesOf>[0]['path'], end: string): readonly string[] {
  const wal = { startLsn: path[0].from, endLsn: lsn(end), bytes: 0, segments: 0 }
  return walFilesOf({ path, wal }, SEGMENT_BYTES)
}

test('one timeline: every segment from the first byte to the last, and no history file', () => {
  const path = [{ timeline: 1, from: lsn('0/4000028'), to: undefined }] as const
  assert.deepEqual(filesOf(path, '0/6000001'), [
    '000000010000000000000004',
    '000000010000000000000005',
    '000000010000000000000006',
  ])
})

test('WAL that ends on a border does not ask for the segment behind it', () => {
  const path = [{ timeline: 1, from: lsn('0/4000028'), to: undefined }] as const
  assert.deepEqual(filesOf(path, '0/6000000'), [
    '000000010000000000000004',
    '000000010000000000000005',
  ])
})

test('through a switch: the segment of the switch under both names, and the history of the new timeline', () => {
  const path = [
    { timeline: 1, from: lsn('0/4000028'), to: lsn('0/5000100') },
    { timeline: 2, from: lsn('0/5000100'), to: undefined },
  ] as const
  assert.deepEqual(filesOf(path, '0/6000100'), [
    '000000010000000000000004',
    '000000010000000000000005',
    '00000002.history',
    '000000020000000000000005',
    '000000020000000000000006',
  ])
})

test('a part that begins where the wished end lies behind it asks for nothing', () => {
  const path = [
    { timeline: 1, from: lsn('0/4000028'), to: lsn('0/5000100') },
    { timeline: 2, from: lsn('0/5000100'), to: undefined },
  ] as const
  assert.deepEqual(filesOf(path, '0/4000100'), ['000000010000000000000004', '00000002.history'])
})
