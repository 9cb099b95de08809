/**
 * Wishes and found clusters for tests of the planner: a healthy trio by default, bent by the test.
 */
import type {
  ClusterFound,
  DataDirectoryFound,
  DirectoryFound,
  FilesFound,
  ServerFound,
} from '../../../src/cluster/found.ts'
import type { SettingFound, SqlFound } from '../../../src/cluster/found-sql.ts'
import { slotNameOf } from '../../../src/cluster/names.ts'
import { accessLines } from '../../../src/build/plan/access.ts'
import { managedConfText } from '../../../src/build/plan/configuration.ts'
import { rolesWanted } from '../../../src/cluster/wanted-roles.ts'
import { settingsWanted } from '../../../src/cluster/settings.ts'
import { slotsWanted } from '../../../src/cluster/wanted-slots.ts'
import { standbyFileWanted } from '../../../src/build/plan/standby-settings.ts'
import type { ClusterWanted, ServerWanted } from '../../../src/cluster/wanted.ts'
import type { ControlFile } from '../../../src/postgres/control-file.ts'
import { setHbaBlock } from '../../../src/postgres/hba-block.ts'
import { INVALID_LSN, toLsn } from '../../../src/postgres/lsn.ts'
import { ensureManagedInclude } from '../../../src/postgres/managed-conf.ts'
import { wantedServer } from '../../../src/cluster/wanted-server.ts'

export const SYSTEM_IDENTIFIER = '7555000000000000001'
const NOW = 1_790_000_000_000

/** A change of some fields. */
export type Bend<T> = { readonly [K in keyof T]?: T[K] }

export function server(name: string, bend: Bend<ServerWanted> = {}): ServerWanted {
  return {
    name,
    role: 'standby',
    host: {
      address: '127.0.0.1',
      local: true,
      ssh: { user: undefined, port: undefined, sudo: false },
    },
    address: '127.0.0.1',
    port: 20_000 + Number(name.replaceAll(/\D/g, '')),
    directory: `/data/${name}`,
    socketDirectory: '/run/shop',
    tablespaceMapping: {},
    parameters: {},
    ...bend,
  }
}

export function wish(bend: Bend<ClusterWanted> = {}): ClusterWanted {
  return {
    name: 'shop',
    stateDirectory: '/state/shop',
    postgres: {
      version: 18,
      binaries: undefined,
      osUser: 'postgres',
      superuser: 'postgres',
      locale: 'C',
      encoding: 'UTF8',
      checksums: true,
      segmentBytes: 16 * 1024 * 1024,
      parameters: {},
      access: [],
      authentication: 'scram-sha-256',
    },
    servers: [server('db1', { role: 'primary' }), server('db2')],
    replication: {
      role: 'backstay_replication',
      connectionLimit: 10,
      walKeepBytes: 64 * 1024 * 1024,
      maxSlotWalKeepBytes: undefined,
      synchronousStandbys: undefined,
      archiveDirectory: undefined,
    },
    backup: {
      name: 'vault',
      host: {
        address: '127.0.0.1',
        local: true,
        ssh: { user: undefined, port: undefined, sudo: false },
      },
      repository: '/vault',
      backupRole: 'backstay_backup',
      streamRole: 'backstay_stream',
      slot: 'backstay_vault',
      synchronous: false,
      schedule: { backup: undefined, verify: undefined },
      retention: { windowMs: undefined, count: undefined, minimum: 1 },
      read: 'auto',
      compressionLevel: 1,
      rateLimitBytes: undefined,
    },
    ...bend,
  }
}

export function withParameters(
  wanted: ClusterWanted,
  parameters: Record<string, string>,
): ClusterWanted {
  return { ...wanted, postgres: { ...wanted.postgres, parameters } }
}

/** Nothing built anywhere. */
export function nothing(wanted: ClusterWanted): ClusterFound {
  return {
    identity: undefined,
    passwordRoles: [],
    repository: undefined,
    servers: wanted.servers.map((wished) => bareServer(wished.name, { state: 'missing' })),
  }
}

