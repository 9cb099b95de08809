/**
 * `backstay demo`: everything Backstay does, on this machine, in one go.
 */
import { takeDown } from '../../build/down.ts'
import { LocalHost } from '../../host/local-host.ts'
import { acquireProcessLock, type ProcessLock } from '../../host/process-lock.ts'
import { clusterStatus } from '../../report/status.ts'
import type { CommandContext } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { RunningCommand } from '../demo/own-command.ts'
import { renderEnding } from '../demo/screen.ts'
import { type DemoPlace, settleDemo } from '../demo/settle.ts'
import * as story from '../demo/story.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { readBackupStatus } from '../../report/read-backup-status.ts'
import { backupOf } from '../session/wal-place.ts'
import { type ClusterSession, openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'
import { renderStatus } from '../text/cluster-status.ts'
import { join } from 'node:path'

const OPTIONS = {
  once: { type: 'flag', help: 'Show everything, stop the servers and end' },
  directory: {
    type: 'string',
    value: 'DIR',
    help: 'Where it lives (default: ./backstay-demo; where others could write there, a place of your own)',
  },
  postgres: {
    type: 'int',
    value: 'MAJOR',
    min: 11,
    max: 18,
    help: 'Major version of PostgreSQL (default: 18)',
  },
  port: {
    type: 'int',
    value: 'N',
    min: 1024,
    max: 65_533,
    help: 'The primary’s port; the next two are used as well (default: 25432 or the next free ones)',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `Builds them on loopback, proves replication with a row, takes a backup, restores it to the latest moment and finds the
row again. Stays until Ctrl-C, which stops everything; started again, it goes on with what is there.`,
  options: OPTIONS,
  exits: ['BINARIES_MISSING', 'PORT_IN_USE', 'DIRECTORY_FOREIGN', 'HOST_PRIVILEGE'],
  examples: ['backstay demo', 'backstay demo --once --directory /var/tmp/look'],
  run,
})

type DemoContext = CommandContext<typeof OPTIONS>

/** Bounds stopping the servers, which goes on after Ctrl-C. */
const STOP_TIMEOUT_MS = 120_000

/** @throws what settling, building and proving throw; the servers are stopped first */
async function run(context: DemoContext): Promise<void> {
  const startedAtMs = context.clock.monotonic()
  const place = await settle(context)
  await using session = await openDemo(context, place)
  await using _only = await lockDemo(session, context)
  const stage = { place, cluster: session.cluster, ...context.output, ...context }
  let server: RunningCommand | undefined
  try {
    const { tasks } = context.output
    await story.buildCluster(stage)
    server = await tasks.task('Start the backup server: it receives WAL', () =>
      story.startBackupServer(stage),
    )
    await prove(context, stage)
    const elapsedMs = context.clock.monotonic() - startedAtMs
    await showEnding(context, session, { place, elapsedMs })
    if (!context.options.once) await untilStopped(context.signal, server)
  } finally {
    await stop(context, place, server)
  }
}

async function settle(context: DemoContext): Promise<DemoPlace> {
  const host = new LocalHost('localhost')
  const { options, workingDirectory, environment, trusted, output } = context
  const { directory, postgres: major, port } = options
  const { HOME: home, XDG_DATA_HOME: data } = environment
  const dataHome = data || (home && join(home, '.local/share'))
  return await output.tasks.task('Choose directory, ports and PostgreSQL', () =>
    settleDemo(host, { directory, major, port, workingDirectory, dataHome, trusted }),
  )
}

async function openDemo(
  context: Pick<DemoContext, 'clock' | 'signal' | 'workingDirectory' | 'output' | 'trusted'>,
  place: DemoPlace,
): Promise<ClusterSession> {
  return await openClusterSession(
    { ...context, config: async () => place.loaded },
    // It runs the service itself, and ends it.
    {
      report: reportSteps(context.output.tasks),
      osUserFallback: 'nobody',
      ownService: undefined,
    },
  )
}

/**
 * One demo at a time in a directory: whoever ends stops the servers.
 * @throws REPOSITORY_LOCKED naming the other one
 */
async function lockDemo(
  { cluster: { state } }: ClusterSession,
  { clock }: Pick<DemoContext, 'clock'>,
): Promise<ProcessLock> {
  await state.create()
  return await acquireProcessLock(join(state.path, 'demo'), { purpose: 'backstay demo', clock })
}

async function prove(context: DemoContext, stage: story.DemoStage): Promise<void> {
  const { tasks } = context.output
  await tasks.task('Write a row on the primary, read it on the standby', async (task) => {
    task.update(await story.proveReplication(stage))
  })
  await tasks.task('Take a base backup', () => story.takeFirstBackup(stage, context.signal))
  const row = await tasks.task('Write a row after the backup', () => story.writeRow(stage))
  await tasks.task('Wait until its WAL is safe on the backup server', () =>
    story.waitForRow(stage, row),
  )
  await tasks.task('Restore to the latest moment, open the copy, find the row', () =>
    story.proveRestore(stage, row),
  )
}

async function showEnding(
  { output, clock }: DemoContext,
  { wanted, cluster }: ClusterSession,
  facts: { readonly place: DemoPlace; readonly elapsedMs: number },
): Promise<void> {
  const { colour, columns } = output
  const backup = backupOf(wanted)
  const status = await clusterStatus(cluster, async () => readBackupStatus(wanted, backup, clock))
  output.write(`\n${renderStatus(status, { colour, columns })}`)
  output.write(renderEnding({ ...facts, wanted, passfile: cluster.state.passfile }))
}

/** Until a signal comes, or the backup server ends by itself. */
async function untilStopped(signal: AbortSignal, server: RunningCommand): Promise<void> {
  const interrupted = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
  await Promise.race([interrupted, server.ended])
}

/** The signal that ended the demo is spent: stopping has a bound of its own. */
async function stop(
  context: DemoContext,
  place: DemoPlace,
  server: RunningCommand | undefined,
): Promise<void> {
  const signal = AbortSignal.timeout(STOP_TIMEOUT_MS)
  await using session = await openDemo({ ...context, signal }, place)
  await takeDown(session.cluster, {
    stopReceiver: async () => server?.stop(),
    mayBreakOff: async () => true,
  })
}
