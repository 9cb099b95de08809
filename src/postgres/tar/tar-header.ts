/**
 * One 512-byte tar header as PostgreSQL writes it: ustar, names up to 99 bytes, sizes from 8 GiB on
 * in base 256. Source: POSIX.1-2008 "ustar Interchange Format"; PostgreSQL src/port/tar.c.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { pathOfBytes } from '../../util/byte-path.ts'

/** A header's size, and what contents are padded to. */
export const TAR_BLOCK_BYTES = 512

const CHECKSUM_AT = 148
const CHECKSUM_BYTES = 8
const BASE_256 = 0x80

/** One entry of an archive. */
export interface TarEntry {
  readonly kind: 'file' | 'directory' | 'link'
  /** Without leading `./`. */
  readonly path: string
  readonly sizeBytes: number
  readonly mode: number
  readonly modifiedAtMs: number
  /** For links. */
  readonly target: string | undefined
}

const KINDS: Readonly<Record<string, TarEntry['kind']>> = {
  '0': 'file',
  '\0': 'file',
  '2': 'link',
  '5': 'directory',
}

/**
 * Reads the header at `at`; undefined for a block of zeros, which ends an archive.
 * @throws {BackstayError} POSTGRES_PROTOCOL for a wrong checksum, an unknown kind, or a path that
 * leaves the directory.
 */
export function parseTarHeader(bytes: Buffer, at: number): TarEntry | undefined {
  const header = bytes.subarray(at, at + TAR_BLOCK_BYTES)
  const sum = sumOf(header)
  if (sum === CHECKSUM_BYTES * 0x20) return undefined
  if (sum !== readNumber(header, CHECKSUM_AT, CHECKSUM_BYTES))
    throw malformed('its checksum is wrong')
  const flag = header.toString('latin1', 156, 157)
  const kind = KINDS[flag]
  if (kind === undefined) throw malformed(`entries of type "${flag}" are unknown`)
  return {
    kind,
    path: readPath(header),
    sizeBytes: kind === 'file' ? readNumber(header, 124, 12) : 0,
    mode: readNumber(header, 100, 8) & 0o7777,
    modifiedAtMs: readNumber(header, 136, 12) * 1000,
    target: kind === 'link' ? pathOfBytes(readField(header, 157, 100)) : undefined,
  }
}

/** The sum of all bytes, those of the checksum field counted as spaces. */
function sumOf(header: Buffer): number {
  let sum = CHECKSUM_BYTES * 0x20
  for (let index = 0; index < TAR_BLOCK_BYTES; index += 1) {
    if (index === CHECKSUM_AT) index += CHECKSUM_BYTES
    sum += header[index] ?? 0
  }
  return sum
}

function readPath(header: Buffer): string {
  const prefix = readField(header, 345, 155)
  const name = readField(header, 0, 100)
  const whole = pathOfBytes(
    prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]),
  )
  const path = whole.replace(/^(?:\.\/)+/, '').replace(/\/+$/, '')
  const isInside = path !== '' && !path.startsWith('/') && !path.split('/').includes('..')
  if (isInside) return path
  throw malformed(`its path "${whole}" is not inside the directory`)
}

function readField(header: Buffer, at: number, length: number): Buffer {
  const field = header.subarray(at, at + length)
  const end = field.indexOf(0)
  return field.subarray(0, end < 0 ? length : end)
}

/** Octal text, or base 256 when the first bit is set. */
function readNumber(header: Buffer, at: number, length: number): number {
  const value =
    ((header[at] ?? 0) & BASE_256) === 0
      ? Number.parseInt(header.toString('latin1', at, at + length).replace(/[\0 ]+$/, ''), 8)
      : readBase256(header, at, length)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw malformed('a number in it is malformed')
}

function readBase256(header: Buffer, at: number, length: number): number {
  let value = (header[at] ?? 0) & ~BASE_256
  for (let index = at + 1; index < at + length; index += 1)
    value = value * 256 + (header[index] ?? 0)
  return value
}

function malformed(why: string): BackstayError {
  return new BackstayError(
    'POSTGRES_PROTOCOL',
    `Cannot read a header of the server's archive: ${why}`,
  )
}
