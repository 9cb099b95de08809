/**
 * Plans a restore onto the machine of a server: by the Backstay there where there is one with a way
 * into the repository, else by the backup server. Nothing is changed on either.
 */
import { z } from 'zod'
import type { ClusterContext } from '../cluster/context.ts'
import { lookPackage } from '../cluster/look/look-package.ts'
import { lookWay } from '../cluster/look/look-ways.ts'
import { SERVICE_COMMAND, serviceConfigOf } from '../cluster/machine/service-source.ts'
import type { BackupWanted, ServerWanted } from '../cluster/wanted.ts'
import { BackstayError } from '../errors/backstay-error.ts'
import { readErrorJson } from '../errors/render.ts'
import { giveRestoreOrder } from '../fleet/give-order.ts'
import type { RestoreThereOrder, RestoreTold, WishWords } from '../fleet/restore-order.ts'
import { decodePlan } from '../fleet/told-plan.ts'
import { commandError } from '../host/run-checked.ts'
import { checkProgram } from '../host/whose-program.ts'
import type { RestorePlan } from '../restore/plan.ts'
import { readJson } from '../util/read-json.ts'

/** A plan may read much WAL. */
const TIMEOUT_MS = 14 * 86_400_000

/** A server of the cluster file on another machine, and where the repository is. */
export interface RestoreTherePlace {
  readonly cluster: ClusterContext
  readonly server: ServerWanted
  readonly backup: BackupWanted
}

/** A plan as the other machine made it. Its backup's packs stayed there. */
export interface PlanThere {
  readonly plan: RestorePlan
  /** Whose the copy becomes; undefined when that machine was not asked. */
  readonly osUser: string | undefined
  /** Those of the plan, and what stands in the way there. */
  readonly warnings: readonly string[]
}

/** Whether the server's machine can be asked without changing anything there. */
export async function canPlanThere({ cluster, server }: RestoreTherePlace): Promise<boolean> {
  const { host } = await cluster.machineOf(server)
  const way = await lookWay(cluster, server)
  const isOpen = way.publicKey !== undefined && way.config !== undefined
  return isOpen && (await lookPackage(cluster, host)).isThere
}

/**
 * Asks the Backstay on the server's machine.
 * @param program Backstay there
 * @throws what a plan throws there, under its own code; HOST_UNREACHABLE, HOST_COMMAND
 */
export async function planThere(
  { cluster, server }: RestoreTherePlace,
  order: Omit<RestoreThereOrder, 'isPlanOnly'>,
  program: readonly string[],
): Promise<PlanThere> {
  let heard: (RestoreTold & { readonly told: 'plan' }) | undefined
  await giveRestoreOrder(cluster, server, {
    program,
    order: { ...order, isPlanOnly: true },
    hear: (told) => {
      if (told.told === 'plan') heard = told
    },
  })
  const plan = heard && decodePlan(heard.plan)
  if (heard === undefined || plan === undefined) throw nothingTold(server.name, 'plan')
  return { plan, osUser: heard.osUser, warnings: [...plan.warnings, ...heard.warnings] }
}

/** What the backup server is asked for, and by which program: plans are values of one version. */
export interface PlanQuestion {
  readonly words: WishWords
  /** The cluster file on this machine. */
  readonly configFile: string
  readonly version: string
}

/** A plan as another machine prints it, and the version of the program that made it. */
const PlanLine = z.object({ version: z.string(), plan: z.string() })

/** Asks the backup server. @throws as `planThere` */
export async function planOnBackupServer(
  { cluster, backup }: RestoreTherePlace,
  { words, configFile, version }: PlanQuestion,
): Promise<PlanThere> {
  const { host } = await cluster.machineOf(backup)
  const program = backup.program ?? SERVICE_COMMAND
  const config = backup.host.local ? configFile : serviceConfigOf(cluster.wanted.name)
  const command = [...program, '--config', config, 'restore-plan', '--json']
  if (!backup.host.local) await checkProgram(host, program)
  const input = JSON.stringify(words)
  const { signal } = cluster
  const result = await host.run(command, { input, timeoutMs: TIMEOUT_MS, signal })
  if (result.exitCode !== 0) {
    throw readErrorJson(result.stderr) ?? commandError(host.name, command, result)
  }
  const line = PlanLine.safeParse(readJson(result.stdout)).data
  const plan = line?.version === version ? decodePlan(line.plan) : undefined
  if (plan === undefined) throw nothingTold(backup.name, 'plan')
  return { plan, osUser: undefined, warnings: plan.warnings }
}

/** It ended well and left out what it had to say: it is of another version, or in other hands. */
export function nothingTold(name: string, what: string): BackstayError {
  return new BackstayError('HOST_COMMAND', `Backstay on "${name}" ended without a ${what}`, {
    hint: 'Run: backstay up. It brings the version you run there. When that changes nothing, look at who is at that machine.',
  })
}
