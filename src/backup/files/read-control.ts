/**
 * pg_control of a server that runs: read again while it was being written.
 */
import { join } from 'node:path'
import { isBackstayError } from '../../errors/backstay-error.ts'
import {
  CONTROL_FILE_PATH,
  type ControlFile,
  parseControlFile,
} from '../../postgres/control-file.ts'
import type { Clock } from '../../util/clock.ts'
import { readRegular } from '../../util/read-regular.ts'
import { aboutDataFile } from './about-file.ts'

/** PostgreSQL's has 8 kB. */
const CONTROL_BYTES_MAX = 64 * 1024
const TRIES = 10
const PAUSE_MS = 10

/** Its bytes and what they say. */
export interface ReadControl {
  readonly bytes: Buffer
  readonly control: ControlFile
}

/** @throws {BackstayError} POSTGRES_FILE_INVALID when it stays wrong; FAILED */
export async function readControl(
  directory: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<ReadControl> {
  for (let tries = 1; ; tries += 1) {
    const path = join(directory, CONTROL_FILE_PATH)
    const bytes = await aboutDataFile(path, async () => readRegular(path, CONTROL_BYTES_MAX))
    try {
      return { bytes, control: parseControlFile(bytes) }
    } catch (error) {
      if (!isBackstayError(error, 'POSTGRES_FILE_INVALID') || tries === TRIES) throw error
    }
    await clock.sleep(PAUSE_MS, signal)
  }
}
