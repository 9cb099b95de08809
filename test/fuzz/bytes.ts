/**
 * Readers of bytes that come from a server, from WAL or from a repository, each with right examples to start from.
 */
import { Readable } from 'node:stream'
import { crc32c } from '@node-rs/crc32'
import { findRemains } from '../../src/failover/wal-tail.ts'
import { parseControlFile } from '../../src/postgres/control-file.ts'
import { BackupManifestReader } from '../harness/backup-manifest-reader.ts'
import type { Lsn } from '../../src/postgres/lsn.ts'
import { parseLsn } from '../../src/postgres/lsn.ts'
import { inspectSegment } from '../../src/postgres/wal-page.ts'
import { WalScanner } from '../../src/postgres/wal-scanner.ts'
import { BlockMap } from '../../src/postgres/block-map.ts'
import { SegmentBlocksBuilder } from '../../src/postgres/segment-blocks.ts'
import { WalRecord } from '../../src/postgres/wal-record.ts'
import { encodeSegmentBlocks } from '../../src/repository/block-map-bytes.ts'
import { openBlockMap, sealBlockMap } from '../../src/repository/block-map-object.ts'
import type { BackupId } from '../../src/repository/backup-info.ts'
import { clusterNames } from '../../src/repository/format.ts'
import { ManifestReader } from '../../src/repository/manifest-reader.ts'
import { ManifestWriter } from '../../src/repository/manifest-writer.ts'
import { PackReader } from '../../src/repository/pack-reader.ts'
import { openSealedJson, sealJson } from '../../src/repository/sealed-json.ts'
import {
  compressFrame,
  decompressUnknownAsync,
  skippableFrame,
} from '../../src/repository/codec.ts'
import { MemoryStore } from '../harness/memory-store.ts'
import {
  answerFrame,
  readAnswers,
  readRequests,
  requestFrame,
} from '../../src/store/pipe-frames.ts'
import { ArchiveFrames } from '../../src/wire/archive-frames.ts'
import {
  decodeAuthentication,
  decodeBackendKey,
  decodeColumnNames,
  decodeDataRow,
  decodeParameterStatus,
  decodeServerMessage,
} from '../../src/wire/backend-messages.ts'
import { Framer } from '../../src/wire/framer.ts'
import { TarReader } from '../../src/postgres/tar/tar-reader.ts'
import { decodeKeepalive, decodeWalHeader } from '../../src/wire/wal-messages.ts'
import { GOLDENS, unpack } from '../fixtures/postgres/golden.ts'
import { readRecording } from '../fixtures/wire/recording.ts'
import { tarArchive } from '../unit/wire/tar-archive.ts'
import type { Target } from './target.ts'

const nothing = (): void => undefined
const golden = GOLDENS.at(-1)
const recordings = [11, 15, 18].map((major) => readRecording(major))
const NAMES = clusterNames('shop')
const ID = '20261122T084545' as BackupId

/** Messages of every kind, as a server sent them, and each decoder on whatever comes. */
const wire: Target = {
  name: 'wire messages',
  seeds: recordings.flatMap(({ turns }) => turns.map(({ received }) => received.subarray(0, 4096))),
  words: ['SCRAM-SHA-256', 'S', 'R', 'D', 'T', 'd', 'E'],
  read: async (input) => {
    const framer = new Framer({
      message: (type, payload) => void decodeAll(type, payload),
      copyBegin: nothing,
      copyPiece: nothing,
      copyEnd: nothing,
    })
    for (let at = 0; at < input.length; at += 1000) await framer.push(input.subarray(at, at + 1000))
  },
}

function decodeAll(type: number, payload: Buffer): unknown {
  switch (String.fromCharCode(type)) {
    case 'R':
      return decodeAuthentication(payload)
    case 'S':
      return decodeParameterStatus(payload)
    case 'K':
      return decodeBackendKey(payload)
    case 'T':
      return decodeColumnNames(payload)
    case 'D':
      return decodeDataRow(payload)
    default:
      return decodeServerMessage(payload)
  }
}

const ARCHIVE = tarArchive([
  { path: 'global', kind: 'directory' },
  { path: 'global/pg_control', content: Buffer.alloc(600, 1) },
  { path: 'pg_tblspc/1', kind: 'link', target: '/srv/ts' },
])

/** Mutations of a header are stopped by its checksum: half of the inputs get a right one. */
function mended(input: Buffer): Buffer {
  if (input.length < 512 || (input.at(-1) ?? 0) % 2 === 0) return input
  const copy = Buffer.from(input)
  copy.write('        ', 148, 'latin1')
  const sum = copy.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return copy
}

