/**
 * The tar stream that put-wal reads: the file and the sum of its bytes as they are sent.
 */
import { createHash } from 'node:crypto'
import { tarEnd, tarHeader, tarPadding } from '../../postgres/tar/tar-writer.ts'

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
  const parts = [file, sums].flatMap(({ name, content, modifiedAtMs }) => [
    tarHeader({ kind: 'file', path: name, mode: 0o600, sizeBytes: content.length, modifiedAtMs }),
    content,
    tarPadding(content.length),
  ])
  const bytes = parts.reduce((total, part) => total + part.length, 0)
  return Buffer.concat([...parts, tarEnd(bytes)])
}
