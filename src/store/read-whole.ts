/**
 * Reads an object whole, whoever wrote it: never more than such an object can have.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatSize } from '../util/size.ts'
import type { ObjectReader } from './store.ts'

/**
 * The content. `name`: for the message.
 * @throws {BackstayError} REPOSITORY_DAMAGED when it is longer than `limitBytes`
 */
export async function readWhole(
  reader: ObjectReader,
  name: string,
  limitBytes: number,
): Promise<Buffer> {
  checkWhole(name, reader.sizeBytes, limitBytes)
  const content = Buffer.allocUnsafe(reader.sizeBytes)
  await reader.read(0, content)
  return content
}

/**
 * Also of a size that is none: it may come through a pipe.
 * @throws {BackstayError} REPOSITORY_DAMAGED
 */
export function checkWhole(name: string, sizeBytes: number, limitBytes: number): void {
  if (sizeBytes >= 0 && sizeBytes <= limitBytes) return
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read "${name}": it has ${sizeBytes} bytes, and no such object has more than ${formatSize(limitBytes)}`,
    { details: { name, sizeBytes, limitBytes } },
  )
}