export function bareServer(name: string, directory: DirectoryFound): ServerFound {
  return {
    name,
    hostError: undefined,
    osUser: 'postgres',
    binaries: { directory: '/usr/lib/postgresql/18/bin', version: '18.4' },
    directory,
    running: undefined,
    portTakenBy: undefined,
    files: {
      mainPath: `/data/${name}/postgresql.conf`,
      main: undefined,
      settings: undefined,
      hbaPath: `/data/${name}/pg_hba.conf`,
      hba: undefined,
      autoConf: undefined,
      standby: undefined,
      standbyModifiedAtMs: 0,
      modifiedAtMs: 0,
      passfile: 'missing',
      missingDirectories: [],
    },
    sql: undefined,
    sqlError: undefined,
    room: undefined,
    asides: [],
  }
}

/** Everything built, running and streaming, `primary` leading. */
export function healthy(wanted: ClusterWanted, primary = 'db1'): ClusterFound {
  const { superuser } = wanted.postgres
  return {
    identity: {
      cluster: wanted.name,
      systemIdentifier: SYSTEM_IDENTIFIER,
      major: wanted.postgres.version,
      createdAt: '2026-11-22T10:00:00.000Z',
    },
    passwordRoles: [superuser, ...rolesWanted(wanted).map((role) => role.name)],
    repository: undefined,
    servers: wanted.servers.map(({ name }) => healthyServer(wanted, name, primary)),
  }
}

/** The found cluster with one server bent. */
export function bend(
  found: ClusterFound,
  name: string,
  change: (
    server: ServerFound & { directory: DataDirectoryFound; sql: SqlFound },
  ) => Bend<ServerFound>,
): ClusterFound {
  return {
    ...found,
    servers: found.servers.map((entry) =>
      entry.name === name
        ? {
            ...entry,
            ...change(entry as ServerFound & { directory: DataDirectoryFound; sql: SqlFound }),
          }
        : entry,
    ),
  }
}

/** The same server, cleanly stopped. */
export function stopped(found: ClusterFound, name: string): ClusterFound {
  return bend(found, name, ({ directory, sql }) => ({
    running: undefined,
    sql: undefined,
    directory: {
      ...directory,
      control: {
        ...directory.control,
        state: sql.inRecovery ? 'shut down in recovery' : 'shut down',
      },
    },
  }))
}

export function controlFile(change: Bend<ControlFile> = {}): ControlFile {
  return {
    systemIdentifier: SYSTEM_IDENTIFIER,
    controlVersion: 1800,
    catalogVersion: 202506291,
    major: 18,
    state: 'in production',
    modifiedAtMs: NOW,
    checkpoint: {
      lsn: toLsn(0x3000000n),
      redoLsn: toLsn(0x3000000n),
      timeline: 1,
      previousTimeline: 1,
      fullPageWrites: true,
      nextXid: { epoch: 0, xid: 800 },
      nextOid: 16384,
      oldestXid: 700,
      timeMs: NOW,
    },
    minRecoveryLsn: INVALID_LSN,
    minRecoveryTimeline: 0,
    backupStartLsn: INVALID_LSN,
    backupEndLsn: INVALID_LSN,
    backupEndRequired: false,
    parameters: {
      walLevel: 'replica',
      walLogHints: true,
      maxConnections: 100,
      maxWorkerProcesses: 8,
      maxWalSenders: 10,
      maxPreparedTransactions: 0,
      maxLocksPerTransaction: 64,
      trackCommitTimestamp: false,
    },
    blockBytes: 8192,
    relationSegmentBlocks: 131072,
    walBlockBytes: 8192,
    segmentBytes: 16777216,
    dataChecksumVersion: 1,
    ...change,
  }
}

function healthyServer(wanted: ClusterWanted, name: string, primary: string): ServerFound {
  const isPrimary = name === primary
  const wished = wantedServer(wanted, name)
  return {
    ...bareServer(name, {
      state: 'data',
      owner: 'postgres',
      mode: 0o700,
      major: wanted.postgres.version,
      control: controlFile({ state: isPrimary ? 'in production' : 'in archive recovery' }),
      timeline: 1,
      isStandby: !isPrimary,
      hasStaleMark: false,
      hasStaleNote: false,
    }),
    running: { pid: 4000, port: wished.port, socketDirectory: wished.socketDirectory },
    files: healthyFiles(wanted, wished, primary),
    sql: healthySql(wanted, wished, primary),
  }
}

