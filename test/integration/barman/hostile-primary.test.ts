/**
 * A primary Barman that is hostile, and a passive server that copies from it.
 */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { claimCluster } from '../../../src/repository/cluster-repository.ts'
import { storeAt } from '../../../src/store/address.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { sealJson } from '../../../src/repository/sealed-json.ts'
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

/** A repository at the primary's end, as `barman sync-serve` would serve it. */
const SERVE = `
import { servePipe } from '${fileURLToPath(new URL('../../../src/store/pipe-server.ts', import.meta.url))}'
import { storeAt } from '${fileURLToPath(new URL('../../../src/store/address.ts', import.meta.url))}'
await servePipe({ store: storeAt(process.argv[2]), sees: () => true, calls: { ping: async () => {} } }, process.stdin, process.stdout)
`

/** What the primary has: objects by their name, and what it runs instead of serving them. */
interface Primary {
  readonly objects?: Readonly<Record<string, Buffer>>
  readonly serve?: string
}

/** A passive server whose primary is so, made as a program in ssh's place. */
async function deceived({ objects = {}, serve }: Primary): Promise<BarmanHouse> {
  const house = await barmanHouse('[main]\nprimary_ssh_command = WAY\n')
  const at = (name: string): string => join(house.directory, name)
  await claimCluster({
    store: storeAt(at('there')),
    name: 'main',
    clock: systemClock,
    server: SAID,
  })
  for (const [name, content] of Object.entries(objects)) {
    await mkdir(dirname(at(`there/${name}`)), { recursive: true })
    await writeFile(at(`there/${name}`), content)
  }
  await writeFile(at('info'), JSON.stringify({ backstay: SAID }))
  await writeFile(at('serve.ts'), SERVE)
  const way = at('way')
  await writeFile(house.configFile, (await readFile(house.configFile, 'utf8')).replace('WAY', way))
  const serving = serve ?? `exec '${process.execPath}' '${at('serve.ts')}' '${at('there')}'`
  await writeFile(
    way,
    `#!/bin/sh\ncase $1 in\n*sync-info*) cat '${at('info')}' ;;\n*) ${serving} ;;\nesac\n`,
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
    await using house = await deceived({ objects: { [INFO_NAME]: sealJson(value) } })
    const { exitCode, stdout, stderr } = await house.barman(['sync-backup', 'main', ID])
    assert.equal(exitCode, 1, `${JSON.stringify(value)}: ${stdout.toString()}${stderr}`)
    assert.match(stderr, /^ERROR: Cannot (read|use) "main\/backups/, JSON.stringify(value))
    assert.deepEqual(await readdir(house.home), ['backstay'])
  }
})

test('answers without end that a primary gives take no memory for them', LIMIT, async () => {
  for (const letter of ['\\n', 'x', '\\0']) {
    const serve = `head -c 200000000 /dev/zero | tr '\\0' '${letter}'`
    await using house = await deceived({ serve })
    const { exitCode, stdout, stderr } = await house.barman(['sync-wals', 'main'])
    assert.equal(exitCode, 1, `${stdout.toString()}${stderr}`)
    assert.match(stderr, /^ERROR: Cannot ask the primary through/)
  }
})

test(
  'what is beside WAL in a primary is not copied, and keeps nothing else out',
  LIMIT,
  async () => {
    const wal = 'main/wal/00000001/00000000/000000010000000000000003'
    const beside = [`${wal}.pushed.json`, `${wal}.0123456789ABCDEF.damaged.zst`]
    const objects = Object.fromEntries(beside.map((name) => [name, Buffer.from('beside')]))
    await using house = await deceived({ objects })
    const { exitCode, stdout, stderr } = await house.barman(['sync-wals', 'main'])
    assert.equal(exitCode, 0, `${stdout.toString()}${stderr}`)
    const here = await readdir(house.home, { recursive: true })
    assert.deepEqual(
      here.filter((name) => /pushed|damaged/.test(name)),
      [],
    )
  },
)

test('a pack that is longer than its backup says is not copied', LIMIT, async () => {
  const name = `${ID}-000001`
  const pack = { name, storedBytes: 10, rawBytes: 10, liveBytes: 1 }
  const objects = {
    [INFO_NAME]: sealJson({ ...INFO, packs: [pack] }),
    [`main/packs/${name}.pack`]: Buffer.alloc(11),
  }
  await using house = await deceived({ objects })
  const { exitCode, stderr } = await house.barman(['sync-backup', 'main', ID])
  assert.equal(exitCode, 1)
  assert.match(stderr, /it has 11 bytes, and its backup says 10/)
  const here = await readdir(house.home, { recursive: true })
  assert.deepEqual(
    here.filter((each) => each.endsWith('.pack')),
    [],
  )
})
