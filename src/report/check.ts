/**
 * Every check on the whole cluster: first all facts are gathered, then each check judges them.
 */
import { ReplicationConnection } from '../wire/replication-connection.ts'
import { withSql } from '../wire/sql-client.ts'
import { archiverMessageIn, archiving, isFailing } from './checks/archiving.ts'
import { backup } from './checks/backup.ts'
import type { Check, CheckFacts, Finding, LoginTried } from './checks/finding.ts'
import { logins } from './checks/logins.ts'
import { programInstalled } from './checks/program.ts'
import * as protection from './checks/protection.ts'
import * as replication from './checks/replication.ts'
import * as servers from './checks/servers.ts'
import * as settings from './checks/settings.ts'
import * as slots from './checks/slot-checks.ts'
import { type ClusterContext, factOf, orElse } from '../cluster/context.ts'
import type { ClusterFound, ServerFound } from '../cluster/found.ts'
import { roleConnection } from '../cluster/look/connect.ts'
import { lookPrograms } from '../cluster/look/look-program.ts'
import { lookCluster } from '../cluster/look/look.ts'
import { findLogEnd, readLog } from '../cluster/look/quoted-log.ts'
import { makePlan } from '../build/plan/plan.ts'
import { type AnsweringServer, answeringPrimary, isAnswering } from '../cluster/replication.ts'
import type { AskBackup } from './status.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** In the order they are shown. */
const CHECKS: readonly Check[] = [
  servers.onePrimary,
  servers.serversAnswer,
  servers.sameCluster,
  programInstalled,
  replication.attached,
  replication.receiverAlive,
  replication.byteLag,
  replication.timeLag,
  replication.timelines,
  replication.replayRuns,
  replication.conflicts,
  protection.synchronous,
  protection.takeover,
  slots.slotsUsed,
  slots.slotBudget,
  slots.foreignSlots,
  slots.logicalSlots,
  archiving,
  backup,
  logins,
  settings.standbySettings,
  settings.drift,
  settings.pendingRestart,
  settings.configurationErrors,
  servers.limitsLeft,
  servers.connectionsLeft,
  servers.diskSpace,
  servers.clocks,
]

/** Runs all checks. What does not answer is a finding; throws only for bugs and interruption. */
export async function checkCluster(
  context: ClusterContext,
  askBackup?: AskBackup,
): Promise<readonly Finding[]> {
  return judge(await gatherFacts(context, askBackup))
}

/** The findings of all checks, in the order of `CHECKS`. Pure: tests judge facts of their own. */
export function judge(facts: CheckFacts): readonly Finding[] {
  return CHECKS.flatMap((check) => check(facts))
}

async function gatherFacts(
  context: ClusterContext,
  askBackup: AskBackup | undefined,
): Promise<CheckFacts> {
  const { wanted } = context
  const found = await lookCluster(context, { forPlan: false })
  const [tried, freeBytes, programs, archiverMessage, backupStatus] = await Promise.all([
    tryLogins(context, found),
    measureFree(context, found),
    lookPrograms(context, found.servers),
    readArchiverMessage(context, answeringPrimary(found)),
    askBackup?.(context),
  ])
  return {
    wanted,
    found,
    plan: makePlan(wanted, found),
    logins: tried,
    freeBytes,
    programs,
    archiverMessage,
    backup: backupStatus,
  }
}

async function tryLogins(
  context: ClusterContext,
  found: ClusterFound,
): Promise<readonly LoginTried[]> {
  const { replication: streams, backup: vault } = context.wanted
  const roles: readonly { role: string; way: LoginTried['way'] }[] = [
    { role: streams.role, way: 'replication' },
    ...(vault === undefined
      ? []
      : ([
          { role: vault.backupRole, way: 'SQL' },
          { role: vault.backupRole, way: 'replication' },
          { role: vault.streamRole, way: 'replication' },
        ] as const)),
  ]
  const tries = found.servers
    .filter(isAnswering)
    .flatMap((server) => roles.map((role) => ({ ...role, server: server.name })))
  return await Promise.all(tries.map(async (login) => tryLogin(context, login)))
}

async function tryLogin(
  context: ClusterContext,
  login: Pick<LoginTried, 'server' | 'role' | 'way'>,
): Promise<LoginTried> {
  const server = wantedServer(context.wanted, login.server)
  try {
    await context.reach(server)
    const options = roleConnection(context, server, login.role)
    if (login.way === 'SQL') {
      await withSql(options, async (sql) => sql.query('SELECT 1'))
      return { ...login, error: undefined, systemIdentifier: undefined }
    }
    await using connection = await ReplicationConnection.connect(options)
    const { systemIdentifier } = await connection.identifySystem()
    return { ...login, error: undefined, systemIdentifier }
  } catch (error) {
    const { message, hint } = factOf(error)
    return { ...login, error: { message, hint }, systemIdentifier: undefined }
  }
}

async function measureFree(
  context: ClusterContext,
  found: ClusterFound,
): Promise<ReadonlyMap<string, number>> {
  const measured = found.servers.map(async (server): Promise<[string, number][]> => {
    const freeBytes = await freeBytesOf(context, server)
    return freeBytes === undefined ? [] : [[server.name, freeBytes]]
  })
  return new Map((await Promise.all(measured)).flat())
}

async function freeBytesOf(
  context: ClusterContext,
  found: ServerFound,
): Promise<number | undefined> {
  if (found.hostError !== undefined) return undefined
  const server = wantedServer(context.wanted, found.name)
  try {
    const { host } = await context.machineOf(server)
    return await host.freeBytes(server.directory)
  } catch (error) {
    factOf(error)
    return undefined
  }
}

async function readArchiverMessage(
  context: ClusterContext,
  primary: AnsweringServer | undefined,
): Promise<string | undefined> {
  if (primary === undefined || !isFailing(primary.sql.archiver)) return undefined
  const server = wantedServer(context.wanted, primary.name)
  const directory = primary.sql.settings.get('log_directory')?.value ?? 'log'
  return await orElse(async () => {
    const machine = await context.machineOf(server)
    const end = await findLogEnd(machine.host, server.directory, directory)
    return end === undefined ? undefined : archiverMessageIn(await readLog(machine, end, undefined))
  }, undefined)
}
