/**
 * Whether the disks have room for a restore, before a byte is written.
 */
import { lstat, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { errnoOf } from '../host/file-error.ts'
import type { Host } from '../host/host.ts'
import { filePath, readItems } from '../util/byte-path.ts'
import { formatSize } from '../util/size.ts'

/** What a directory is to take. */
export interface SpaceNeed {
  readonly directory: string
  readonly bytes: number
  /** Bytes in it that go or are written over. */
  readonly reusedBytes: number
}

/**
 * Checks each file system once, for everything that goes onto it.
 * @throws {BackstayError} DISK_SPACE
 */
export async function checkSpace(host: Host, needs: readonly SpaceNeed[]): Promise<void> {
  const systems = new Map<number, { directory: string; bytes: number }>()
  for (const need of needs) {
    const device = await deviceOf(need.directory)
    const before = systems.get(device) ?? { directory: need.directory, bytes: 0 }
    const bytes = before.bytes + Math.max(0, need.bytes - need.reusedBytes)
    systems.set(device, { ...before, bytes })
  }
  for (const { directory, bytes } of systems.values()) {
    const free = await host.freeBytes(directory)
    if (free >= bytes) continue
    throw new BackstayError(
      'DISK_SPACE',
      `Cannot restore into "${directory}": it needs ${formatSize(bytes)} and ${formatSize(free)} are free`,
      { details: { directory, neededBytes: bytes, freeBytes: free } },
    )
  }
}

/** Sum of the sizes of the files in a tree; links are not followed; 0 when there is nothing. */
export async function treeBytes(directory: string): Promise<number> {
  let bytes = 0
  const items = await readItems(directory).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  for (const item of items) {
    const path = join(directory, item.name)
    if (item.isDirectory()) bytes += await treeBytes(path)
    else if (item.isFile()) bytes += (await lstat(filePath(path))).size
  }
  return bytes
}

async function deviceOf(path: string): Promise<number> {
  for (let at = path; ; at = dirname(at)) {
    try {
      return (await stat(at)).dev
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || at === dirname(at)) throw error
    }
  }
}
