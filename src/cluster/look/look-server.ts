/**
 * Looks at one server: host, programs, directory, process, port, SQL, files. Whatever fails becomes
 * a fact.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { GUARD_PATH } from '../../host/boot-guard.ts'
import { findTightDisk, type TightDisk } from '../../host/full-disk.ts'
import type { Host } from '../../host/host.ts'
import { describePortOwner, findPortOwners } from '../../host/port-owner.ts'
import { postgresServiceOf, unitPathOf } from '../../host/postgres-unit.ts'
import { findPostmaster } from '../../host/postmaster.ts'
import { prefetch } from '../../host/look-ahead.ts'
import { CONTROL_FILE_PATH, type ControlFile } from '../../postgres/control-file.ts'
import { until } from '../../util/until.ts'
import { type ClusterContext, factOf, type Machine } from '../context.ts'
import type {
  BinariesFound,
  DirectoryFound,
  FilesFound,
  FoundError,
  RunningFound,
  ServerFound,
} from '../found.ts'
import type { SqlFound } from '../found-sql.ts'
import { passfilePathOf } from '../names.ts'
import type { ServerWanted } from '../wanted.ts'
import { openSuperuserSql } from './connect.ts'
import { lookDirectory } from './look-directory.ts'
import { lookFiles } from './look-files.ts'
import {
  lookMachineId,
  lookPackageManager,
  lookService,
  MACHINE_ID_PATHS,
} from './look-services.ts'
import { lookSql, type RolesAsked } from './look-sql.ts'
import { managedConfPath, standbyFilePath } from '../file-paths.ts'

/**
 * A plan waits this long for a server to finish starting or stopping, and otherwise takes it as it
 * is.
 */
const TRANSITION_TIMEOUT_MS = 30_000
const STATEMENT_TIMEOUT_MS = 10_000

/** What a look asks a server for besides its state. */
export interface ServerAsked {
  readonly roles: RolesAsked
  /** A plan needs the programs, and servers that have settled; to tell how things are, neither. */
  readonly forPlan: boolean
}

/** Looks. Never throws for what is wrong with the server; only for bugs and interruption. */
export async function lookServer(
  context: ClusterContext,
  server: ServerWanted,
  asked: ServerAsked,
): Promise<ServerFound> {
  try {
    const machine = await context.machineOf(server)
    return await lookMachine(context, machine, { server, asked })
  } catch (error) {
    const { code, message, hint } = factOf(error)
    return { ...UNKNOWN, name: server.name, hostError: { code, message, hint } }
  }
}

const NO_FILES: FilesFound = {
  mainPath: '',
  main: undefined,
  settings: undefined,
  hbaPath: '',
  hba: undefined,
  autoConf: undefined,
  standby: undefined,
  standbyModifiedAtMs: 0,
  modifiedAtMs: 0,
  passfile: 'missing',
  missingDirectories: [],
}

const UNKNOWN: Omit<ServerFound, 'name' | 'hostError'> = {
  osUser: '',
  binaries: { directory: '', version: '' },
  directory: { state: 'unknown' },
  running: undefined,
  portTakenBy: undefined,
  files: NO_FILES,
  sql: undefined,
  sqlError: undefined,
  room: undefined,
  asides: [],
}

async function lookMachine(
  context: ClusterContext,
  given: Machine,
  place: { readonly server: ServerWanted; readonly asked: ServerAsked },
): Promise<ServerFound> {
  const { server } = place
  const { host, osUser } = given
  // Over ssh every look is a round trip: files are read at once, and what does not need the other's
  // answer at the same time.
  const isNear = server.host.local
  const machine = isNear
    ? given
    : { ...given, host: await prefetch(host, pathsOf(context, place), osUser) }
  const [ofMachine, ofServer, asides] = await Promise.all([
    lookAround(context, machine, place),
    lookProcess(context, machine, place),
    context.state.readAsides(server.name),
  ])
  const { sql } = ofServer
  const [portTakenBy, files, tightDisk] = await Promise.all([
    lookPort(machine, server, ofServer.running),
    lookFiles(context, machine, { server, sql }),
    isWell(ofServer) ? undefined : lookTightDisk(context, host, server),
  ])
  return {
    name: server.name,
    hostError: undefined,
    osUser: machine.osUser,
    ...ofMachine,
    ...ofServer,
    portTakenBy,
    files,
    tightDisk,
    room: undefined,
    asides,
  }
}

/** Whether it writes what it has to, as far as it says. */
function isWell({ directory, sql }: Pick<ServerFound, 'directory' | 'sql'>): boolean {
  if (directory.state !== 'data') return true
  return sql !== undefined && (!sql.inRecovery || sql.receiver?.status === 'streaming')
}

async function lookTightDisk(
  { wanted }: ClusterContext,
  host: Host,
  { directory }: ServerWanted,
): Promise<TightDisk | undefined> {
  const disk = await findTightDisk(host, directory)
  return disk !== undefined && disk.freeBytes < wanted.postgres.segmentBytes ? disk : undefined
}

