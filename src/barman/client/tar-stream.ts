/**
 * The tar stream that put-wal reads: the file and the sum of its bytes as they are sent.
 * Source: POSIX.1-2008 "ustar Interchange Format".
 */
import { createHash } from 'node:crypto'

const BLOCK_BYTES = 512
const RECORD_BYTES = 20 * BLOCK_BYTES

/** A file to send. */
export interface FileToSend {
  readonly name: string
  readonly content: Buffer
  readonly modifiedAtMs: number
}

/** The whole stream. `isMd5`: sums for servers that know nothing newer. */
export function tarStream(file: FileToSend, isMd5: boolean): Buffer {
  const sum = createHash(isMd5 ? 'md5' : 'sha256')
    .update(file.content)
    .digest('hex')
  const sums: FileToSend = {
    name: isMd5 ? 'MD5SUMS' : 'SHA256SUMS',
    content: Buffer.from(`${sum} *${file.name}\n`),
    modifiedAtMs: file.modifiedAtMs,
  }
  const parts = [...member(file), ...member(sums), Buffer.alloc(2 * BLOCK_BYTES)]
  const bytes = parts.reduce((total, part) => total + part.length, 0)
  return Buffer.concat([...parts, Buffer.alloc(padding(bytes, RECORD_BYTES))])
}

function member({ name, content, modifiedAtMs }: FileToSend): Buffer[] {
  const header = Buffer.alloc(BLOCK_BYTES)
  const octal = (value: number, at: number, digits: number): void => {
    header.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1')
  }
  header.write(name, 0, 100, 'utf8')
  octal(0o600, 100, 7)
  octal(0, 108, 7)
  octal(0, 116, 7)
  octal(content.length, 124, 11)
  octal(Math.floor(modifiedAtMs / 1000), 136, 11)
  header.write('        0', 148, 'latin1')
  header.write('ustar\u000000', 257, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return [header, content, Buffer.alloc(padding(content.length, BLOCK_BYTES))]
}

function padding(bytes: number, unit: number): number {
  return (unit - (bytes % unit)) % unit
}
