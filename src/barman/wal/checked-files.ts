/**
 * From the members of a put-wal stream to files whose checksums are right. Pure; the texts are
 * Barman's.
 */
import { createHash } from 'node:crypto'
import type { TarMember } from './tar-members.ts'

/** A file as it was sent. */
export interface SentFile {
  readonly name: string
  readonly content: Buffer
}

/** Files to store, or why none may be; and remarks. */
export interface CheckedFiles {
  readonly files: readonly SentFile[]
  readonly warnings: readonly string[]
  readonly error: string | undefined
}

const SUMS: Readonly<Record<string, string>> = { SHA256SUMS: 'sha256', MD5SUMS: 'md5' }
/** Of a file of sums: a client sends a line or two. */
const SUMS_BYTES_MAX = 64 * 1024
const TYPE_NAMES: Readonly<Record<string, string>> = {
  '1': 'hard link',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'dir',
  '6': 'fifo',
}

/** `place`: ` in put-wal for server 'pg' (SSH host: 10.0.0.1)`. */
export function checkFiles(members: readonly TarMember[], place: string): CheckedFiles {
  const warnings: string[] = []
  const files = new Map<string, Buffer>()
  const sums = new Map<string, { algorithm: string; sum: string }>()
  for (const { name: whole, type, content } of members) {
    const name = whole.replace(/^\.\//, '')
    const algorithm = SUMS[name]
    const isTooLong = algorithm !== undefined && content.length > SUMS_BYTES_MAX
    const error = isTooLong ? `Too many checksums in '${name}'` : whyRefused(name, type)
    if (error !== undefined) return { files: [], warnings, error: `${error}${place}` }
    if (algorithm === undefined) files.set(name, content)
    else readSums(content.toString('utf8'), algorithm, { sums, warnings, place })
  }
  const error = whyUnequal(files, sums)
  if (error !== undefined) return { files: [], warnings, error: `${error}${place}` }
  return { files: [...files].map(([name, content]) => ({ name, content })), warnings, error }
}

function whyRefused(name: string, type: string): string | undefined {
  if (type !== '0') return `Unsupported file type '${TYPE_NAMES[type] ?? type}' for file '${name}'`
  return name.includes('/') || name === '' ? `Unsupported filename '${name}'` : undefined
}

interface Sums {
  readonly sums: Map<string, { algorithm: string; sum: string }>
  readonly warnings: string[]
  readonly place: string
}

function readSums(text: string, algorithm: string, { sums, warnings, place }: Sums): void {
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const match = /^(\S+) [* ](.+)$/.exec(line.trimEnd())
    if (match === null) {
      warnings.push(`Bad checksum line '${line}' found${place}`)
      continue
    }
    const name = (match[2] ?? '').replace(/^\.\//, '')
    sums.set(name, { algorithm, sum: match[1] ?? '' })
  }
}

function whyUnequal(files: ReadonlyMap<string, Buffer>, sums: Sums['sums']): string | undefined {
  for (const [name, { algorithm, sum }] of sums) {
    const content = files.get(name)
    if (content === undefined) return `Checksum without corresponding file '${name}'`
    const found = createHash(algorithm).update(content).digest('hex')
    if (found !== sum.toLowerCase()) {
      return `Bad file checksum '${found}' (should be ${sum}) for file '${name}'`
    }
  }
  const without = [...files.keys()].find((name) => !sums.has(name))
  return without === undefined ? undefined : `Missing checksum for file '${without}'`
}
