/**
 * Reads a file that a database server sends, of the size it announced: no more, no less, and not
 * for ever.
 */
import type { Readable } from 'node:stream'
import { BackstayError } from '../../errors/backstay-error.ts'

/** Who sends, or takes, nothing for so long has gone. */
export const SILENCE_MS = 60_000
/** Whoever is slower than this only holds a place. */
export const SLOWEST_BYTES_PER_S = 64 * 1024

/** A file as its sender announced it. */
interface Announced {
  readonly name: string
  readonly sizeBytes: number
}

/**
 * All of it. A connection that breaks off looks like the end of the file: only the announced size
 * tells.
 * @throws {BackstayError} WAL_INVALID when other than that comes, or nothing for a minute, or it
 * takes too long
 */
export async function announcedContent(stdin: Readable, announced: Announced): Promise<Buffer> {
  const { sizeBytes } = announced
  const giveUp = (): void => void stdin.destroy(cut(announced, 'in time no'))
  const silence = setTimeout(giveUp, SILENCE_MS)
  const slowness = setTimeout(giveUp, SILENCE_MS + (sizeBytes / SLOWEST_BYTES_PER_S) * 1000)
  try {
    const content = Buffer.alloc(sizeBytes)
    let filled = 0
    for await (const chunk of stdin as AsyncIterable<Buffer>) {
      if (filled + chunk.length > sizeBytes) throw cut(announced, `more than ${sizeBytes}`)
      filled += chunk.copy(content, filled)
      silence.refresh()
    }
    if (filled === sizeBytes) return content
    throw cut(announced, String(filled))
  } finally {
    clearTimeout(silence)
    clearTimeout(slowness)
  }
}

function cut({ name, sizeBytes }: Announced, came: string): BackstayError {
  return new BackstayError(
    'WAL_INVALID',
    `Cannot store WAL file "${name}": ${came} bytes came, ${sizeBytes} were announced`,
  )
}
