/**
 * Opens a restored copy: with which programs, and until it has recovered.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { type BinariesWanted, findBinaries, type PostgresBinaries } from '../host/binaries.ts'
import type { Host } from '../host/host.ts'
import { isSupportedMajor } from '../postgres/version.ts'
import type { RestorePlan } from '../restore/plan.ts'
import { type OpenedState, type OpenOptions, openRestored } from '../restore/start.ts'

/**
 * PostgreSQL of the backup's version.
 * @throws {BackstayError} POSTGRES_VERSION, BINARIES_MISSING
 */
export async function copyBinaries(
  host: Host,
  { backup }: RestorePlan,
  wanted: Omit<BinariesWanted, 'major'>,
): Promise<PostgresBinaries> {
  const { major } = backup.postgres
  if (isSupportedMajor(major)) return await findBinaries(host, { ...wanted, major })
  throw new BackstayError('POSTGRES_VERSION', `Cannot open PostgreSQL ${major}: it is not known`)
}

/** A copy that is restored. */
export interface RestoredCopy {
  readonly plan: RestorePlan
  readonly directory: string
  readonly host: Host
  /** The OS user who opens it. */
  readonly user: string
  readonly binaries: PostgresBinaries
}

/** @throws {BackstayError} what `openRestored` throws */
export async function openCopy(
  { plan, directory, ...copy }: RestoredCopy,
  options: Omit<OpenOptions, 'logFile'>,
): Promise<OpenedState> {
  const instance = { name: 'the restored server', directory, ...copy }
  const logFile = `${directory}/log/backstay-start.log`
  return await openRestored(instance, plan, { ...options, logFile })
}
