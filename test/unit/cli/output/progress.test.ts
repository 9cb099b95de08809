/**
 * Progress says bytes, rate and the time that is left, and never more than it knows.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderProgress } from '../../../../src/cli/output/progress.ts'

const GB = 1024 ** 3

test('with a total it shows share, rate and time left', () => {
  assert.equal(
    renderProgress({ doneBytes: GB, totalBytes: 4 * GB, elapsedMs: 2000 }),
    '█████░░░░░░░░░░░░░░░  25 %  1.0 GB of 4.0 GB  512 MB/s  6.0 s left',
  )
})

test('without a total it shows bytes and rate', () => {
  assert.equal(
    renderProgress({ doneBytes: GB, totalBytes: undefined, elapsedMs: 1000 }),
    '1.0 GB  1.0 GB/s',
  )
})

test('at the beginning it promises nothing', () => {
  assert.equal(
    renderProgress({ doneBytes: 0, totalBytes: GB, elapsedMs: 0 }),
    '░░░░░░░░░░░░░░░░░░░░   0 %  0 B of 1.0 GB  0 B/s',
  )
})

test('more bytes than were announced are no more than everything', () => {
  assert.match(
    renderProgress({ doneBytes: 2 * GB, totalBytes: GB, elapsedMs: 1000 }),
    /^█{20} 100 % {2}2\.0 GB of 1\.0 GB {2}2\.0 GB\/s$/,
  )
})
