/**
 * Headers of a tar stream: ustar, with a pax record for what does not fit (long names, large
 * files). Format: POSIX.1-2008, pax.
 */
import { bytesOfPath } from '../../util/byte-path.ts'
import { TAR_BLOCK_BYTES } from './tar-header.ts'

/** tar reads in records of 20 blocks: a stream ends with zeros up to a whole one. */
const RECORD_BYTES = 20 * TAR_BLOCK_BYTES
const LARGEST_OCTAL_SIZE = 0o77777777777

/** One entry of a tree. */
export interface TreeEntry {
  readonly kind: 'file' | 'directory' | 'link'
  /** Relative, without `..`. */
  readonly path: string
  readonly mode: number
  readonly sizeBytes: number
  readonly modifiedAtMs: number
  /** Of a link. */
  readonly target?: string
}

const TYPE_FLAGS = { file: '0', link: '2', directory: '5', pax: 'x' } as const

/** The header of `entry`, to be followed by its bytes and `tarPadding` of its size. */
export function tarHeader(entry: TreeEntry): Buffer {
  const records: [string, string][] = []
  if (bytesOfPath(entry.path).length > 100) records.push(['path', entry.path])
  const { target = '' } = entry
  if (bytesOfPath(target).length > 100) records.push(['linkpath', target])
  if (entry.sizeBytes > LARGEST_OCTAL_SIZE) records.push(['size', String(entry.sizeBytes)])
  const header = ustarBlock({
    name: cut(entry.path),
    linkName: cut(target),
    mode: entry.mode,
    sizeBytes: entry.sizeBytes > LARGEST_OCTAL_SIZE ? 0 : entry.sizeBytes,
    modifiedAtMs: entry.modifiedAtMs,
    type: TYPE_FLAGS[entry.kind],
  })
  return records.length === 0 ? header : Buffer.concat([paxEntry(records), header])
}

/** Zero bytes after the content of a file of `sizeBytes`. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES)
}

/**
 * The end of a stream in which `writtenBytes` came before: two zero blocks, and zeros up to a whole
 * record.
 */
export function tarEnd(writtenBytes: number): Buffer {
  const end = writtenBytes + 2 * TAR_BLOCK_BYTES
  return Buffer.alloc(Math.ceil(end / RECORD_BYTES) * RECORD_BYTES - writtenBytes)
}

function paxEntry(records: readonly [string, string][]): Buffer {
  const body = Buffer.concat(records.map(paxRecord))
  const header = ustarBlock({
    name: Buffer.from('pax'),
    linkName: Buffer.alloc(0),
    mode: 0o600,
    sizeBytes: body.length,
    modifiedAtMs: 0,
    type: TYPE_FLAGS.pax,
  })
  return Buffer.concat([header, body, tarPadding(body.length)])
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts itself too. */
function paxRecord([key, value]: readonly [string, string]): Buffer {
  const rest = bytesOfPath(` ${key}=${value}\n`)
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) {
    length = String(length).length + rest.length
  }
  return Buffer.concat([Buffer.from(String(length)), rest])
}

interface UstarFields {
  readonly name: Buffer
  readonly linkName: Buffer
  readonly mode: number
  readonly sizeBytes: number
  readonly modifiedAtMs: number
  readonly type: string
}

function ustarBlock(fields: UstarFields): Buffer {
  const block = Buffer.alloc(TAR_BLOCK_BYTES)
  const octal = (value: number, at: number, digits: number): void => {
    block.write(value.toString(8).padStart(digits, '0'), at, 'latin1')
  }
  fields.name.copy(block, 0)
  // Nothing that is shipped or cloned is set-id or sticky.
  octal(fields.mode & 0o777, 100, 7)
  octal(0, 108, 7)
  octal(0, 116, 7)
  octal(fields.sizeBytes, 124, 11)
  octal(Math.max(0, Math.floor(fields.modifiedAtMs / 1000)), 136, 11)
  block.fill(' ', 148, 156)
  block.write(fields.type, 156, 'latin1')
  fields.linkName.copy(block, 157)
  block.write('ustar\u000000', 257, 'latin1')
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  )
  block[154] = 0
  return block
}

/** The first 100 bytes; a pax record has the whole. */
function cut(text: string): Buffer {
  return bytesOfPath(text).subarray(0, 100)
}
