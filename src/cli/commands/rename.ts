/**
 * `backstay rename`: a server has another name in the cluster file now.
 */
import { rename } from '../../build/made/rename.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { askYes } from '../session/ask-yes.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'

const ARGUMENTS = [
  { name: 'old', help: 'Name it had' },
  { name: 'new', help: 'Name it has in the cluster file now' },
] as const satisfies readonly ArgumentSpec[]

const OPTIONS = {
  yes: { type: 'flag', help: 'Restart the server without asking' },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `Change the name in the cluster file first, and nothing else. Does what up does, restarts the server as the service of its new name, and takes away what bears the old one: service, slot, way into the repository. Run again after an interruption, it goes on.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  needs: { config: true },
  exits: ['NEEDS_CONFIRMATION', 'NOT_READY', 'UNFINISHED', 'HOST_UNREACHABLE', 'REPOSITORY_LOCKED'],
  examples: ['backstay rename db2 berlin'],
  run,
})

/** @throws USAGE, NEEDS_CONFIRMATION, NOT_READY, what a step of `up` throws */
async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const { old: from, new: to } = context.arguments
  const report = reportSteps(context.output.tasks)
  await using session = await openClusterSession(context, { report })
  const removed = await rename(session.cluster, {
    from,
    to,
    confirm: async (question) => context.options.yes || (await askYes(context, question)),
  })
  return {
    data: { cluster: session.wanted.name, from, to, removed },
    text: () =>
      [...removed.map((what) => `Removed ${what}`), `"${from}" is "${to}" now`].join('\n'),
  }
}
