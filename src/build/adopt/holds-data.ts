/**
 * Whether the data of a cluster lies where a server says, seen on its machine.
 */
import { posix } from 'node:path'
import { isBackstayError } from '../../errors/backstay-error.ts'
import type { Host } from '../../host/host.ts'
import { SMALL_FILE_BYTES } from '../../host/read-limit.ts'
import { CONTROL_FILE_PATH, parseControlFile } from '../../postgres/control-file.ts'
import type { SeenData } from './look-adopted.ts'

/** False, too, where it cannot be told. @throws HOST_UNREACHABLE */
export async function holdsData(
  host: Host,
  { directory, systemIdentifier }: SeenData,
): Promise<boolean> {
  if (!posix.isAbsolute(directory)) return false
  try {
    const path = posix.join(directory, CONTROL_FILE_PATH)
    const bytes = await host.readFile(path, SMALL_FILE_BYTES)
    return bytes !== undefined && parseControlFile(bytes).systemIdentifier === systemIdentifier
  } catch (error) {
    if (!isBackstayError(error) || error.code === 'HOST_UNREACHABLE') throw error
    return false
  }
}