/** What is going to be asked about, as long as the server's files are where they are wanted. */
function pathsOf(
  { wanted }: ClusterContext,
  { server, asked }: { readonly server: ServerWanted; readonly asked: ServerAsked },
): readonly string[] {
  const inside = (name: string): string => posix.join(server.directory, name)
  const main = inside('postgresql.conf')
  const conf = [main, managedConfPath(main), standbyFilePath(wanted, server, main)]
  const names = ['PG_VERSION', CONTROL_FILE_PATH, 'pg_wal', 'pg_hba.conf', 'postgresql.auto.conf']
  const { archiveDirectory } = wanted.replication
  const around = [
    passfilePathOf(server.directory),
    server.socketDirectory,
    ...(archiveDirectory === undefined ? [] : [archiveDirectory]),
    ...MACHINE_ID_PATHS,
  ]
  const unit = unitPathOf(postgresServiceOf(wanted.name, server.name).unit)
  const service = asked.forPlan ? [GUARD_PATH, unit] : []
  return [server.directory, ...names.map(inside), ...conf, ...around, ...service]
}

/** What belongs to the machine whether or not a server is there. */
async function lookAround(
  context: ClusterContext,
  machine: Machine,
  place: { readonly server: ServerWanted; readonly asked: ServerAsked },
): Promise<Pick<ServerFound, 'machineId' | 'packageManager' | 'service' | 'binaries'>> {
  const { server, asked } = place
  const [machineId, service, binaries] = await Promise.all([
    lookMachineId(machine.host),
    asked.forPlan ? lookService(context, machine, server) : undefined,
    asked.forPlan ? lookBinaries(context, server) : UNKNOWN.binaries,
  ])
  const packageManager = await lookPackageManager(context, machine, { server, binaries })
  return { machineId, packageManager, service, binaries }
}

/** The directory, the postmaster in it, and what that answers. */
async function lookProcess(
  context: ClusterContext,
  machine: Machine,
  place: { readonly server: ServerWanted; readonly asked: ServerAsked },
): Promise<Pick<ServerFound, 'directory' | 'running' | 'sql' | 'sqlError'>> {
  const { server, asked } = place
  const directory = await lookDirectory(context, machine.host, server)
  const running = await lookRunning(context, machine, { server, directory, asked })
  if (running === undefined || directory.state !== 'data') {
    return { directory, running, sql: undefined, sqlError: undefined }
  }
  const { control } = directory
  const { sql, sqlError } = await askSql(context, server, { running, asked, control })
  return { directory, running, sql, sqlError }
}

/** PostgreSQL's programs for a server, or why there are none. */
export async function lookBinaries(
  context: ClusterContext,
  server: ServerWanted,
): Promise<BinariesFound | FoundError> {
  try {
    const { directory, version } = await context.binariesOf(server)
    return { directory, version }
  } catch (error) {
    const { code, message, hint } = factOf(error)
    return { code, message, hint }
  }
}

/** The server in the directory. For a plan, one that is starting or stopping is waited for. */
async function lookRunning(
  context: ClusterContext,
  { host }: Machine,
  place: {
    readonly server: ServerWanted
    readonly directory: DirectoryFound
    readonly asked: ServerAsked
  },
): Promise<RunningFound | undefined> {
  if (place.directory.state !== 'data') return undefined
  const { clock, signal } = context
  const path = place.server.directory
  const settled = await until(
    async () => {
      const postmaster = await findPostmaster(host, path)
      const isMoving = postmaster?.state === 'starting' || postmaster?.state === 'stopping'
      return isMoving ? undefined : { postmaster }
    },
    { clock, signal, timeoutMs: place.asked.forPlan ? TRANSITION_TIMEOUT_MS : 0, intervalMs: 50 },
  )
  const postmaster = settled === undefined ? await findPostmaster(host, path) : settled.postmaster
  if (postmaster === undefined) return undefined
  const { pid, port = place.server.port, socketDirectory } = postmaster
  return { pid, port, socketDirectory }
}

async function lookPort(
  { host }: Machine,
  server: ServerWanted,
  running: RunningFound | undefined,
): Promise<string | undefined> {
  if (running?.port === server.port) return undefined
  const [owner] = await findPortOwners(host, server.port)
  return owner === undefined ? undefined : describePortOwner(owner)
}

async function askSql(
  context: ClusterContext,
  server: ServerWanted,
  place: {
    readonly running: RunningFound
    readonly asked: ServerAsked
    readonly control: ControlFile
  },
): Promise<{ sql?: SqlFound; sqlError?: FoundError }> {
  try {
    const { running: listening } = place
    const options = { listening, statementTimeoutMs: STATEMENT_TIMEOUT_MS }
    await using sql = await openSuperuserSql(context, server, options)
    const answer = await lookSql(sql, place.asked.roles, context.clock)
    const { systemIdentifier } = place.control
    if (answer.systemIdentifier === systemIdentifier) return { sql: answer }
    throw new BackstayError(
      'POSTGRES_IDENTITY',
      `Another server answers for "${server.name}" at port ${listening.port}: its system identifier is ${answer.systemIdentifier}, that of the data directory is ${systemIdentifier}`,
    )
  } catch (error) {
    const { code, message, hint } = factOf(error)
    return { sqlError: { code, message, hint } }
  }
}