const tar: Target = {
  name: 'tar',
  seeds: [ARCHIVE, ARCHIVE.subarray(0, 1024)],
  words: ['ustar', '/../', '00000000000', '\u0080'],
  read: async (input) => {
    const reader = new TarReader({ entry: nothing, data: nothing, endFile: nothing })
    await reader.push(mended(input))
    reader.finish()
  },
}

const frames: Target = {
  name: 'archive frames',
  seeds: [
    Buffer.from('nbase.tar\0\0'),
    Buffer.concat([Buffer.from('d'), ARCHIVE]),
    Buffer.from('m'),
  ],
  words: ['n', 'd', 'm', 'p', 'base.tar', '\0'],
  read: async (input) => {
    const consumer = { push: nothing, finish: nothing }
    const reader = new ArchiveFrames({ archive: () => consumer, manifest: () => consumer })
    for (let at = 0; at < input.length; at += 700) {
      const message = input.subarray(at, at + 700)
      reader.begin(message.length)
      await reader.push(message)
      reader.end()
    }
  },
}

const SERVER_MANIFEST = `{ "PostgreSQL-Backup-Manifest-Version": 2,
"System-Identifier": 7000000000000000000,
"Files": [
{ "Path": "PG_VERSION", "Size": 3, "Last-Modified": "2026-11-28 10:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" },
{ "Encoded-Path": "ff", "Size": 0, "Last-Modified": "2026-11-28 10:00:00 GMT" }
],
"WAL-Ranges": [
{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }
],
"Manifest-Checksum": "00"}
`

const manifest: Target = {
  name: 'backup_manifest',
  seeds: [Buffer.from(SERVER_MANIFEST)],
  words: ['{', '}', '[', ']', '"Path"', '"Files"', ',\n', '"Size": 1', '\\u0000'],
  read: (input) => {
    const reader = new BackupManifestReader()
    for (let at = 0; at < input.length; at += 333) {
      for (const file of reader.push(input.subarray(at, at + 333))) nothing.call(file)
    }
    return reader.finish()
  },
}

const wal: Target = {
  name: 'WAL',
  seeds: golden === undefined ? [] : [unpack(golden.wal.bytes).subarray(0, 8 * 8192)],
  words: [],
  read: (input) => {
    inspectSegment(input, { name: '000000010000000000000001', fileBytes: input.length })
    const start = { startLsn: startOf(golden?.wal.name), segmentBytes: 16 * 1024 * 1024 }
    const scanner = new WalScanner({ ...start, timeline: 1 } as never)
    for (const record of scanner.push(input)) nothing.call(record)
    findRemains(scanner, { ...start, content: input })
  },
}

/** Each record of real WAL, as if its CRC were right whatever is in it. */
const walRecord: Target = {
  name: 'WAL record',
  seeds: GOLDENS.flatMap(({ wal: { name, bytes } }) => {
    const scanner = new WalScanner({ startLsn: startOf(name), segmentBytes: 16 * 1024 * 1024 })
    return [...scanner.push(unpack(bytes).subarray(0, 16 * 8192))].map((record) =>
      Buffer.from(record.bytes),
    )
  }),
  words: ['\x01\x80', '\x02\x20', '\x04\x00', '\xff', '\xfe'],
  read: (input) => {
    for (const major of [11, 14, 18]) {
      const builder = new SegmentBlocksBuilder(major)
      builder.add(new WalRecord(input, { start: 8, end: 8 + input.length, timeline: 1 }))
      const { map } = builder.finish()
      for (const { runs } of map.entries()) for (const run of runs) nothing.call(run)
    }
  },
}

const BLOCKS_PLACE = {
  systemIdentifier: '7',
  major: 18,
  segment: '000000010000000000000001',
  segmentChecksum: 1,
}

/** A map as it lies in a repository; its checksums are right in half of the inputs. */
async function blockMap(): Promise<Target> {
  const map = new BlockMap()
  const relation = { tablespaceOid: 1663, databaseOid: 5, fileNumber: 16_384 }
  for (let block = 0; block < 400; block += 7) map.mark({ ...relation, fork: 0, block })
  map.cut({ kind: 'fork', relation, fork: 2, limitBlock: 1 })
  map.addDatabase({ tablespaceOid: 1663, databaseOid: 9 })
  const encoded =
    encodeSegmentBlocks({ span: undefined, walLevels: [], stops: [], map }) ?? Buffer.alloc(0)
  const frame = await sealBlockMap(BLOCKS_PLACE, encoded)
  const content = await decompressUnknownAsync(frame, 'a map', 2 ** 20)
  return {
    name: 'block map',
    seeds: [content.subarray(0, -4)],
    words: ['BSBM0001', '\xff\xff\xff\xff\x0f', '\x01'],
    read: async (input) => {
      const sum = Buffer.alloc(4)
      sum.writeUInt32LE(crc32c(input))
      const sealed = compressFrame(Buffer.concat([input, sum]))
      const isMended = (input.at(-1) ?? 0) % 2 === 0
      const place = { ...BLOCKS_PLACE, segmentBytes: 1024 * 1024 }
      await openBlockMap(isMended ? sealed : input, 'a map', place)
    },
  }
}

