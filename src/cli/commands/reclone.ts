/**
 * `backstay reclone`: a new clone of a standby.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { recloneStandby } from '../../failover/reclone.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { askYes } from '../session/ask-yes.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'

const ARGUMENTS = [
  { name: 'server', help: 'Name of the standby in the cluster file' },
] as const satisfies readonly ArgumentSpec[]

const OPTIONS = {
  discardOld: {
    type: 'flag',
    help: 'Remove the old content first, where the disk has no room for both',
  },
  yes: { type: 'flag', help: 'Confirm --discard-old' },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `What lies in its directory is set aside and removed only when the new standby streams.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  needs: { config: true },
  exits: [
    'SPLIT_BRAIN',
    'PRIMARY_MISSING',
    'NOT_READY',
    'DISK_SPACE',
    'DIRECTORY_FOREIGN',
    'DATA_LOSS',
    'NEEDS_CONFIRMATION',
  ],
  examples: ['backstay reclone db2'],
  run,
})

/** @throws USAGE, NEEDS_CONFIRMATION, SPLIT_BRAIN, DIRECTORY_FOREIGN, what `up` throws */
async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const { server } = context.arguments
  const { discardOld, yes } = context.options
  const report = reportSteps(context.output.tasks)
  await using session = await openClusterSession(context, { report })
  if (!session.wanted.servers.some(({ name }) => name === server)) {
    throw new BackstayError('USAGE', `There is no server "${server}" in the cluster file`)
  }
  if (discardOld && !yes && !(await askYes(context, `Remove what "${server}" holds now?`))) {
    throw new BackstayError('NEEDS_CONFIRMATION', `Will not remove the data of "${server}" unasked`)
  }
  const { keptAside } = await recloneStandby(session.cluster, server, { discardOld })
  return {
    data: { server, keptAside },
    text: () =>
      [
        `"${server}" is a new clone and streams`,
        ...keptAside.map((path) => `Kept aside: ${path}`),
      ].join('\n'),
  }
}
