import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import {
  manifestCrc32c,
  type BackupManifestFile,
  type ManifestWalRange,
  BackupManifestWriter,
} from '../../../src/postgres/backup-manifest.ts'
import { BackupManifestReader } from '../../harness/backup-manifest-reader.ts'
import { toLsn } from '../../../src/postgres/lsn.ts'

const FILES: readonly BackupManifestFile[] = [
  {
    path: 'backup_label',
    sizeBytes: 225,
    modifiedAtMs: Date.UTC(2026, 10, 22, 8, 30, 5),
    checksum: manifestCrc32c(0xa1b2c3d4),
  },
  { path: 'base/1/a "b" {c} ]', sizeBytes: 0, modifiedAtMs: 0, checksum: undefined },
  {
    path: Buffer.from([0x61, 0xff, 0x22]).toString('latin1'),
    isPathEncoded: true,
    sizeBytes: 2 ** 40,
    modifiedAtMs: 1000,
    checksum: { algorithm: 'SHA256', hex: 'ab'.repeat(32) },
  },
]
const RANGES: readonly ManifestWalRange[] = [
  { timeline: 1, startLsn: toLsn(0x2000028n), endLsn: toLsn(0x3000000n) },
  { timeline: 2, startLsn: toLsn(0x3000000n), endLsn: toLsn(0x3000100n) },
]

function write(files: Iterable<BackupManifestFile>, systemIdentifier?: string): string {
  const writer = new BackupManifestWriter()
  let text = writer.begin(systemIdentifier)
  for (const file of files) text += writer.file(file)
  return text + writer.end(RANGES)
}

function read(bytes: Buffer, pieceBytes = bytes.length): [BackupManifestFile[], object] {
  const reader = new BackupManifestReader()
  const files: BackupManifestFile[] = []
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    files.push(...reader.push(bytes.subarray(at, at + pieceBytes)))
  }
  return [files, reader.finish()]
}

suite('backup_manifest', () => {
  test('is written line by line as PostgreSQL does', () => {
    const lines = write(FILES, '7320280665284567118').split('\n')
    assert.deepEqual(lines.slice(0, 4), [
      '{ "PostgreSQL-Backup-Manifest-Version": 2,',
      '"System-Identifier": 7320280665284567118,',
      '"Files": [',
      '{ "Path": "backup_label", "Size": 225, "Last-Modified": "2026-11-22 08:30:05 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "d4c3b2a1" },',
    ])
    assert.match(lines[5] ?? '', /^\{ "Encoded-Path": "61ff22", "Size": 1099511627776, /)
    assert.match(lines.at(-2) ?? '', /^"Manifest-Checksum": "[0-9a-f]{64}"\}$/)
  })

  test('is read as it was written, however it is cut', () => {
    const bytes = Buffer.from(write(FILES, '7320280665284567118'))
    fc.assert(
      fc.property(fc.integer({ min: 1, max: bytes.length }), (pieceBytes) => {
        assert.deepEqual(read(bytes, pieceBytes), [
          FILES,
          { version: 2, systemIdentifier: '7320280665284567118', walRanges: RANGES },
        ])
      }),
    )
  })

  test('of version 1 has no system identifier', () => {
    const [files, summary] = read(Buffer.from(write([])))
    assert.deepEqual(files, [])
    assert.deepEqual(summary, { version: 1, systemIdentifier: undefined, walRanges: RANGES })
  })

  test('survives any path', () => {
    const path = fc.string({ unit: 'grapheme' })
    fc.assert(
      fc.property(fc.array(path), fc.integer({ min: 1, max: 50 }), (paths, pieceBytes) => {
        const files = paths.map((name) => ({ ...FILES[0], path: name }) as BackupManifestFile)
        const [found] = read(Buffer.from(write(files)), pieceBytes)
        assert.deepEqual(found, files)
      }),
    )
  })

  test('with any byte changed is refused', () => {
    const bytes = Buffer.from(write(FILES, '1'))
    // Line ends and the like after the checksum's value carry no meaning.
    const meaningful = bytes.lastIndexOf('"')
    fc.assert(
      fc.property(fc.nat(meaningful), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const damaged = Buffer.from(bytes)
        damaged[at] = (damaged[at] ?? 0) ^ mask
        assert.throws(
          () => read(damaged, 64),
          (error) => isBackstayError(error, 'POSTGRES_FILE_INVALID'),
        )
      }),
    )
  })

  test('cut anywhere is refused', () => {
    const bytes = Buffer.from(write(FILES, '1'))
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), (length) => {
        assert.throws(
          () => read(bytes.subarray(0, length), 100),
          (error) => isBackstayError(error, 'POSTGRES_FILE_INVALID'),
        )
      }),
    )
  })

  test('of foreign bytes is refused before they fill the memory', () => {
    const reader = new BackupManifestReader()
    const pushBlanks = (): number => [...reader.push(Buffer.alloc(40_000, 32))].length
    assert.equal(pushBlanks(), 0)
    assert.throws(pushBlanks, /too long/)
  })
})
