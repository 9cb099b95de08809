/**
 * `barman put-wal` and `barman get-wal` of one 16 MB segment, and the start of a command, against Debian's Barman, alternately in
 * one run. Both store into directories of their own; no server and no ssh is involved.
 *
 *     node bench/barman.ts [ROUNDS]
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tarStream } from '../src/barman/client/tar-stream.ts'
import { crc32c } from '@node-rs/crc32'
import { WAL_MAGIC } from '../src/postgres/wal-page.ts'
import { median } from './figures.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024
const PAGE_BYTES = 8192
const PEER = '/usr/bin/barman'
const OURS = fileURLToPath(new URL('../bin/barman.js', import.meta.url))

const rounds = Number(process.argv[2] ?? 7)
const base = await mkdtemp(join(tmpdir(), 'backstay-bench-barman-'))
try {
  await measure()
} finally {
  await rm(base, { recursive: true, force: true })
}

async function measure(): Promise<void> {
  const homes = { ours: await makeHome('ours'), peer: await makeHome('peer') }
  const programs = { ours: [process.execPath, OURS], peer: [PEER] }
  const who = existsSync(PEER) ? (['ours', 'peer'] as const) : (['ours'] as const)
  const times: Record<string, number[]> = {}
  for (let round = 0; round <= rounds; round += 1) {
    const name = `0000000100000000${(round + 1).toString(16).toUpperCase().padStart(8, '0')}`
    const content = segment(round + 1)
    for (const one of who) {
      // Debian's 3.4.0 knows MD5 sums only.
      const input = tarStream({ name, content, modifiedAtMs: Date.now() }, true)
      const run = (words: string[], bytes?: Buffer): number =>
        timed([...programs[one], '-c', homes[one], ...words], bytes)
      const figures = {
        start: run(['list-servers']),
        'put-wal': run(['put-wal', 'pg'], input),
        'get-wal': run(['get-wal', 'pg', name]),
      }
      // The first round fills caches.
      if (round === 0) continue
      for (const [what, ms] of Object.entries(figures)) (times[`${what} ${one}`] ??= []).push(ms)
    }
  }
  for (const what of ['start', 'put-wal', 'get-wal']) report(what, times)
}

function report(what: string, times: Record<string, number[]>): void {
  const ours = median(times[`${what} ours`] ?? [])
  const peer = median(times[`${what} peer`] ?? [])
  const ratio = Number.isNaN(peer)
    ? ''
    : `, Debian's ${peer.toFixed(0)} ms: ${(ours / peer).toFixed(2)}`
  console.log(`${what}: ours ${ours.toFixed(0)} ms${ratio}`)
}

async function makeHome(name: string): Promise<string> {
  const home = join(base, name)
  await mkdir(home)
  const file = join(base, `${name}.conf`)
  const user = process.getuid?.() === 0 ? 'root' : process.env['USER']
  const connection = 'host=127.0.0.1 port=1'
  await writeFile(
    file,
    `[barman]\nbarman_user = ${user}\nbarman_home = ${home}\n[pg]\nconninfo = ${connection}\nstreaming_conninfo = ${connection}\nbackup_method = postgres\narchiver = on\n`,
  )
  return file
}

function timed([program = '', ...words]: readonly string[], input?: Buffer): number {
  const startedAt = performance.now()
  const { status, stderr } = spawnSync(program, words, {
    input: input ?? Buffer.alloc(0),
    maxBuffer: 2 * SEGMENT_BYTES,
  })
  if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${stderr.toString()}`)
  return performance.now() - startedAt
}

/** A segment whose pages have right headers and a content of rows that compresses as WAL does. */
function segment(number: number): Buffer {
  const bytes = Buffer.alloc(SEGMENT_BYTES)
  for (let at = 0; at < SEGMENT_BYTES; at += 64) {
    bytes.writeUInt32LE(crc32c(String(at + number)) >>> 0, at)
    bytes.write(`row ${at} of segment ${number}`, at + 4, 'latin1')
  }
  for (let at = 0; at < SEGMENT_BYTES; at += PAGE_BYTES) {
    bytes.fill(0, at, at + 40)
    bytes.writeUInt16LE(WAL_MAGIC[15], at)
    bytes.writeUInt16LE(at === 0 ? 2 : 0, at + 2)
    bytes.writeUInt32LE(1, at + 4)
    bytes.writeBigUInt64LE(BigInt(number) * BigInt(SEGMENT_BYTES) + BigInt(at), at + 8)
  }
  bytes.writeBigUInt64LE(1n, 24)
  bytes.writeUInt32LE(SEGMENT_BYTES, 32)
  bytes.writeUInt32LE(PAGE_BYTES, 36)
  return bytes
}
