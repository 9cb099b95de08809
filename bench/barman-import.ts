/**
 * `backstay import barman` of a 3 GB catalogue: one backup as directories, with its WAL. What is timed is the whole command, the
 * verification of what was imported included. MB/s are of the files of the database, whatever size they have in Barman's home.
 * Run: node bench/barman-import.ts [rounds] [plain|tar|gz|zst|lz4]
 */
import { spawnSync } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type MadeBackup, MadeHome } from '../test/integration/barman/made-home.ts'
import { ensureDataset } from './dataset.ts'

const WORK = join(tmpdir(), `backstay-bench-import-${process.getuid?.() ?? 0}`)
const LAUNCHER = fileURLToPath(new URL('../bin/backstay.js', import.meta.url))

const rounds = Number(process.argv[2] ?? 3)
const kind = (process.argv[3] ?? 'plain') as MadeBackup['kind']

await rm(WORK, { recursive: true, force: true })
try {
  await measure()
} finally {
  await rm(WORK, { recursive: true, force: true })
}

async function measure(): Promise<void> {
  const dataset = await ensureDataset({ sizeGb: 3 })
  const directory = join(WORK, 'home', 'main')
  await mkdir(directory, { recursive: true })
  {
    await using server = await dataset.start({ wal_keep_size: '1GB' })
    const home = new MadeHome(directory, 'main', server)
    await home.takeBackup({ id: '20200101T000000', kind, layout: 'meta' })
    await home.storeWal(['gz'])
  }
  const file = join(WORK, 'barman.conf')
  const user = process.getuid?.() === 0 ? 'root' : process.env['USER']
  await writeFile(
    file,
    `[barman]\nbarman_user = ${user}\nbarman_home = ${join(WORK, 'home')}\n[main]\nconninfo = host=127.0.0.1 port=1\n`,
  )
  for (let round = 1; round <= rounds; round += 1) {
    await rm(join(WORK, 'home', 'backstay'), { recursive: true, force: true })
    const startedAt = performance.now()
    const megabytes = imported(['import', 'barman', '--json', '--barman-config', file]) / 1e6
    const seconds = (performance.now() - startedAt) / 1000
    const load = loadavg()[0]?.toFixed(1)
    console.log(
      `${kind}: ${megabytes.toFixed(0)} MB in ${seconds.toFixed(1)} s: ${(megabytes / seconds).toFixed(0)} MB/s (load ${load})`,
    )
  }
}

/** Bytes of the database that the command imported. */
function imported(words: readonly string[]): number {
  const { status, stdout, stderr } = spawnSync(process.execPath, [LAUNCHER, ...words])
  if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr.toString()}`)
  const { servers } = JSON.parse(stdout.toString()) as {
    readonly servers: readonly {
      readonly backups: readonly { readonly bytes: { readonly database: number } }[]
    }[]
  }
  return servers[0]?.backups[0]?.bytes.database ?? 0
}
