/**
 * How fast WAL is read for its block map, in MB of WAL for each second of one core: judged as before, judged and mapped, encoded and
 * compressed; what the maps take; how long a range of them is joined. Two kinds of WAL: right after a checkpoint (full-page images), and
 * long after it (small records). Needs Debian's PostgreSQL 15 with pgbench. CPU time is counted, so that a busy machine does less harm.
 *
 *   node bench/block-map.ts [rounds] [scale] [seconds]
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BlockMap } from '../src/postgres/block-map.ts'
import { SegmentBlocksBuilder } from '../src/postgres/segment-blocks.ts'
import { type NamedSegment, SegmentChain } from '../src/postgres/segment-chain.ts'
import { decodeSegmentBlocks, encodeSegmentBlocks } from '../src/repository/block-map-bytes.ts'
import { sealBlockMap } from '../src/repository/block-map-object.ts'
import { ByteReader } from '../src/repository/record-bytes.ts'
import { debianBinaries, startPostgres, type TestServer } from '../test/harness/postgres.ts'

const [rounds = 5, scale = 5, seconds = 60] = process.argv.slice(2).map(Number)
const SEGMENT_BYTES = 16 * 1024 * 1024
const MAJOR = 15
const binaries = debianBinaries(MAJOR)
if (binaries === undefined) throw new Error("Debian's PostgreSQL 15 is not installed")

const segments = await makeWal()
const half = Math.floor(segments.length / 2)
for (const [what, some] of [
  ['all', segments],
  ['the later half', segments.slice(half)],
] as const) {
  await measure(what, some)
}

/** pgbench from a checkpoint on: images first, then small records. */
async function makeWal(): Promise<NamedSegment[]> {
  await using pg = await startPostgres({
    major: MAJOR,
    binaries: binaries ?? '',
    settings: {
      fsync: 'off',
      shared_buffers: '256MB',
      max_wal_size: '16GB',
      wal_keep_size: '16GB',
      checkpoint_timeout: '1h',
    },
  })
  pgbench(pg, ['-i', '-q', '-s', String(scale)])
  await pg.query('checkpoint')
  const [row] = await pg.query('select pg_walfile_name(pg_switch_wal()) as name')
  pgbench(pg, ['-M', 'prepared', '-c', '4', '-T', String(seconds)])
  await pg.query('select pg_switch_wal()')
  await pg.stop()
  const folder = join(pg.directory, 'pg_wal')
  const names = readdirSync(folder).filter((name) => /^[0-9A-F]{24}$/.test(name))
  const wanted = names.sort().filter((name) => name > String(row?.['name']))
  // The last ones may be old files under new names.
  const read = wanted.map((name) => ({ name, content: readFileSync(join(folder, name)) }))
  const chain = new SegmentChain({ segmentBytes: SEGMENT_BYTES })
  const end = read.findIndex((segment) => chain.push(segment) !== undefined)
  return end < 0 ? read : read.slice(0, end)
}

function pgbench(pg: TestServer, words: readonly string[]): void {
  const to = ['-h', pg.host, '-p', String(pg.port), '-U', pg.superuser, 'postgres']
  const env = { ...process.env, PGPASSWORD: pg.password }
  execFileSync(join(binaries ?? '', 'pgbench'), [...words, ...to], { env, stdio: 'ignore' })
}

async function measure(what: string, some: readonly NamedSegment[]): Promise<void> {
  let records = 0
  const encoded: Buffer[] = []
  const judged: number[] = []
  const mapped: number[] = []
  for (let round = 0; round <= rounds; round += 1) {
    records = 0
    encoded.length = 0
    const alone = speed(
      some,
      (segment, chain) => chain.push(segment),
      () => (records += 1),
    )
    let builder = new SegmentBlocksBuilder(MAJOR)
    const both = speed(
      some,
      (segment, chain) => {
        builder = new SegmentBlocksBuilder(MAJOR)
        chain.push(segment)
        encoded.push(encodeSegmentBlocks(builder.finish()) ?? Buffer.alloc(0))
      },
      (record) => builder.add(record),
    )
    // The first round warms the code.
    if (round > 0) judged.push(alone)
    if (round > 0) mapped.push(both)
  }
  const bytes = some.length * SEGMENT_BYTES
  console.log(
    `${what}: ${some.length} segments, ${records} records of ${Math.round(bytes / records)} bytes`,
  )
  console.log(`  judged:            ${median(judged).toFixed(0)} MB/s a core`)
  console.log(`  judged and mapped: ${median(mapped).toFixed(0)} MB/s a core`)
  await tellOfMaps(encoded)
}

type Look = ConstructorParameters<typeof SegmentChain>[0]['onRecord']

function speed(
  some: readonly NamedSegment[],
  take: (segment: NamedSegment, chain: SegmentChain) => void,
  onRecord: NonNullable<Look>,
): number {
  const chain = new SegmentChain({ segmentBytes: SEGMENT_BYTES, onRecord })
  const before = process.cpuUsage()
  for (const segment of some) take(segment, chain)
  const { user, system } = process.cpuUsage(before)
  return (some.length * SEGMENT_BYTES) / (user + system)
}

async function tellOfMaps(encoded: readonly Buffer[]): Promise<void> {
  const place = { systemIdentifier: '1', major: MAJOR, segment: '0'.repeat(24), segmentChecksum: 0 }
  let stored = 0
  for (const one of encoded) stored += (await sealBlockMap(place, one)).length
  const before = process.cpuUsage()
  const map = new BlockMap()
  for (const one of encoded) map.addAll(decodeSegmentBlocks(new ByteReader(one), Infinity).map)
  const { user, system } = process.cpuUsage(before)
  const joinedMs = (user + system) / 1000
  console.log(
    `  a map: ${(stored / encoded.length / 1024).toFixed(1)} kB stored; joined: ${(joinedMs / encoded.length).toFixed(2)} ms a segment`,
  )
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
