/**
 * WAL of a known shape at the end of a primary's, and damage to it.
 */
import { open } from 'node:fs/promises'
import { toLsn } from '../../../src/postgres/lsn.ts'
import { WalScanner } from '../../../src/postgres/wal-scanner.ts'
import type { House } from '../cluster/house.ts'

const BLOCK_BYTES = 8192
const ROOM_BYTES = 5000

/** Records that end a primary's WAL, all on one page. */
export interface Tail {
  /** The segment. */
  readonly name: string
  /** Where the first and the last of them begin in it. */
  readonly firstOffset: number
  readonly lastOffset: number
}

/** Commits ten rows to `t`, each with records of its own, on one page of db1's WAL. @param commit synchronous_commit. */
export async function writeTail(house: House, commit: 'on' | 'local' = 'on'): Promise<Tail> {
  const { segmentBytes } = house.wanted.postgres
  let [name, firstOffset] = await endOf(house)
  while (firstOffset % BLOCK_BYTES > BLOCK_BYTES - ROOM_BYTES) {
    await insert(house, 0, commit)
    ;[name, firstOffset] = await endOf(house)
  }
  for (let i = 1; i <= 10; i += 1) await insert(house, i, commit)
  const directory = house.wanted.servers[0]?.directory ?? ''
  await using file = await open(`${directory}/pg_wal/${name}`)
  const content = Buffer.alloc(segmentBytes)
  await file.read(content, 0, segmentBytes, 0)
  const startLsn = toLsn(content.readBigUInt64LE(8))
  const scanner = new WalScanner({ startLsn, segmentBytes })
  let lastOffset = 0
  for (const record of scanner.push(content)) lastOffset = Number(record.lsn - startLsn)
  return { name, firstOffset, lastOffset }
}

async function insert(house: House, value: number, commit: string): Promise<void> {
  const set = `SET synchronous_commit = ${commit}`
  await house.query('db1', `${set}; INSERT INTO t VALUES (${value})`)
}

async function endOf(house: House): Promise<[string, number]> {
  const [row] = await house.query(
    'db1',
    `SELECT pg_walfile_name(lsn) AS name, (pg_walfile_name_offset(lsn)).file_offset AS offset
       FROM pg_current_wal_insert_lsn() AS lsn`,
  )
  return [String(row?.['name']), Number(row?.['offset'])]
}

/** Turns one bit of a file. */
export async function flipBit(path: string, offset: number, bit: number): Promise<void> {
  await using file = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, offset)
  byte[0] = (byte[0] ?? 0) ^ (1 << bit)
  await file.write(byte, 0, 1, offset)
}
