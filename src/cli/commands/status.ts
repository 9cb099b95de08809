/**
 * `backstay status`: the state of everything.
 */
import type { ClusterStatus } from '../../report/status.ts'
import { status } from '../../work/status.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { renderJson } from '../output/json.ts'
import { type ClusterSession, openClusterSession } from '../session/cluster-session.ts'
import { renderStatus } from '../text/cluster-status.ts'

const OPTIONS = {
  watch: {
    type: 'flag',
    help: 'Show it again and again until Ctrl-C; with --json one line each time',
  },
  interval: {
    type: 'duration',
    value: 'TIME',
    default: 2000,
    min: 200,
    help: 'Time between two looks of --watch',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `One look at everything. Exit code 3 when a server is not as it should be.`,
  options: OPTIONS,
  needs: { config: true },
  exits: ['CHECK_FAILED'],
  examples: ['backstay status'],
  run,
})

type StatusContext = CommandContext<typeof OPTIONS>

/** Cursor home, and clear from there. */
const REDRAW = '\u001B[H\u001B[J'

/** @throws CONFIG_MISSING, CONFIG_INVALID */
async function run(context: StatusContext): Promise<CommandResult> {
  await using session = await openClusterSession(context)
  if (context.options.watch) await watch(context, session)
  return resultOf(context, await look(context, session))
}

async function look(context: StatusContext, session: ClusterSession): Promise<ClusterStatus> {
  return await status(session.cluster)
}

/** Until the operator ends it, which is thrown. */
async function watch(context: StatusContext, session: ClusterSession): Promise<never> {
  const { output, clock, signal, options } = context
  for (;;) {
    const result = resultOf(context, await look(context, session))
    // A line for each look, so that a reader can take them one by one.
    if (output.isJson) context.stdout.write(renderJson(result.data, false))
    else output.write(output.isTerminal ? `${REDRAW}${result.text()}` : `${result.text()}\n`)
    await clock.sleep(options.interval, signal)
  }
}

function resultOf({ output }: StatusContext, told: ClusterStatus): CommandResult {
  const { colour, columns } = output
  return {
    data: told,
    text: () => renderStatus(told, { colour, columns }),
    exitCode: told.verdict === 'ok' ? 0 : 3,
  }
}
