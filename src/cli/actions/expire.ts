/**
 * Carries out retention.
 */
import { expireCluster, planClusterExpiry } from '../../backup/expire.ts'
import type { RetentionPolicy } from '../../backup/retention.ts'
import { clearFailedJob } from '../../repository/failed-jobs.ts'
import type { OPTIONS } from '../commands/expire.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { doneResult, planResult } from './expiry-result.ts'
import { openOwnedPlace } from './open-owned-place.ts'
import { openWalPlace } from './wal-place.ts'

type Context = CommandContext<typeof OPTIONS>

/** @throws {BackstayError} REPOSITORY_LOCKED, REPOSITORY_DAMAGED, REPOSITORY_MISSING */
export async function run(context: Context): Promise<CommandResult> {
  const policy = await policyOf(context)
  if (context.options.dryRun) {
    return planResult(await planClusterExpiry(await openWalPlace(context), policy))
  }
  const repository = await openOwnedPlace(context)
  const expired = await expireCluster(repository, policy)
  await clearFailedJob(repository, 'expire')
  return doneResult(expired)
}

/** What the options say, else the cluster file. A window or a count on the command line replaces both of the file's. */
async function policyOf(context: Context): Promise<RetentionPolicy> {
  const { window, count, minimum, repository } = context.options
  const file = repository === undefined ? (await context.config()).wanted.backup : undefined
  const isGiven = window !== undefined || count !== undefined
  const { windowMs, count: fileCount } = file?.retention ?? {
    windowMs: undefined,
    count: undefined,
  }
  return {
    windowMs: isGiven ? window : windowMs,
    count: isGiven ? count : fileCount,
    minimum: minimum ?? file?.retention.minimum ?? 1,
  }
}
