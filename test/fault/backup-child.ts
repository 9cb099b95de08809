/**
 * A process that takes a backup or expires some, and kills itself when told to: `node backup-child.ts JSON`.
 */
import { readdirSync } from 'node:fs'
import { expireCluster } from '../../src/backup/expire.ts'
import { fetchedWal } from '../../src/backup/fetched-wal.ts'
import { takeBackup } from '../../src/backup/take/take-backup.ts'
import { openCluster } from '../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import { type FileSystem, nodeFileSystem } from '../../src/store/file-system.ts'
import { systemClock } from '../../src/util/clock.ts'
import type { ConnectionOptions } from '../../src/wire/connection-options.ts'

export interface ChildWish {
  readonly work: 'backup' | 'expire'
  readonly directory: string
  readonly connection: ConnectionOptions
  /** Dies right after this step of a backup. */
  readonly dieAt?: string
  /** Dies once so much was received. */
  readonly dieAfterBytes?: number
  /** And not before so many parts of it are durable. */
  readonly parts?: number
  readonly full?: boolean
  /** Dies before the n-th change of the file system (from 0). */
  readonly dieBefore?: number
}

const wish = JSON.parse(process.argv[2] ?? '{}') as ChildWish

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // The signal is on its way; nothing more may happen.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  throw new Error('unreachable')
}

/** Not before most of what came in is noted: a slow disk makes the noting lag behind. */
function dieWithParts(): void {
  const names = readdirSync(wish.directory, { recursive: true, encoding: 'utf8' })
  if (names.filter((name) => /part-\d+\.json$/.test(name)).length >= (wish.parts ?? 0)) die()
}

let changes = 0
function counted<A extends unknown[], R>(
  work: (...args: A) => Promise<R>,
): (...args: A) => Promise<R> {
  return (...args) => {
    if (changes === wish.dieBefore) die()
    changes += 1
    return work(...args)
  }
}

const files: FileSystem = {
  ...nodeFileSystem,
  createFile: counted(async (path: string) => nodeFileSystem.createFile(path)),
  link: counted(async (from: string, to: string) => nodeFileSystem.link(from, to)),
  unlink: counted(async (path: string) => nodeFileSystem.unlink(path)),
}

const store = new DiskStore(wish.directory, files)
if (wish.work === 'backup') {
  await takeBackup({
    cluster: 'test',
    store,
    clock: systemClock,
    connection: wish.connection,
    server: null,
    wal: fetchedWal(wish.connection),
    label: null,
    full: wish.full ?? false,
    workers: 1,
    createdBy: 'test',
    signal: AbortSignal.timeout(60_000),
    onEvent: (event) => {
      if (event.kind === 'step' && event.step === wish.dieAt) die()
      if (event.kind === 'progress' && event.receivedBytes >= (wish.dieAfterBytes ?? Infinity)) {
        dieWithParts()
      }
    },
    packBytes: 1_000_000,
  })
} else {
  const cluster = await openCluster(store, 'test', systemClock)
  await expireCluster(cluster, { windowMs: undefined, count: 1, minimum: 1 })
}
console.log(`changes ${changes}`)
