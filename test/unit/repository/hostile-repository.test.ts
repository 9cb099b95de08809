/**
 * Who may write the repository puts a pipe, or a long file of nothing, in the place of an object that is read whole, or an object that says what cannot be.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../../src/util/clock.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { strangeKey } from '../../../src/repository/backup-shape.ts'
import { readCatalogue } from '../../../src/repository/catalogue.ts'
import {
  claimCluster,
  createRepository,
  openCluster,
} from '../../../src/repository/cluster-repository.ts'
import { listDamage } from '../../../src/repository/damage-notes.ts'
import { clusterNames } from '../../../src/repository/format.ts'
import { readLines, recordLine } from '../../../src/repository/line-records.ts'
import { sealJson } from '../../../src/repository/sealed-json.ts'
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

/** As `sealJson`, of lines that need be no JSON: the checksum is anybody's to make. */
function sealed(body: string): string {
  return `${body}  "checksum": "${createHash('sha256').update(body).digest('hex')}"\n}\n`
}

const INFO = {
  format: 1,
  id: ID,
  cluster: 'shop',
  label: null,
  reference: null,
  fullBecause: null,
  source: { role: 'primary', server: null, host: 'h', port: 1 },
  postgres: { systemIdentifier: '1', major: 18, versionNumber: 180000, segmentBytes: 16 * MB },
  timeline: 1,
  startLsn: '0/1',
  stopLsn: '0/2',
  startedAt: '2026-01-01T00:00:00.000Z',
  finishedAt: '2026-01-01T00:00:01.000Z',
  tablespaces: [],
  bytes: { database: 1, received: 1, changed: 1, stored: 1 },
  files: 1,
  manifest: { storedBytes: 1, sha256: '' },
  packs: [],
  badPages: { count: 0, list: [] },
}

test('one backup of which something is said that cannot be is damaged, and the list goes on', async () => {
  await using directory = temporaryDirectory()
  const store = new DiskStore(directory.path)
  await createRepository(store, systemClock)
  const server = { systemIdentifier: '1', major: 18 as const, segmentBytes: 16 * MB }
  const cluster = await claimCluster({ store, name: 'shop', server, clock: systemClock })
  const path = place(directory.path, names.backupInfo(ID as never))
  writeFileSync(path, sealJson(INFO))
  const [listed] = (await readCatalogue(cluster)).backups
  // So it is judged again where another machine is told of it.
  assert.equal(strangeKey({ ...listed?.info }), undefined)
  const strange = [
    { tablespaces: [{ oid: '../../../etc', location: '/srv' }] },
    { tablespaces: {} },
    { packs: [{ name: '../x', storedBytes: 1, rawBytes: 1, liveBytes: 1 }] },
    { postgres: null },
    { timeline: 1e308 },
    { label: 7 },
    { finishedAt: 'x' },
    { startLsn: { toString: 1, valueOf: 1 } },
    { bytes: { ...INFO.bytes, database: -1 } },
  ]
  for (const change of strange) {
    writeFileSync(path, sealJson({ ...INFO, ...change }))
    assert.equal((await readCatalogue(cluster)).damaged.length, 1, JSON.stringify(change))
  }
  writeFileSync(path, sealJson(INFO))
  const keep = place(directory.path, names.keep(ID as never))
  writeFileSync(keep, sealJson({ format: 1, keptAt: 1, reason: { toString: 1 }, target: 'x' }))
  const [kept] = (await readCatalogue(cluster)).backups
  assert.deepEqual(kept?.keep, { keptAt: '', reason: '', target: 'full' })
  rmSync(keep)
  const subject = { toString: 1, valueOf: 1 }
  const note = place(directory.path, names.damage(ID as never))
  writeFileSync(note, sealJson({ format: 1, subject, packs: [subject] }))
  assert.equal((await listDamage(cluster)).length, 1)
  writeFileSync(path, sealed('{\n  "format": 1,\n  x\n'))
  assert.equal((await readCatalogue(cluster)).damaged.length, 1)
})

test('a cluster whose identity is another one’s, or of segments that no server has, is damaged', async () => {
  await using directory = temporaryDirectory()
  const store = new DiskStore(directory.path)
  await createRepository(store, systemClock)
  const server = { systemIdentifier: '1', major: 18 as const, segmentBytes: 16 * MB }
  const { identity } = await claimCluster({ store, name: 'shop', server, clock: systemClock })
  const strange = [
    { cluster: 'other' },
    { cluster: '..' },
    { systemIdentifier: 1 },
    { major: '18' },
    ...[0, 1, null, '16777216', 1024 ** 4].map((segmentBytes) => ({ segmentBytes })),
  ]
  for (const change of strange) {
    const value = sealJson({ format: 1, ...identity, ...change })
    writeFileSync(place(directory.path, names.identity), value)
    await assert.rejects(openCluster(store, 'shop', systemClock), (error) =>
      isBackstayError(error, 'REPOSITORY_DAMAGED'),
    )
  }
  const none = claimCluster({
    store,
    name: 'new',
    server: { ...server, segmentBytes: 0 },
    clock: systemClock,
  })
  await assert.rejects(none, (error) => isBackstayError(error, 'POSTGRES_PROTOCOL'))
  assert.equal(await store.size(clusterNames('new').identity), undefined)
})

test('a record of a line that says when it cannot have been is none, and the next one is written', async () => {
  await using directory = temporaryDirectory()
  const store = new DiskStore(directory.path)
  for (const recordedAt of [
    'x',
    '+275760-09-13T00:00:00.000Z',
    null,
    { toString: 1, valueOf: 1 },
  ]) {
    const record = { format: 1, timeline: 1, known: [1], recordedAt, by: 'roles' }
    writeFileSync(
      place(directory.path, `${names.lines}/99991231T235959999-00000001.json`),
      sealJson(record),
    )
    await recordLine(
      { store, names, clock: systemClock },
      { timeline: 2, known: [1, 2], by: 'roles' },
    )
    assert.equal(
      (await readLines({ store, names, clock: systemClock })).records.at(-1)?.timeline,
      2,
    )
  }
})

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
