/**
 * A repository made by hand from the directory of a stopped server: the restore's tests then depend on nothing but the format.
 */
import { createHash } from 'node:crypto'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import { parseControlFile } from '../../../src/postgres/control-file.ts'
import type { BackupId, BackupInfo, PackUse } from '../../../src/repository/backup-info.ts'
import { publishBackup } from '../../../src/repository/catalogue.ts'
import { claimCluster, type ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { UNIT_BYTES } from '../../../src/repository/format.ts'
import type { Extent } from '../../../src/repository/manifest-entry.ts'
import { ManifestWriter } from '../../../src/repository/manifest-writer.ts'
import { PackWriter } from '../../../src/repository/pack-writer.ts'
import { compressFrame } from '../../../src/repository/codec.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import type { TestServer } from '../../harness/postgres.ts'

const SKIPPED = new Set(['postmaster.pid', 'postmaster.opts'])

interface Copier {
  readonly root: string
  readonly manifest: ManifestWriter
  readonly packs: PackWriter
  readonly links: { oid: number; location: string }[]
  rawBytes: number
}

/** Makes a repository in `directory` with one backup of the stopped `server`. */
export async function coldBackup(
  server: TestServer,
  directory: string,
  id: string,
): Promise<{ repository: ClusterRepository; backup: BackupInfo }> {
  const control = parseControlFile(await readFile(join(server.directory, 'global/pg_control')))
  const { systemIdentifier, segmentBytes, checkpoint } = control
  const { major } = server
  const store = new DiskStore(directory)
  const identity = { systemIdentifier, segmentBytes, major }
  const clock = systemClock
  const repository = await claimCluster({ store, name: 'shop', server: identity, clock })
  const { names } = repository
  const backupId = id as BackupId
  const packs = new PackWriter({ store, names, cluster: 'shop', id: backupId, packBytes: 8 << 20 })
  const manifest = await ManifestWriter.create(store, names, backupId)
  const copier: Copier = { root: server.directory, manifest, packs, links: [], rawBytes: 0 }
  await copyTree(copier, '')
  const written = await packs.finish()
  const { totals, storedBytes, sha256 } = await manifest.finish()
  const now = new Date().toISOString()
  const backup: BackupInfo = {
    id: backupId,
    cluster: 'shop',
    label: null,
    type: 'full',
    method: 'stream',
    reference: null,
    fullBecause: null,
    status: 'done',
    source: { role: 'primary', server: null, host: 'localhost', port: server.port },
    postgres: { ...identity, versionNumber: major * 10_000, dataChecksums: true },
    timeline: checkpoint.timeline,
    startLsn: checkpoint.redoLsn,
    stopLsn: checkpoint.redoLsn,
    startedAt: now,
    finishedAt: now,
    tablespaces: copier.links,
    bytes: {
      database: totals.bytes,
      received: totals.bytes,
      changed: totals.bytes,
      stored: storedBytes,
    },
    files: totals.files,
    manifest: { storedBytes, sha256 },
    serverManifest: false,
    packs: written.map((pack): PackUse => ({ ...pack, liveBytes: pack.rawBytes })),
    badPages: { count: 0, list: [] },
    compression: { codec: 'zstd', level: 1 },
    createdBy: 'test',
  }
  await publishBackup(repository, backup)
  return { repository, backup }
}

async function copyTree(copier: Copier, below: string): Promise<void> {
  for (const name of (await readdir(join(copier.root, below))).sort()) {
    const path = below === '' ? name : `${below}/${name}`
    const found = await lstat(join(copier.root, path))
    const mode = found.mode & 0o7777
    if (SKIPPED.has(path) || (path.startsWith('pg_wal/') && found.isFile())) continue
    if (found.isSymbolicLink()) {
      const target = await readlink(join(copier.root, path))
      await copier.manifest.add({ kind: 'link', path, mode: 0o777, target })
      copier.links.push({ oid: Number(name), location: target })
    } else if (found.isFile()) {
      await copyFile(copier, path, { mode, modifiedAtMs: Math.floor(found.mtimeMs / 1000) * 1000 })
      continue
    } else await copier.manifest.add({ kind: 'directory', path, mode })
    await copyTree(copier, path)
  }
}

async function copyFile(
  copier: Copier,
  path: string,
  attributes: { mode: number; modifiedAtMs: number },
): Promise<void> {
  const content = await readFile(join(copier.root, path))
  const extents: Extent[] = []
  for (let at = 0; at < content.length; at += UNIT_BYTES) {
    const raw = content.subarray(at, at + UNIT_BYTES)
    if (raw.every((byte) => byte === 0)) {
      extents.push({ unit: undefined, unitOffset: 0, length: raw.length })
      continue
    }
    const frame = compressFrame(raw)
    const [place] = await copier.packs.append([{ frame, rawBytes: raw.length }])
    if (place === undefined) throw new Error('no place')
    const unit = { ...place, storedBytes: frame.length, rawBytes: raw.length }
    extents.push({ unit, unitOffset: 0, length: raw.length })
  }
  const sizeBytes = content.length
  const sum = crc32c(content)
  await copier.manifest.add({ kind: 'file', path, ...attributes, sizeBytes, crc32c: sum, extents })
}

/** SHA-256 of every file below `directory` by path, without pg_wal's content. */
export async function hashTree(directory: string, below = ''): Promise<Map<string, string>> {
  const hashes = new Map<string, string>()
  for (const item of await readdir(join(directory, below), { withFileTypes: true })) {
    const path = below === '' ? item.name : `${below}/${item.name}`
    if (item.isFile() && !path.startsWith('pg_wal/')) {
      const content = await readFile(join(directory, path))
      hashes.set(path, createHash('sha256').update(content).digest('hex'))
    }
    const isTablespace = /^pg_tblspc\/\d+$/.test(path)
    if (item.isDirectory() || isTablespace) {
      for (const [name, hash] of await hashTree(directory, path)) hashes.set(name, hash)
    }
  }
  return hashes
}
