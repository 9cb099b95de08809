#!/usr/bin/env node
/**
 * Restores a backup from a repository directory with nothing but Node (22.15 or newer) and docs/repository-format.md.
 * It shares no code with Backstay: should Backstay be lost, this file and the page are enough.
 *
 *   node read-repository.mjs REPOSITORY                            lists clusters and backups
 *   node read-repository.mjs REPOSITORY CLUSTER BACKUP TARGET      restores into the empty or absent directory TARGET
 *       BACKUP: an id or `latest`      --tablespace OID=DIRECTORY   another place for a tablespace (repeat)
 *                                      --all-wal                    WAL beyond the end of the backup as well
 *
 * The WAL needed goes into pg_wal, so a server started on TARGET recovers by itself. Everything is checked on the way;
 * global/pg_control is written last, so a directory that is not complete does not start.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as zlib from 'node:zlib'

const FORMAT = 1
const PG_CONTROL = 'global/pg_control'

const fail = (message) => {
  throw new Error(message)
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})
function crc32c(bytes, start = 0) {
  let crc = ~start
  for (let at = 0; at < bytes.length; at += 1) {
    crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ bytes[at]) & 255]
  }
  return ~crc >>> 0
}

function readSealed(path) {
  const text = fs.readFileSync(path, 'utf8')
  const match =
    /\n {2}"checksum": "([0-9a-f]{64})"\n\}\n$/.exec(text) ?? fail(`${path}: no checksum`)
  const body = text.slice(0, match.index + 1)
  if (createHash('sha256').update(body).digest('hex') !== match[1]) fail(`${path}: wrong checksum`)
  const value = JSON.parse(text)
  if (value.format !== FORMAT) fail(`${path}: format ${value.format} is not ${FORMAT}`)
  return value
}

function decompress(frame, rawBytes, what) {
  try {
    const options = { chunkSize: Math.max(64, rawBytes), maxOutputLength: Math.max(1, rawBytes) }
    const content = zlib.zstdDecompressSync(frame, options)
    return content.length === rawBytes
      ? content
      : fail(`${content.length} bytes instead of ${rawBytes}`)
  } catch (error) {
    return fail(`${what}: ${error.message}`)
  }
}

/** Walks through the bytes of one manifest block. */
class Bytes {
  constructor(buffer) {
    this.buffer = buffer
    this.at = 0
  }
  take(count) {
    if (this.at + count > this.buffer.length) fail('manifest: a record ends too early')
    this.at += count
    return this.buffer.subarray(this.at - count, this.at)
  }
  varint() {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const [byte] = this.take(1)
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  string() {
    // Names are bytes: one character each, as `file` gives them back.
    return this.take(this.varint()).toString('latin1')
  }
}

function manifestBlocks(manifest) {
  const tail = manifest.length - 16
  if (tail < 0 || manifest.toString('latin1', tail + 8) !== 'BSMFIDX1')
    fail('manifest: no block table')
  const count = manifest.readUInt32LE(tail)
  const pairs = manifest.subarray(tail - count * 8, tail)
  if (crc32c(pairs) !== manifest.readUInt32LE(tail + 4)) fail('manifest: damaged block table')
  let offset = 0
  return Array.from({ length: count }, (_, n) => {
    const frame = manifest.subarray(offset, (offset += pairs.readUInt32LE(n * 8)))
    return () => decompress(frame, pairs.readUInt32LE(n * 8 + 4), 'manifest block')
  })
}

/** Yields every directory, file and link of a backup. */
function* manifestEntries(path, info) {
  const manifest = fs.readFileSync(path)
  const sha256 = createHash('sha256').update(manifest).digest('hex')
  if (sha256 !== info.manifest.sha256) fail(`${path}: wrong checksum`)
  const hash = createHash('sha256')
  const packs = []
  let started = false
  for (const block of manifestBlocks(manifest)) {
    const bytes = new Bytes(block())
    if (!started && bytes.take(8).toString() !== 'BSMF0001') fail('manifest: not a manifest')
    if (!started && bytes.string() !== info.id) fail('manifest: of another backup')
    started = true
    while (bytes.at < bytes.buffer.length) {
      const begin = bytes.at
      const [kind] = bytes.take(1)
      if (kind === 1) packs.push(bytes.string())
      else if (kind === 2) yield { kind: 'directory', path: bytes.string(), mode: bytes.varint() }
      else if (kind === 3) yield readFile(bytes, packs)
      else if (kind === 4)
        yield { kind: 'link', path: bytes.string(), mode: bytes.varint(), target: bytes.string() }
      else if (kind === 0) return checkEnd(bytes, hash.update(bytes.buffer.subarray(0, begin)))
      else fail(`manifest: record of kind ${kind}`)
    }
    hash.update(bytes.buffer)
  }
  return fail('manifest: no end')
}

function checkEnd(bytes, hash) {
  for (let n = 0; n < 4; n += 1) bytes.varint()
  if (!hash.digest().equals(bytes.take(32))) fail('manifest: wrong checksum inside')
}

function readFile(bytes, packs) {
  const file = {
    kind: 'file',
    path: bytes.string(),
    mode: bytes.varint(),
    mtime: bytes.varint(),
    size: bytes.varint(),
  }
  if (bytes.take(1)[0] & 1) file.crc = bytes.take(4).readUInt32LE(0)
  const units = Array.from({ length: bytes.varint() }, () => ({
    pack: packs[bytes.varint()],
    offset: bytes.varint(),
    stored: bytes.varint(),
    raw: bytes.varint(),
  }))
  file.extents = Array.from({ length: bytes.varint() }, () => {
    const number = bytes.varint()
    const unitOffset = number === 0 ? 0 : bytes.varint()
    return { unit: units[number - 1], unitOffset, length: bytes.varint() }
  })
  return file
}

/** Reads units, keeping the last few: files next to each other share them. */
class Packs {
  constructor(directory) {
    this.directory = directory
    this.open = new Map()
    this.units = new Map()
  }
  unit({ pack, offset, stored, raw }) {
    const key = `${pack}@${offset}`
    const known = this.units.get(key)
    if (known !== undefined) return known
    const frame = Buffer.alloc(stored)
    const read = fs.readSync(this.descriptor(pack), frame, 0, stored, offset)
    if (read !== stored) fail(`${pack}.pack: ends at byte ${offset + read}`)
    const content = decompress(frame, raw, `${pack}.pack at byte ${offset}`)
    if (this.units.size >= 32) this.units.delete(this.units.keys().next().value)
    this.units.set(key, content)
    return content
  }
  descriptor(pack) {
    if (!this.open.has(pack)) this.open.set(pack, fs.openSync(join(this.directory, `${pack}.pack`)))
    return this.open.get(pack)
  }
}

/** The path of a file in the directory `target`. */
function pathOf(target, name) {
  const isSafe = name.split('/').every((part) => !['', '.', '..'].includes(part))
  if (!isSafe) fail(`"${name}" does not belong into a data directory`)
  return Buffer.concat([Buffer.from(`${target}/`), Buffer.from(name, 'latin1')])
}

function writeFile(target, file, packs) {
  const path = pathOf(target, file.path)
  fs.mkdirSync(path.subarray(0, path.lastIndexOf(0x2f)), { recursive: true, mode: 0o700 })
  const fd = fs.openSync(path, 'wx', file.mode & 0o777)
  let crc = 0
  let position = 0
  for (const { unit, unitOffset, length } of file.extents) {
    const content =
      unit === undefined
        ? Buffer.alloc(length)
        : packs.unit(unit).subarray(unitOffset, unitOffset + length)
    if (content.length !== length) fail(`${file.path}: an extent leaves its unit`)
    crc = crc32c(content, crc)
    fs.writeSync(fd, content, 0, length, position)
    position += length
  }
  if (position !== file.size) fail(`${file.path}: ${position} bytes instead of ${file.size}`)
  if (file.crc !== undefined && file.crc !== crc) fail(`${file.path}: wrong CRC-32C`)
  fs.fchmodSync(fd, file.mode & 0o777)
  fs.futimesSync(fd, file.mtime, file.mtime)
  fs.closeSync(fd)
}

function* walFiles(folder) {
  if (!fs.existsSync(folder)) return
  for (const high of fs.readdirSync(folder).sort()) {
    for (const name of fs.readdirSync(join(folder, high)).sort()) yield join(folder, high, name)
  }
}

/** For each segment number of a timeline the whole segment, or the longest beginning of it. */
function heldSegments(folder, timeline, segmentBytes) {
  const held = new Map()
  for (const path of walFiles(folder)) {
    const [, , high, low, partial] =
      /([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?:\.([0-9A-F]{8})(?:-[0-9A-F]{16})?\.partial)?\.zst$/.exec(
        path,
      ) ?? []
    if (low === undefined) continue
    const number = (Number.parseInt(high, 16) * 2 ** 32) / segmentBytes + Number.parseInt(low, 16)
    const bytes = partial === undefined ? segmentBytes : Number.parseInt(partial, 16)
    const known = held.get(number)
    if (partial === undefined || (!known?.isWhole && bytes >= (known?.bytes ?? 0))) {
      held.set(number, {
        path,
        bytes,
        isWhole: partial === undefined,
        name: `${timeline}${high}${low}`,
      })
    }
  }
  return held
}

function restoreWal(root, info, options) {
  const { segmentBytes } = info.postgres
  const position = (lsn) =>
    lsn.split('/').reduce((high, low) => high * 2 ** 32 + Number.parseInt(low, 16), 0)
  const timeline = info.timeline.toString(16).toUpperCase().padStart(8, '0')
  const last = Math.floor((position(info.stopLsn) - 1) / segmentBytes)
  let next = Math.floor(position(info.startLsn) / segmentBytes)
  const held = heldSegments(join(root, 'wal', timeline), timeline, segmentBytes)
  for (; next <= last || (options.all && held.has(next)); next += 1) {
    const segment =
      held.get(next) ?? fail(`WAL segment ${next} of timeline ${info.timeline} is not there`)
    const content = Buffer.alloc(segmentBytes)
    decompress(fs.readFileSync(segment.path), segment.bytes, segment.path).copy(content)
    fs.writeFileSync(join(options.target, 'pg_wal', segment.name), content, {
      mode: 0o600,
      flag: 'wx',
    })
  }
  for (const name of fs.existsSync(join(root, 'wal')) ? fs.readdirSync(join(root, 'wal')) : []) {
    if (!name.endsWith('.history.zst')) continue
    const content = zlib.zstdDecompressSync(fs.readFileSync(join(root, 'wal', name)))
    fs.writeFileSync(join(options.target, 'pg_wal', name.slice(0, -4)), content, { mode: 0o600 })
  }
}

function listBackups(repository) {
  for (const cluster of fs.readdirSync(repository)) {
    if (!fs.existsSync(join(repository, cluster, 'identity.json'))) continue
    for (const id of backupIds(join(repository, cluster))) {
      const info = readSealed(join(repository, cluster, 'backups', id, 'backup.json'))
      console.log(
        [
          cluster,
          id,
          info.type,
          `PostgreSQL ${info.postgres.major}`,
          `${info.bytes.database} bytes`,
          info.label ?? '',
        ].join('\t'),
      )
    }
  }
}

function backupIds(root) {
  const folder = join(root, 'backups')
  const ids = fs.existsSync(folder) ? fs.readdirSync(folder).sort() : []
  return ids.filter((id) => fs.existsSync(join(folder, id, 'backup.json')))
}

function restore(repository, cluster, wanted, options) {
  const { target } = options
  const root = join(repository, cluster)
  const id = wanted === 'latest' ? backupIds(root).at(-1) : wanted
  const info = readSealed(join(root, 'backups', id ?? fail('there is no backup'), 'backup.json'))
  if (fs.existsSync(target) && fs.readdirSync(target).length > 0) fail(`${target} is not empty`)
  fs.mkdirSync(target, { recursive: true, mode: 0o700 })
  fs.chmodSync(target, 0o700)
  for (const { oid, location } of info.tablespaces) {
    if (!location.startsWith('/')) continue
    const place = options.tablespaces.get(String(oid)) ?? location
    fs.mkdirSync(place, { recursive: true, mode: 0o700 })
    if (fs.readdirSync(place).length > 0) fail(`tablespace ${oid}: ${place} is not empty`)
    fs.mkdirSync(join(target, 'pg_tblspc'), { recursive: true, mode: 0o700 })
    fs.symlinkSync(place, join(target, 'pg_tblspc', String(oid)))
  }
  const packs = new Packs(join(root, 'packs'))
  let control
  for (const entry of manifestEntries(join(root, 'backups', id, 'manifest.zst'), info)) {
    if (entry.kind === 'directory')
      fs.mkdirSync(pathOf(target, entry.path), {
        recursive: true,
        mode: entry.mode & 0o777,
      })
    else if (entry.kind === 'file' && entry.path === PG_CONTROL) control = entry
    else if (entry.kind === 'file') writeFile(target, entry, packs)
  }
  fs.mkdirSync(join(target, 'pg_wal', 'archive_status'), { recursive: true, mode: 0o700 })
  restoreWal(root, info, options)
  execFileSync('sync')
  writeFile(target, control ?? fail(`the backup has no ${PG_CONTROL}`), packs)
  execFileSync('sync')
  console.log(
    `Restored backup ${id} of ${cluster}: ${info.files} files, ${info.bytes.database} bytes`,
  )
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    tablespace: { type: 'string', multiple: true, default: [] },
    'all-wal': { type: 'boolean', default: false },
  },
})
const [repository, cluster, backup, target] = positionals
try {
  if (zlib.zstdDecompressSync === undefined) fail(`Node ${process.version} is older than 22.15`)
  if (repository === undefined) fail('usage: … REPOSITORY [CLUSTER BACKUP TARGET]')
  readSealed(join(repository, 'repository.json'))
  const tablespaces = new Map(values.tablespace.map((text) => /^(\d+)=(.*)$/.exec(text).slice(1)))
  if (target === undefined) listBackups(repository)
  else restore(repository, cluster, backup, { target, tablespaces, all: values['all-wal'] })
} catch (error) {
  console.error(`read-repository: ${error.message}`)
  process.exitCode = 1
}
