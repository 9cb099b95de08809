/**
 * Reads stretches of files into slots while a server writes to them. Blocks its thread: for
 * workers.
 */
import { readSync } from 'node:fs'
import { reasonOf } from '../store/disk-error.ts'
import { PAGE_BYTES } from './format.ts'
import type { SlotRead } from './unit-job.ts'

/** A write of one page is over after so many tries, on a busy disk too. */
const TRIES = 5
const PAUSE_MS = 5

const pause = new Int32Array(new SharedArrayBuffer(4))

/** The file, and what the system said. */
export class UnreadableError extends Error {}

/**
 * Fills the stretch; what lies behind the end of the file becomes zeros.
 * @throws {UnreadableError}
 */
export function readStretch(content: Buffer, read: SlotRead): void {
  const { path, offset, length } = read
  try {
    const done = readAll(content.subarray(offset, offset + length), read)
    content.fill(0, offset + done, offset + length)
  } catch (error) {
    throw new UnreadableError(`"${path}": ${reasonOf(error)}`)
  }
}

function readAll(target: Buffer, { descriptor, position }: SlotRead): number {
  let done = 0
  while (done < target.length) {
    const count = readSync(descriptor, target, done, target.length - done, position + done)
    if (count === 0) break
    done += count
  }
  return done
}

/**
 * A page whose checksum is wrong may have been read while it was written: reads the page at `offset`
 * of the slot again, until `isGood` or as often as that may be. False where it stays bad, or is not
 * read by us.
 */
export function turnsGood(
  content: Buffer,
  { reads, offset }: { readonly reads: readonly SlotRead[]; readonly offset: number },
  isGood: () => boolean,
): boolean {
  const read = reads.find((each) => each.offset <= offset && offset < each.offset + each.length)
  if (read === undefined) return false
  const position = read.position + (offset - read.offset)
  for (let tries = 0; tries < TRIES; tries += 1) {
    if (tries > 0) Atomics.wait(pause, 0, 0, PAUSE_MS)
    readStretch(content, { ...read, position, offset, length: PAGE_BYTES })
    if (isGood()) return true
  }
  return false
}
