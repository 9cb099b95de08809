/**
 * JSON objects with their own checksum as last key (docs/repository-format.md §3).
 */
import { createHash } from 'node:crypto'
import { BackstayError } from '../errors/backstay-error.ts'
import { readJson } from '../util/read-json.ts'

const CHECKSUM_LINE = /\n {2}"checksum": "([0-9a-f]{64})"\n\}\n$/

/**
 * Writes `value` with two spaces of indentation, `checksum` last. It must have at least one key,
 * none of them `checksum`.
 */
export function sealJson(value: Readonly<Record<string, unknown>>): Buffer {
  const text = JSON.stringify(value, undefined, 2)
  const body = `${text.slice(0, -'\n}'.length)},\n`
  return Buffer.from(`${body}  "checksum": "${sha256(body)}"\n}\n`)
}

/**
 * Reads what `sealJson` wrote. `name` is the object's, for the message.
 * @throws {BackstayError} REPOSITORY_DAMAGED when a byte is not as it was written.
 */
export function openSealedJson(name: string, content: Buffer): Readonly<Record<string, unknown>> {
  const text = content.toString('utf8')
  const match = CHECKSUM_LINE.exec(text)
  const body = match === null ? undefined : text.slice(0, match.index + 1)
  if (match === null || body === undefined || sha256(body) !== match[1]) {
    throw new BackstayError('REPOSITORY_DAMAGED', `Cannot use "${name}": its checksum is wrong`)
  }
  const value = readJson(text)
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  throw new BackstayError('REPOSITORY_DAMAGED', `Cannot use "${name}": it is no JSON`)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