function startOf(name: string | undefined): Lsn {
  const low = Number.parseInt(name?.slice(-8) ?? '1', 16)
  return parseLsn(`0/${(low * 16 * 1024 * 1024).toString(16)}`) as Lsn
}

const control: Target = {
  name: 'pg_control',
  seeds: GOLDENS.map(({ controlFile }) => Buffer.from(controlFile, 'base64')),
  words: [],
  read: parseControlFile,
}

/** Our manifest, as it lies in a store, with what reads it. */
async function ownManifest(): Promise<Target> {
  const store = new MemoryStore()
  await using writer = await ManifestWriter.create(store, NAMES, ID)
  await writer.add({ path: 'base', kind: 'directory', mode: 0o700, modifiedAtMs: 0 } as never)
  await writer.finish()
  const name = NAMES.manifest(ID)
  return {
    name: 'manifest of a repository',
    seeds: [(await store.get(name, 2 ** 30)) ?? Buffer.alloc(0)],
    words: ['BSMF0001'],
    read: async (input) => {
      const other = new MemoryStore()
      await other.put(name, input)
      await using reader = await ManifestReader.open(other, name)
      for await (const entry of reader.entries()) nothing.call(entry)
    },
  }
}

const PACKED = Buffer.from('a row of a table, and another one; '.repeat(300))

/** A unit's frame as it lies in a pack, whatever is in its place: exactly as many bytes as promised come out, or an error. */
const packUnit: Target = {
  name: 'unit of a pack',
  seeds: [compressFrame(PACKED), compressFrame(PACKED, 19), skippableFrame(Buffer.from('x'))],
  words: ['\x28\xb5\x2f\xfd', '\x50\x2a\x4d\x18'],
  read: async (input) => {
    const store = new MemoryStore()
    await store.put(NAMES.pack(ID), input)
    const [offset, storedBytes, rawBytes] = [0, input.length, PACKED.length]
    await using reader = new PackReader(store, NAMES)
    const content = await reader.unit({ pack: ID, offset, storedBytes, rawBytes })
    if (content.length !== rawBytes) throw new Error(`${content.length} bytes came out`)
    await decompressUnknownAsync(input, 'a history', 64 * 1024)
  },
}

const sealed: Target = {
  name: 'sealed JSON',
  seeds: [sealJson({ a: 1, b: ['x', { c: null }] })],
  words: ['"checksum": "', '\n}\n', '  '],
  read: (input) => openSealedJson('x', input),
}

const pipe: Target = {
  name: 'frames of the pipe',
  seeds: [
    requestFrame({ id: 1, call: 'plan', with: { a: 1 } }),
    Buffer.concat(answerFrame({ id: 1, value: { a: [1, 'x', 2n], b: new Map([[1, 'y']]) } })),
    Buffer.concat(answerFrame({ id: 2, bytes: Buffer.from('abc') })),
  ],
  words: ['{"id":1,"call":"', '"with":', 'null', '{"$bigint":"', '{"$map":[['],
  read: async (input) => {
    for await (const request of readRequests(Readable.from([input]))) nothing.call(request)
  },
}

const answers: Target = {
  ...pipe,
  name: 'answers of the pipe',
  read: async (input) => {
    for await (const answer of readAnswers(Readable.from([input]))) nothing.call(answer)
  },
}

const walMessages: Target = {
  name: 'WAL messages',
  seeds: [Buffer.alloc(25, 1), Buffer.alloc(18, 1)],
  words: ['w', 'k'],
  read: (input) => [decodeWalHeader(input), decodeKeepalive(input)],
}

/** All of them. */
export async function bytesTargets(): Promise<readonly Target[]> {
  const own = await ownManifest()
  const blocks = await blockMap()
  return [
    wire,
    tar,
    frames,
    manifest,
    wal,
    walRecord,
    blocks,
    control,
    own,
    packUnit,
    sealed,
    pipe,
    answers,
    walMessages,
  ]
}
