/**
 * `backstay wal switch`: finish the present segment.
 */
import { switchWal } from '../../work/switch-wal.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { backupOf, openWalPlace, roleConnections } from '../session/wal-place.ts'

const OPTIONS = {
  timeout: {
    type: 'duration',
    value: 'TIME',
    default: 60_000,
    help: 'How long to wait for the segment in the repository',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  needs: { config: true },
  options: OPTIONS,
  exits: ['WAL_UNAVAILABLE', 'POSTGRES_UNREACHABLE'],
  runsOn: 'backup server',
  run,
})

/**
 * @throws {BackstayError} POSTGRES_UNREACHABLE when no primary answers, WAL_UNAVAILABLE when the
 * segment does not come.
 */
async function run(context: CommandContext<typeof OPTIONS>): Promise<CommandResult> {
  const { options, config, signal, clock, workingDirectory } = context
  const none = { repository: undefined, cluster: undefined }
  const repository = await openWalPlace({ options: none, config, clock, workingDirectory })
  const { wanted } = await config()
  const servers = roleConnections(wanted, backupOf(wanted).backupRole)
  const wish = { timeoutMs: options.timeout }
  const { segment } = await switchWal({ repository, servers }, wish, { signal })
  return { data: { segment }, text: () => `Segment ${segment} is stored.` }
}
