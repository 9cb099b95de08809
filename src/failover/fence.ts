/**
 * Keeps an old primary from ever serving again as one: it is marked to start as a standby, and
 * ended if it runs. The mark comes first, so that whatever restarts it restarts a standby.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { stopServer } from '../host/postgres-control.ts'
import { findPostmaster } from '../host/postmaster.ts'
import { until } from '../util/until.ts'
import { applySteps, takeStep } from '../build/apply.ts'
import type { ClusterContext, Machine } from '../cluster/context.ts'
import type { MemberFound } from '../cluster/leader.ts'
import { instanceOf } from '../build/steps/act-context.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { asStopped, followSteps } from './follow.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** For a server that does not answer: longer, and it is ended by force. */
const STOP_TIMEOUT_MS = 10_000
const END_TIMEOUT_MS = 10_000

/** Fences `from`, which is to follow `to`. @throws TIMEOUT when its processes do not end. */
export async function fencePrimary(
  context: ClusterContext,
  from: MemberFound,
  to: string,
): Promise<void> {
  await applySteps(context, followSteps(context.wanted, asStopped(from), to))
  const server = wantedServer(context.wanted, from.name)
  if (from.running === undefined) return await requireStopped(context, server)
  const told = { id: `${from.name}.end`, server: from.name, title: 'end what does not answer' }
  await takeStep(context, told, async () => endServer(context, server))
}

/** Whatever starts it after the mark starts a standby; what was started before it may serve. */
async function requireStopped(context: ClusterContext, server: ServerWanted): Promise<void> {
  const { host } = await context.machineOf(server)
  const postmaster = await findPostmaster(host, server.directory)
  if (postmaster === undefined) return
  throw new BackstayError(
    'NOT_READY',
    `Will not fail over: "${server.name}" did not run and has been started meanwhile (pid ${postmaster.pid})`,
    {
      hint: 'Run backstay status. To give it up all the same, stop it, and run backstay failover again.',
    },
  )
}

async function endServer(context: ClusterContext, server: ServerWanted): Promise<void> {
  const instance = await instanceOf(context, server)
  const { signal } = context
  if (await isFrozen(context, server)) return await killServer(context, server)
  try {
    await stopServer(instance, { timeoutMs: STOP_TIMEOUT_MS, signal })
  } catch (error) {
    if (!isBackstayError(error) || signal.aborted) throw error
    await killServer(context, server)
  }
}

/**
 * Whether its postmaster was stopped by a signal or a debugger: it hears nothing that it is asked.
 * See proc(5), state T.
 */
async function isFrozen(context: ClusterContext, server: ServerWanted): Promise<boolean> {
  const { host } = await context.machineOf(server)
  const postmaster = await findPostmaster(host, server.directory)
  if (postmaster === undefined) return false
  const stat = (await host.readFile(`/proc/${postmaster.pid}/stat`))?.toString() ?? ''
  return /\) [Tt] [^)]*$/.test(stat)
}

/** The postmaster and its children: one that was frozen cannot tell its children to end. */
async function killServer(context: ClusterContext, server: ServerWanted): Promise<void> {
  const machine = await context.machineOf(server)
  const postmaster = await findPostmaster(machine.host, server.directory)
  if (postmaster === undefined) return
  const pids = [postmaster.pid, ...(await childrenOf(machine, postmaster.pid))].map(String)
  // One of them may have ended by itself: what counts is that the server is gone. What systemd
  // starts anew is a standby.
  await machine.host.run(['kill', '-KILL', ...pids], { user: machine.osUser })
  const { clock, signal } = context
  const isGone = await until(
    async () => (await findPostmaster(machine.host, server.directory))?.pid !== postmaster.pid,
    { clock, signal, timeoutMs: END_TIMEOUT_MS },
  )
  if (isGone === true) return
  throw new BackstayError(
    'TIMEOUT',
    `Server "${server.name}" is still there ${END_TIMEOUT_MS / 1000} s after it was killed (pid ${postmaster.pid})`,
    { hint: 'Its disk may hang. Switch the machine off; then run backstay failover again.' },
  )
}

async function childrenOf({ host }: Machine, pid: number): Promise<readonly number[]> {
  const text = (await host.readFile(`/proc/${pid}/task/${pid}/children`))?.toString() ?? ''
  return text
    .split(' ')
    .map(Number)
    .filter((child) => child > 0)
}
