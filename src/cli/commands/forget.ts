/**
 * `backstay forget`: takes away what was made of a server that the cluster file has no more.
 */
import { forget } from '../../build/made/forget.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { askYes } from '../session/ask-yes.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'

const ARGUMENTS = [
  {
    name: 'server',
    help: 'Name it had in the cluster file; the backup server’s for the backup part',
  },
] as const satisfies readonly ArgumentSpec[]

const OPTIONS = {
  removeData: { type: 'flag', help: 'Remove its data directory as well, for good' },
  hostIsLost: { type: 'flag', help: 'Its machine is gone: do nothing there' },
  yes: { type: 'flag', help: 'Do it without asking' },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `Stops it, removes its service, drops its slot on the primary, closes its way into the repository. For the backup part: its service and slot, and login and password of its roles. Its data stay unless --remove-data is said, a repository always does. plan says what there is to forget.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  needs: { config: true },
  exits: [
    'NEEDS_CONFIRMATION',
    'NOT_READY',
    'HOST_UNREACHABLE',
    'POSTGRES_IDENTITY',
    'UNFINISHED',
    'REPOSITORY_LOCKED',
  ],
  examples: ['backstay forget db3', 'backstay forget db3 --remove-data', 'backstay forget vault'],
  run,
})

/**
 * @throws USAGE, NEEDS_CONFIRMATION, NOT_READY, HOST_UNREACHABLE, POSTGRES_IDENTITY, what stopping
 * throws
 */
async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const { options, output } = context
  const { server: name } = context.arguments
  const report = reportSteps(output.tasks)
  await using session = await openClusterSession(context, { report })
  const { removed, kept } = await forget(session.cluster, {
    name,
    removesData: options.removeData,
    isLost: options.hostIsLost,
    confirm: async (question) => options.yes || (await askYes(context, question)),
  })
  return {
    data: { cluster: session.wanted.name, server: name, removed, kept },
    text: () =>
      [
        ...removed.map((what) => `Removed ${what}`),
        ...kept.map((what) => `Kept ${what}`),
        `"${name}" is forgotten. backstay up takes it out of settings and access lines`,
      ].join('\n'),
  }
}
