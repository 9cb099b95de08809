/**
 * Who may write the repository puts a pipe, or a long file of nothing, in the place of an object that is read whole.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../../src/util/clock.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { readCatalogue } from '../../../src/repository/catalogue.ts'
import {
  claimCluster,
  createRepository,
  openCluster,
} from '../../../src/repository/cluster-repository.ts'
import { clusterNames } from '../../../src/repository/format.ts'
import { WalObjects } from '../../../src/repository/wal-objects.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { readReceiverStatus } from '../../../src/wal/receiver-status.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const MB = 1024 * 1024
const names = clusterNames('shop')
const SEGMENT = '000000010000000000000001'
const ID = '20260101T000000'

type Read = (store: DiskStore) => Promise<unknown>

/** An object of each kind that is read whole, and who reads it. */
const OBJECTS: readonly (readonly [string, Read])[] = [
  ['repository.json', async (store) => openCluster(store, 'shop', systemClock)],
  [
    names.walSegment(SEGMENT),
    async (store) => new WalObjects(store, names, 16 * MB).getSegment(SEGMENT),
  ],
  [names.walHistory(2), async (store) => new WalObjects(store, names, 16 * MB).getHistory(2)],
]

function place(directory: string, name: string): string {
  const path = join(directory, name)
  mkdirSync(dirname(path), { recursive: true })
  rmSync(path, { force: true })
  return path
}

for (const [name, read] of OBJECTS) {
  test(`a pipe as "${name}" is told of, not waited for; a long file is not read`, async () => {
    await using directory = temporaryDirectory()
    const store = new DiskStore(directory.path)
    execFileSync('mkfifo', [place(directory.path, name)])
    await assert.rejects(
      read(store),
      (error) =>
        isBackstayError(error, 'REPOSITORY_DAMAGED') && /is no regular file/.test(error.message),
    )
    const path = place(directory.path, name)
    writeFileSync(path, '')
    truncateSync(path, 1024 * MB)
    await assert.rejects(
      read(store),
      (error) =>
        isBackstayError(error, 'REPOSITORY_DAMAGED') && /1073741824 bytes/.test(error.message),
    )
  })
}

test('one backup whose backup.json is a long file, or a pipe, is damaged, and the list goes on', async () => {
  await using directory = temporaryDirectory()
  const store = new DiskStore(directory.path)
  await createRepository(store, systemClock)
  const server = { systemIdentifier: '1', major: 18 as const, segmentBytes: 16 * MB }
  const cluster = await claimCluster({ store, name: 'shop', server, clock: systemClock })
  const path = place(directory.path, names.backupInfo(ID as never))
  writeFileSync(path, '')
  truncateSync(path, 1024 * MB)
  assert.equal((await readCatalogue(cluster)).damaged.length, 1)
  execFileSync('mkfifo', [place(directory.path, names.backupInfo(ID as never))])
  assert.equal((await readCatalogue(cluster)).damaged.length, 1)
})

test('a pipe as the status of the receiver is no status', async () => {
  await using directory = temporaryDirectory()
  execFileSync('mkfifo', [join(directory.path, 'status.json')])
  assert.equal(await readReceiverStatus(directory.path), undefined)
})
