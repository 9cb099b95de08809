import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { ErrorCode } from '../../../src/errors/codes.ts'
import type { BackupId } from '../../../src/repository/backup-info.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { checkLinked, decideFill, type FoundDirectory } from '../../../src/restore/directory.ts'
import type { RestoreLayout } from '../../../src/restore/layout.ts'
import { MARKER_NAME, type RestoreMarker, writeMarker } from '../../../src/restore/marker.ts'
import { thisProcess } from '../../../src/util/process-identity.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const self = thisProcess()
const MARKER: RestoreMarker = {
  directory: '/data',
  cluster: 'shop',
  backup: '20260101T000000' as BackupId,
  systemIdentifier: '1',
  startedAt: '2026-01-01T00:00:00.000Z',
  holder: { ...self, startTicks: self.startTicks + 1 },
}
const NOTHING: FoundDirectory = {
  names: [],
  marker: undefined,
  systemIdentifier: undefined,
  hasControl: false,
  postmaster: undefined,
}

function decide(found: Partial<FoundDirectory>, isDelta = false): string {
  try {
    return decideFill('/data', { ...NOTHING, ...found }, { isDelta, systemIdentifier: '1' })
  } catch (error) {
    assert.ok(isBackstayError(error))
    return error.code satisfies ErrorCode
  }
}

test('an empty directory is filled, with delta too', () => {
  assert.equal(decide({}), 'fresh')
  assert.equal(decide({}, true), 'fresh')
})

test('what an unfinished restore left is emptied, or with delta corrected', () => {
  const half = { names: ['base', MARKER_NAME], marker: MARKER }
  assert.equal(decide(half), 'redo')
  assert.equal(decide(half, true), 'delta')
  assert.equal(decide({ names: [`.${MARKER_NAME}.12.tmp`] }), 'redo')
  const foreign = { ...half, marker: { ...MARKER, systemIdentifier: '2' } }
  assert.equal(decide(foreign), 'redo')
  assert.equal(decide(foreign, true), 'POSTGRES_IDENTITY')
})

test('a directory that holds a cluster is only touched with delta, and only when it is this cluster', () => {
  const cluster = { names: ['PG_VERSION', 'global'], systemIdentifier: '1', hasControl: true }
  assert.equal(decide(cluster), 'DIRECTORY_FOREIGN')
  assert.equal(decide(cluster, true), 'delta')
  assert.equal(decide({ ...cluster, systemIdentifier: '2' }, true), 'POSTGRES_IDENTITY')
  assert.equal(decide({ ...cluster, systemIdentifier: 'unreadable' }, true), 'POSTGRES_IDENTITY')
  assert.equal(decide({ ...cluster, marker: MARKER }), 'DIRECTORY_FOREIGN')
})

test('anything else that is not empty is refused, with delta too', () => {
  assert.equal(decide({ names: ['precious'] }), 'DIRECTORY_FOREIGN')
  assert.equal(decide({ names: ['precious'] }, true), 'DIRECTORY_FOREIGN')
})

test('a running server and a restore at work are refused whatever is there', () => {
  const postmaster = {
    pid: 1,
    startedAtMs: undefined,
    port: 5432,
    socketDirectory: undefined,
    listenAddress: undefined,
    state: 'ready',
  } as const
  assert.equal(decide({ names: ['base'], postmaster }, true), 'SERVER_RUNNING')
  // The test runner's parent lives as long as this process.
  const parent = { ...MARKER, holder: { ...self, ...livingOther() } }
  assert.equal(decide({ names: [MARKER_NAME], marker: parent }), 'REPOSITORY_LOCKED')
})

test('a restore whose process cannot be seen from here is not overrun, and the way on is said', () => {
  const holder = { ...MARKER.holder, host: 'elsewhere/1' }
  const found = { ...NOTHING, names: ['base', MARKER_NAME], marker: { ...MARKER, holder } }
  for (const isDelta of [false, true]) {
    assert.throws(
      () => decideFill('/data', found, { isDelta, systemIdentifier: '1' }),
      (error: unknown) => {
        assert.ok(isBackstayError(error, 'REPOSITORY_LOCKED'))
        assert.match(error.message, /pid \d+ on host "elsewhere" may still be restoring backup/)
        assert.match(error.hint, /empty "\/data"/)
        return true
      },
    )
  }
})

function livingOther(): { pid: number; startTicks: number } {
  const stat = readFileSync(`/proc/${process.ppid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { pid: process.ppid, startTicks: Number(fields[19]) }
}

test('a mark in a tablespace is believed only beside one of the data directory', async () => {
  await using base = temporaryDirectory()
  const [directory, space] = [join(base.path, 'data'), join(base.path, 'space')]
  for (const path of [directory, space]) mkdirSync(path)
  writeFileSync(join(space, 'kept'), 'somebody else’s')
  await writeMarker(space, { ...MARKER, directory })
  const tablespaces = [{ oid: 16_385, directory: space, location: space, isNamed: true }]
  const layout: RestoreLayout = { directory, tablespaces, inside: [] }
  const host = new LocalHost('here')
  await assert.rejects(checkLinked(host, layout, 'fresh'), { code: 'DIRECTORY_FOREIGN' })
  assert.deepEqual(await checkLinked(host, layout, 'redo'), [space])
})