function healthyFiles(wanted: ClusterWanted, wished: ServerWanted, primary: string): FilesFound {
  const major = wanted.postgres.version
  const isPrimary = wished.name === primary
  return {
    mainPath: `${wished.directory}/postgresql.conf`,
    main: ensureManagedInclude("max_connections = 100\ndatestyle = 'iso, mdy'\n"),
    settings: managedConfText(wanted, healthySettings(wanted, wished)),
    hbaPath: `${wished.directory}/pg_hba.conf`,
    hba: setHbaBlock('local all all scram-sha-256\n', accessLines(wanted, 'postgres'), major),
    autoConf: '',
    standby: isPrimary
      ? undefined
      : standbyFileWanted(wanted, wished, wantedServer(wanted, primary)),
    standbyModifiedAtMs: isPrimary ? 0 : NOW - 5000,
    modifiedAtMs: NOW - 5000,
    passfile: 'ours',
    missingDirectories: [],
  }
}

function healthySettings(wanted: ClusterWanted, wished: ServerWanted): Record<string, string> {
  return settingsWanted(wanted, wished, { floors: {}, isSynchronous: true })
}

const POSTMASTER = [
  'max_connections',
  'port',
  'max_wal_senders',
  'max_replication_slots',
  'wal_level',
]

function healthySql(wanted: ClusterWanted, wished: ServerWanted, primary: string): SqlFound {
  const isPrimary = wished.name === primary
  const lsn = toLsn(0x3000100n)
  const others = wanted.servers.filter((other) => other.name !== primary)
  const settings = Object.entries({
    max_connections: '100',
    synchronous_standby_names: '',
    ...healthySettings(wanted, wished),
  }).map(([name, value]): [string, SettingFound] => [name, setting(name, value)])
  return {
    versionNumber: wanted.postgres.version * 10_000 + 4,
    version: `${wanted.postgres.version}.4`,
    systemIdentifier: SYSTEM_IDENTIFIER,
    inRecovery: !isPrimary,
    timeline: 1,
    position: {
      current: isPrimary ? lsn : undefined,
      received: isPrimary ? undefined : lsn,
      replayed: isPrimary ? undefined : lsn,
      isReplayPaused: false,
      replayedCommitAtMs: isPrimary ? undefined : NOW,
      answeredAtMs: NOW,
      clockSkewMs: 0,
    },
    startedAtMs: NOW - 1000,
    configLoadedAtMs: NOW - 1000,
    settings: new Map(settings),
    fileErrors: [],
    hbaErrors: [],
    roles: isPrimary ? healthyRoles(wanted) : [],
    slots: isPrimary
      ? slotsWanted(wanted, primary).map((slot) => ({
          name: slot.name,
          isPhysical: true,
          isTemporary: false,
          isActive: true,
          restartLsn: lsn,
          retainedBytes: 0,
          walStatus: 'reserved',
          safeBytes: undefined,
        }))
      : [],
    senders: isPrimary
      ? others.map((other) => ({
          pid: 5000,
          user: wanted.replication.role,
          applicationName: other.name,
          clientAddress: '127.0.0.1',
          state: 'streaming',
          syncState: 'async',
          sentLsn: lsn,
          flushLsn: lsn,
          replayLsn: lsn,
          replayLagMs: 1,
        }))
      : [],
    receiver: isPrimary
      ? undefined
      : {
          status: 'streaming',
          timeline: 1,
          slot: slotNameOf(wished.name),
          senderHost: '127.0.0.1',
          senderPort: wantedServer(wanted, primary).port,
          lastMessageAgeMs: 100,
        },
    archiver: {
      archivedCount: 0,
      lastArchivedSegment: undefined,
      lastArchivedAtMs: undefined,
      failedCount: 0,
      lastFailedSegment: undefined,
      lastFailedAtMs: undefined,
      readyCount: 0,
    },
    tablespaces: [],
    conflicts: 0,
    syncWaiters: 0,
    connections: 5,
  }
}

/** A row of pg_settings that reads as text; what needs a restart does so here too. */
export function setting(name: string, value: string): SettingFound {
  return {
    value,
    unit: undefined,
    vartype: 'string',
    context: POSTMASTER.includes(name) ? 'postmaster' : 'sighup',
    source: 'configuration file',
    isPendingRestart: false,
  }
}

function healthyRoles(wanted: ClusterWanted): SqlFound['roles'] {
  return rolesWanted(wanted).map((role) => ({
    name: role.name,
    isSuperuser: false,
    canLogin: true,
    canReplicate: true,
    connectionLimit: role.connectionLimit,
    isExpired: false,
    password: 'ours',
    method: wanted.postgres.authentication,
    memberOf: role.memberOf,
    mayExecute: role.execute,
  }))
}
