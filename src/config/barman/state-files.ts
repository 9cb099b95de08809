/**
 * Files that commands write and the configuration is read from: the options config-update has set,
 * the models config-switch has made active.
 */
import { join } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { readRegular } from '../../util/read-regular.ts'

/** Of both: an option has a line, a name less. */
const STATE_BYTES_MAX = 64 * 1024

/** Options that config-update has set. */
export function autoFile(barmanHome: string): string {
  return join(barmanHome, '.barman.auto.conf')
}

/** Holds the name of a server's active model. */
export function activeModelFile(backupDirectory: string): string {
  return join(backupDirectory, '.active-model.auto')
}

/**
 * Its text; undefined when it is not there, or not for us: who may not read it is told later that
 * he is not barman_user.
 * @throws {BackstayError} CONFIG_INVALID
 */
export async function readState(file: string): Promise<string | undefined> {
  try {
    return (await readRegular(file, STATE_BYTES_MAX)).toString('utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(code ?? '')) return undefined
    throw new BackstayError('CONFIG_INVALID', `Cannot read "${file}": ${message}`, { cause: error })
  }
}
