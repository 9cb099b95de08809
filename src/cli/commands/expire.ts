/**
 * `backstay expire`: carries out retention.
 */
import { expireCluster, planClusterExpiry } from '../../backup/expire.ts'
import type { RetentionPolicy } from '../../backup/retention.ts'
import { clearFailedJob } from '../../repository/failed-jobs.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { openOwnedPlace } from '../session/open-owned-place.ts'
import { openWalPlace } from '../session/wal-place.ts'
import { doneResult, planResult } from '../text/expiry-result.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  dryRun: { type: 'flag', help: 'Say what would go and why, and change nothing' },
  window: {
    type: 'duration',
    value: 'TIME',
    min: 0,
    help: 'Every moment of the last TIME stays restorable (default: as the cluster file says)',
  },
  count: { type: 'int', value: 'N', min: 1, help: 'The newest N backups stay' },
  minimum: {
    type: 'int',
    value: 'N',
    min: 1,
    help: 'The newest N good backups stay whatever else',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  options: OPTIONS,
  exits: ['REPOSITORY_LOCKED', 'REPOSITORY_DAMAGED'],
  examples: ['backstay expire --dry-run', 'backstay expire --window 14d --minimum 2'],
  runsOn: 'backup server',
  run,
})

/** @throws {BackstayError} REPOSITORY_LOCKED, REPOSITORY_DAMAGED, REPOSITORY_MISSING */
async function run(context: CommandContext<typeof OPTIONS>): Promise<CommandResult> {
  const policy = await policyOf(context)
  if (context.options.dryRun) {
    return planResult(await planClusterExpiry(await openWalPlace(context), policy))
  }
  const repository = await openOwnedPlace(context)
  const expired = await expireCluster(repository, policy)
  await clearFailedJob(repository, 'expire')
  return doneResult(expired)
}

/**
 * What the options say, else the cluster file. A window or a count on the command line replaces
 * both of the file's.
 */
async function policyOf(context: CommandContext<typeof OPTIONS>): Promise<RetentionPolicy> {
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
