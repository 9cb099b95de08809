/**
 * Takes a switchover back: the candidate stays a standby, and the old primary serves again. The
 * first is made sure of before the second, so that there are never two.
 */
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { stopServer } from '../host/postgres-control.ts'
import { applySteps, takeStep } from '../build/apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { step } from '../build/plan/step.ts'
import { instanceOf } from '../build/steps/act-context.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { closeJournal, type SwitchoverJournal } from '../cluster/journal.ts'
import { readControl } from './shutdown-record.ts'
import { wantedServer } from '../cluster/wanted-server.ts'
import { signalFilePath, standbyFilePath } from '../cluster/file-paths.ts'

const STOP_TIMEOUT_MS = 10 * 60_000

/**
 * Rolls back. @param asked whether the candidate was, or may have been, asked to become the
 * primary.
 * @throws UNFINISHED when it cannot be ruled out that it has; what stopping and starting throw.
 */
export async function rollBack(
  context: ClusterContext,
  journal: SwitchoverJournal,
  asked: { readonly isAsked: boolean },
): Promise<void> {
  const { wanted } = context
  if (asked.isAsked) {
    const told = { id: `${journal.to}.hold`, server: journal.to, title: 'stay a standby' }
    await takeStep(context, told, async () => holdBack(context, journal))
  }
  const from = wantedServer(wanted, journal.from)
  const told = { id: `${from.name}.unfence`, server: from.name, title: 'be the primary again' }
  await takeStep(context, told, async () => {
    const instance = await instanceOf(context, from)
    // It may still be shutting down, or somebody may have started it as a standby.
    await stopServer(instance, { timeoutMs: STOP_TIMEOUT_MS, signal: context.signal })
    await unfence(context, from)
  })
  await applySteps(context, [startStep(from.name)])
  await closeJournal(context)
}

/**
 * A stopped server forgets that it was asked to be promoted; whether it was promoted before,
 * pg_control tells. One that was serves again: nobody else does.
 */
async function holdBack(context: ClusterContext, journal: SwitchoverJournal): Promise<void> {
  const to = wantedServer(context.wanted, journal.to)
  const instance = await instanceOf(context, to)
  await stopServer(instance, { timeoutMs: STOP_TIMEOUT_MS, signal: context.signal })
  const { state, minRecoveryTimeline, checkpoint } = await readControl(context, to)
  if (state === 'shut down' && checkpoint.timeline > journal.timeline) {
    await applySteps(context, [startStep(to.name)])
    throw new BackstayError('UNFINISHED', `"${to.name}" has become the primary, and serves`, {
      hint: 'Run backstay switchover again.',
    })
  }
  if (state !== 'shut down in recovery' || minRecoveryTimeline > journal.timeline) {
    throw new BackstayError(
      'UNFINISHED',
      `"${to.name}" was asked to become the primary, and its control file says "${state}": it may be the primary now`,
      { hint: `Start it, and run backstay switchover again.` },
    )
  }
  await applySteps(context, [startStep(to.name)])
}

/**
 * For a stopped server: without the signal (12+) or recovery.conf (up to 11) it starts as the
 * primary it was.
 */
export async function unfence(context: ClusterContext, server: ServerWanted): Promise<void> {
  const { host } = await context.machineOf(server)
  const main = server.configFile ?? posix.join(server.directory, 'postgresql.conf')
  const path =
    signalFilePath(context.wanted, server) ?? standbyFilePath(context.wanted, server, main)
  await host.remove(path)
}

function startStep(server: string): ReturnType<typeof step> {
  return step(server, { action: 'start' }, { title: 'start PostgreSQL', reason: 'taken back' })
}
