/**
 * When a server that did not come up is said to have found no room.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findTightDisk, isDiskFull } from '../../../src/host/full-disk.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { sinceStart } from '../../../src/host/server-log.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const disk = (freeBytes: number) => ({ directory: '/data', freeBytes })
const NO_SPACE = 'FATAL:  could not write lock file "postmaster.pid": No space left on device\n'

test('a log that says so is believed, unless there is plenty of room now', () => {
  assert.equal(isDiskFull(NO_SPACE, disk(3 * 1024 ** 2)), true)
  assert.equal(isDiskFull(NO_SPACE, disk(50 * 1024 ** 3)), false)
  assert.equal(isDiskFull('FATAL:  could not extend file: Disk quota exceeded', disk(2e12)), true)
})

test('a log that could say nothing leaves it to the disk; one that names another reason does not', () => {
  assert.equal(isDiskFull('', disk(0)), true)
  assert.equal(isDiskFull('', disk(12 * 1024 ** 2)), false)
  assert.equal(isDiskFull('FATAL:  could not load server certificate file', disk(0)), false)
})

test('what the log said before the last start is not taken for it', () => {
  const last = 'LOG:  starting PostgreSQL 15.18 on x\nLOG:  listening\n'
  assert.equal(sinceStart(`LOG:  starting PostgreSQL 15.18 on x\n${NO_SPACE}${last}`), last)
  const of11 = 'LOG:  database system was shut down in recovery at 12:00\nLOG:  ready\n'
  assert.equal(sinceStart(`${NO_SPACE}${of11}`), of11)
  assert.equal(sinceStart('LOG:  something\n'), 'LOG:  something\n')
})

test('a data directory that can be looked at has a disk, one that is not there none', async () => {
  await using work = temporaryDirectory()
  const host = new LocalHost('localhost')
  const found = await findTightDisk(host, work.path)
  assert.equal(found?.directory, work.path)
  assert.ok(found.freeBytes > 0)
  assert.equal(await findTightDisk(host, `${work.path}/none`), undefined)
})
