/**
 * What an act is given, and what most of them need first.
 */
import type { PostgresInstance } from '../../host/postgres-instance.ts'
import { postgresServiceOf } from '../../host/postgres-unit.ts'
import type { ClusterContext, Machine } from '../../cluster/context.ts'
import type { Step, StepAction } from '../plan/step.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { wantedServer } from '../../cluster/wanted-server.ts'

/** A step of one kind of action. */
export type StepOf<A extends StepAction['action']> = Step & { readonly action: A }

/** Carries out one kind of step. Doing it again when it was done already does no harm. */
export type Act<A extends StepAction['action']> = (
  context: ClusterContext,
  step: StepOf<A>,
) => Promise<void>

/** The server a step is for. */
export function serverOfStep(context: ClusterContext, step: Step): ServerWanted {
  return wantedServer(context.wanted, step.server ?? '')
}

/** The machine of the server a step is for. */
export async function machineOfStep(context: ClusterContext, step: Step): Promise<Machine> {
  return await context.machineOf(serverOfStep(context, step))
}

/** A server with its programs, for pg_ctl. */
export async function instanceOf(
  context: ClusterContext,
  server: ServerWanted,
): Promise<PostgresInstance> {
  const { host, osUser, usesSystemd } = await context.machineOf(server)
  const binaries = await context.binariesOf(server)
  const { name, directory, configFile } = server
  const service = usesSystemd ? postgresServiceOf(context.wanted.name, name) : undefined
  return { name, host, binaries, directory, configFile, user: osUser, service }
}
