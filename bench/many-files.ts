/**
 * Memory and time with very many small files: a base backup of N relations of one page each is fed to the receiver as the
 * server would send it, twice: whole, then by page LSN with the first as reference.
 * Run: node bench/many-files.ts [files, default 100000]
 */
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BackupReceiver } from '../src/backup/take/backup-receiver.ts'
import { planEmptying } from '../src/backup/take/emptied-packs.ts'
import { ReferenceFiles } from '../src/backup/take/reference-files.ts'
import { ReferenceIndex } from '../src/backup/take/reference-index.ts'
import { toLsn } from '../src/postgres/lsn.ts'
import type { BackupId, BackupMethod } from '../src/repository/backup-info.ts'
import { claimCluster, type ClusterRepository } from '../src/repository/cluster-repository.ts'
import { ManifestReader } from '../src/repository/manifest-reader.ts'
import { PageCrcReader } from '../src/repository/page-crc-object.ts'
import { PackReader } from '../src/repository/pack-reader.ts'
import { DiskStore } from '../src/store/disk-store.ts'
import { systemClock } from '../src/util/clock.ts'
import type { OpenReference } from '../src/backup/take/receive-options.ts'

const FILES = Number(process.argv[2] ?? 100_000)
const directory = join(tmpdir(), `backstay-bench-many-${process.pid}`)

const bytes = Buffer.alloc(8192)

/** One page: LSN 0/2000000, the rest varies with the file. The same buffer each time, as a receive buffer is. */
function page(number: number): Buffer {
  bytes.writeUInt32LE(0x2000000, 4)
  bytes.writeUInt16LE(64, 12)
  bytes.writeUInt16LE(8000, 14)
  bytes.writeUInt16LE(8192, 16)
  bytes.writeUInt16LE(8196, 18)
  for (let at = 8000; at < 8192; at += 4)
    bytes.writeUInt32LE((number * 2_654_435_761 + at) >>> 0, at)
  return bytes
}

async function receive(
  cluster: ClusterRepository,
  id: string,
  method: BackupMethod,
  reference?: OpenReference,
) {
  const started = performance.now()
  await using receiver = await BackupReceiver.create({
    cluster,
    id: id as BackupId,
    method,
    reference,
    dataChecksums: false,
    level: 1,
    workers: 2,
  })
  receiver.begin({ startLsn: toLsn(0x3000000n), timeline: 1, tablespaces: [] })
  const common = { tablespaceOid: undefined, mode: 0o600, modifiedAtMs: 0, target: undefined }
  for (let n = 0; n < FILES; n += 1) {
    await receiver.entry({ ...common, kind: 'file', path: `base/5/${16_384 + n}`, sizeBytes: 8192 })
    await receiver.data(page(n))
    await receiver.endFile()
  }
  receiver.end({ endLsn: toLsn(0x3000100n), timeline: 1 })
  const { manifest, changedBytes } = await receiver.finish()
  const seconds = (performance.now() - started) / 1000
  if (process.argv.includes('--memory')) console.log(process.memoryUsage())
  const rssMb = process.resourceUsage().maxRSS / 1024
  console.log(
    `${method}: ${FILES} files, ${seconds.toFixed(1)} s, manifest ${(manifest.storedBytes / 1e6).toFixed(1)} MB, stored anew ${(changedBytes / 1e6).toFixed(1)} MB, RSS so far ${rssMb.toFixed(0)} MB`,
  )
}

try {
  const server = { systemIdentifier: '7', major: 18, segmentBytes: 2 ** 24 }
  const store = new DiskStore(directory)
  const cluster = await claimCluster({ store, name: 'bench', server, clock: systemClock })
  await receive(cluster, '20261122T000001', 'stream')
  await using manifest = await ManifestReader.open(
    store,
    cluster.names.manifest('20261122T000001' as BackupId),
  )
  const started = performance.now()
  const index = await ReferenceIndex.build(manifest, FILES)
  console.log(`index: ${((performance.now() - started) / 1000).toFixed(1)} s`)
  await using packs = new PackReader(store, cluster.names)
  await using crcs = await PageCrcReader.open(store, cluster.names, '20261122T000001' as BackupId)
  await receive(cluster, '20261122T000002', 'page-lsn', {
    files: new ReferenceFiles({ index, crcs, packs }),
    packs,
    startLsn: toLsn(0x2800000n),
    emptying: planEmptying([], 0),
  })
} finally {
  await rm(directory, { recursive: true, force: true })
}
