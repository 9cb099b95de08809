/**
 * A primary Barman that is hostile, and a passive server that copies from it.
 */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { StoringTaker } from '../../../src/barman/passive/object-takers.ts'
import { claimCluster } from '../../../src/repository/cluster-repository.ts'
import { storeAt } from '../../../src/store/address.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { sealJson } from '../../../src/repository/sealed-json.ts'
import { tarHeader } from '../../../src/postgres/tar/tar-writer.ts'
import { type BarmanHouse, barmanHouse } from './barman-house.ts'

const LIMIT = { timeout: 120_000 }
const ID = '20261122T072445'
const INFO_NAME = `main/backups/${ID}/backup.json`
const SAID = {
  repository: '/r',
  cluster: 'main',
  systemIdentifier: '7',
  major: 18,
  segmentBytes: 16 * 1024 ** 2,
}

/** Of a backup that could be one. */
const INFO = {
  format: 1,
  id: ID,
  cluster: 'main',
  label: null,
  type: 'full',
  method: 'stream',
  reference: null,
  fullBecause: null,
  status: 'done',
  source: { role: 'primary', server: 'main', host: 'h', port: 1 },
  postgres: {
    systemIdentifier: '7',
    major: 18,
    versionNumber: 180000,
    segmentBytes: SAID.segmentBytes,
    dataChecksums: true,
  },
  timeline: 1,
  startLsn: '0/3000028',
  stopLsn: '0/3000100',
  startedAt: '2026-11-22T07:24:45.000Z',
  finishedAt: '2026-11-22T07:24:49.000Z',
  tablespaces: [],
  bytes: { database: 1, received: 1, changed: 1, stored: 1 },
  files: 1,
  manifest: { storedBytes: 1, sha256: '0'.repeat(64) },
  serverManifest: false,
  packs: [],
  badPages: { count: 0, list: [] },
  compression: { codec: 'zstd', level: 1 },
  createdBy: 'x',
}

function tarOf(name: string, content: Buffer): Buffer {
  const head = tarHeader({
    kind: 'file',
    path: name,
    mode: 0o600,
    modifiedAtMs: 0,
    sizeBytes: content.length,
  })
  return Buffer.concat([
    head,
    content,
    Buffer.alloc((512 - (content.length % 512)) % 512),
    Buffer.alloc(1024),
  ])
}

/** What the primary answers: to `barman sync-info`, to `find`, to `tar`, as shell. */
interface Answers {
  readonly find: string
  readonly tar: Buffer
}

/** A passive server whose primary answers so, made as a program in ssh's place. */
async function deceived({ find, tar }: Answers): Promise<BarmanHouse> {
  const house = await barmanHouse('[main]\nprimary_ssh_command = WAY\n')
  const archive = join(house.directory, 'archive.tar')
  await writeFile(archive, tar)
  await writeFile(join(house.directory, 'info'), JSON.stringify({ backstay: SAID }))
  const way = join(house.directory, 'way')
  await writeFile(house.configFile, (await readFile(house.configFile, 'utf8')).replace('WAY', way))
  await writeFile(
    way,
    `#!/bin/sh\ncase $1 in\n*sync-info*) cat '${house.directory}/info' ;;\n*find*) ${find} ;;\n*) cat >/dev/null; cat '${archive}' ;;\nesac\n`,
    { mode: 0o755 },
  )
  return house
}

test('a backup.json of a primary that is none is refused as damaged', LIMIT, async () => {
  const strange: readonly Readonly<Record<string, unknown>>[] = [
    { ...INFO, packs: null },
    {
      ...INFO,
      packs: [{ name: '../../../../outside', storedBytes: 1, rawBytes: 1, liveBytes: 1 }],
    },
    { ...INFO, startedAt: 'never' },
    { ...INFO, timeline: '1' },
    { ...INFO, id: '20261122T072446' },
  ]
  for (const value of strange) {
    const tar = tarOf(INFO_NAME, sealJson(value))
    await using house = await deceived({ find: `echo ${INFO_NAME}`, tar })
    const { exitCode, stdout, stderr } = await house.barman(['sync-backup', 'main', ID])
    assert.equal(exitCode, 1, `${JSON.stringify(value)}: ${stdout.toString()}${stderr}`)
    assert.match(stderr, /^ERROR: Cannot (read|use) "main\/backups/, JSON.stringify(value))
    assert.deepEqual(await readdir(house.home), ['backstay'])
  }
})

test('names without end that a primary lists take no memory for them', LIMIT, async () => {
  const lines = (tr: string): string => `head -c 200000000 /dev/zero | tr '\\0' '${tr}'`
  for (const find of [lines('\\n'), lines('x')]) {
    await using house = await deceived({ find, tar: Buffer.alloc(1024) })
    const { exitCode, stdout, stderr } = await house.barman(['sync-wals', 'main'])
    assert.equal(exitCode, 0, `${stdout.toString()}${stderr}`)
  }
})

test(
  'what is beside WAL in a primary is not copied, and keeps nothing else out',
  LIMIT,
  async () => {
    const wal = 'main/wal/00000001/00000000/000000010000000000000003'
    const find = `printf '%s\\n' ${wal}.pushed.json ${wal}.0123456789ABCDEF.damaged.zst main/packs/../x.pack`
    await using house = await deceived({ find, tar: Buffer.alloc(1024) })
    const { exitCode, stdout, stderr } = await house.barman(['sync-wals', 'main'])
    assert.equal(exitCode, 0, `${stdout.toString()}${stderr}`)
  },
)

test('a pack that is longer than its backup says fills no disk', LIMIT, async () => {
  await using base = temporaryDirectory()
  const cluster = await claimCluster({
    store: storeAt(base.path),
    name: 'main',
    clock: systemClock,
    server: SAID,
  })
  await using taker = new StoringTaker(cluster, new Map([['main/packs/a.pack', 10]]))
  await assert.rejects(taker.begin('main/packs/a.pack', 11), /it is too large/)
  await assert.rejects(taker.begin('main/packs/b.pack', 1), /it is too large/)
  await taker.begin('main/packs/a.pack', 10)
})
