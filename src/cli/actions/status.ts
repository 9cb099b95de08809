/**
 * Shows the state of everything, once or again and again.
 */
import { clusterStatus, type ClusterStatus } from '../../report/status.ts'
import type { OPTIONS } from '../commands/status.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { renderJson } from '../output/json.ts'
import { type ClusterSession, openClusterSession } from '../session/cluster-session.ts'
import { sessionBackupStatus } from '../session/remote-backup-status.ts'
import { renderStatus } from '../text/cluster-status.ts'

type Context = CommandContext<typeof OPTIONS>

/** Cursor home, and clear from there. */
const REDRAW = '\u001B[H\u001B[J'

/** @throws CONFIG_MISSING, CONFIG_INVALID */
export async function run(context: Context): Promise<CommandResult> {
  await using session = await openClusterSession(context)
  if (context.options.watch) await watch(context, session)
  return resultOf(context, await look(context, session))
}

async function look(context: Context, session: ClusterSession): Promise<ClusterStatus> {
  return await clusterStatus(session.cluster, sessionBackupStatus(session, context.clock))
}

/** Until the operator ends it, which is thrown. */
async function watch(context: Context, session: ClusterSession): Promise<never> {
  const { output, clock, signal, options } = context
  for (;;) {
    const result = resultOf(context, await look(context, session))
    // A line for each look, so that a reader can take them one by one.
    if (output.isJson) context.stdout.write(renderJson(result.data, false))
    else output.write(output.isTerminal ? `${REDRAW}${result.text()}` : `${result.text()}\n`)
    await clock.sleep(options.interval, signal)
  }
}

function resultOf({ output }: Context, status: ClusterStatus): CommandResult {
  const { colour, columns } = output
  return {
    data: status,
    text: () => renderStatus(status, { colour, columns }),
    exitCode: status.verdict === 'ok' ? 0 : 3,
  }
}
