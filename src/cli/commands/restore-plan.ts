/**
 * `backstay restore-plan`: started by `restore --server --plan` on the machine of the repository;
 * not for people. The wish comes on standard input, the plan goes out as one line.
 */
import { text } from 'node:stream/consumers'
import { BackstayError } from '../../errors/backstay-error.ts'
import { wishFrom, WishWords } from '../../fleet/restore-order.ts'
import { encodePlan } from '../../fleet/told-plan.ts'
import { readJson } from '../../util/read-json.ts'
import { planInRepository } from '../../work/plan-restore.ts'
import type { CommandContext } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { openWalPlace } from '../session/wal-place.ts'
import { readVersion } from '../version.ts'
import { WAL_PLACE_OPTIONS, type WalPlaceOptions } from './wal-options.ts'

export default defineCommand({
  options: WAL_PLACE_OPTIONS,
  exits: ['TARGET_UNREACHABLE', 'BACKUP_MISSING', 'REPOSITORY_DAMAGED'],
  run,
})

/** @throws {BackstayError} USAGE when no wish came; what a plan throws */
async function run(context: CommandContext<WalPlaceOptions>): Promise<void> {
  const words = WishWords.safeParse(readJson(await text(context.stdin)))
  if (!words.success) throw new BackstayError('USAGE', 'Cannot plan: what came is no wish')
  const repository = await openWalPlace(context)
  const wish = await wishFrom(words.data, repository)
  const { plan } = await planInRepository(repository, wish, context)
  context.stdout.write(`${JSON.stringify({ version: readVersion(), plan: encodePlan(plan) })}\n`)
}
