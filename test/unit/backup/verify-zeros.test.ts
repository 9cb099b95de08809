/**
 * Zeros of a file that are said and not stored: verified without being made, whatever a manifest says of how many there are.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReportBuilder } from '../../../src/backup/verify/report.ts'
import { FileVerifier } from '../../../src/backup/verify/verify-file.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import { crc32cOfZeros } from '../../../src/repository/crc32c-combine.ts'
import type { ManifestFile } from '../../../src/repository/manifest-entry.ts'
import { PackReader } from '../../../src/repository/pack-reader.ts'
import { clusterNames } from '../../../src/repository/format.ts'
import { MemoryStore } from '../../harness/memory-store.ts'

const info = { badPages: { count: 0, list: [] }, postgres: { dataChecksums: true } }

async function verified(length: number, crc32c: number): Promise<ReportBuilder> {
  const report = new ReportBuilder('x')
  await using packs = new PackReader(new MemoryStore(), clusterNames('shop'))
  const verifier = new FileVerifier({
    info: info as unknown as BackupInfo,
    packs,
    isWanted: () => true,
    report,
  })
  const extents = [{ unit: undefined, unitOffset: 0, length }]
  const file: Partial<ManifestFile> = { kind: 'file', path: 'base/5/16384', mode: 0o600 }
  await verifier.verify({ ...file, sizeBytes: length, crc32c, extents } as ManifestFile)
  return report
}

for (const length of [0, 8192, 8192 * 131_072, 2 ** 53 - 1]) {
  test(`${length} zeros are what their checksum says, or are not`, async () => {
    const good = await verified(length, crc32cOfZeros(length))
    assert.equal(good.problemCount, 0)
    assert.equal(good.counts.pagesChecked, Math.floor(length / 8192))
    const bad = await verified(length, crc32cOfZeros(length) ^ 1)
    assert.equal(bad.problemCount, length === 0 ? 0 : 1)
  })
}
