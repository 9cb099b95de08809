/**
 * From the complete settings to the wish the planner reads (src/cluster/wanted.ts): same facts, the
 * engine's names.
 */
import type {
  BackupWanted,
  ClusterWanted,
  HostWanted,
  PostgresWanted,
  ReplicationWanted,
  ServerWanted,
} from '../cluster/wanted.ts'
import {
  ARCHIVE_TO_REPOSITORY,
  type BackupSettings,
  type ClusterSettings,
  type ServerSettings,
} from './settings.ts'

/** The cluster as the engine wants to hear it. */
export function toWanted(settings: ClusterSettings): ClusterWanted {
  return {
    name: settings.cluster,
    stateDirectory: settings.stateDirectory,
    postgres: postgresWanted(settings.postgres),
    ...(settings.ssl === undefined ? {} : { ssl: settings.ssl }),
    servers: Object.entries(settings.servers).map(([name, server]) => serverWanted(name, server)),
    replication: replicationWanted(settings.replication),
    backup: settings.backup === undefined ? undefined : backupWanted(settings.backup),
  }
}

function postgresWanted(postgres: ClusterSettings['postgres']): PostgresWanted {
  const { segmentSize, binaries, parameters, ...same } = postgres
  return { ...same, binaries, segmentBytes: segmentSize, parameters: lowerCase(parameters) }
}

function serverWanted(name: string, server: ServerSettings): ServerWanted {
  return {
    name,
    role: server.role,
    host: hostWanted(server),
    address: server.address,
    port: server.port,
    directory: server.directory,
    socketDirectory: server.socketDirectory,
    ...(server.configFile === undefined ? {} : { configFile: server.configFile }),
    ...(server.hbaFile === undefined ? {} : { hbaFile: server.hbaFile }),
    tablespaceMapping: server.tablespaces,
    ...(server.cloneFrom === 'backup' ? { clonesFromBackup: true } : {}),
    ...(server.adopted ? { isAdopted: true } : {}),
    parameters: lowerCase(server.parameters),
  }
}

function replicationWanted(replication: ClusterSettings['replication']): ReplicationWanted {
  const { role, connectionLimit, keep, slotKeep, synchronous, archive } = replication
  return {
    role,
    connectionLimit,
    walKeepBytes: keep,
    maxSlotWalKeepBytes: slotKeep === 'unlimited' ? undefined : slotKeep,
    synchronousStandbys: synchronous?.standbys,
    archiveDirectory: archive === ARCHIVE_TO_REPOSITORY ? undefined : archive,
    archivesToRepository: archive === ARCHIVE_TO_REPOSITORY,
  }
}

function backupWanted(backup: BackupSettings): BackupWanted {
  return {
    name: backup.server,
    host: hostWanted(backup),
    address: backup.address,
    ...(backup.program === undefined ? {} : { program: backup.program }),
    repository: backup.repository,
    ...(backup.barman ? { barman: true } : {}),
    osUser: backup.osUser,
    keepsOwner: backup.keepsOwner,
    backupRole: backup.role,
    streamRole: backup.streamRole,
    slot: backup.slot,
    synchronous: backup.synchronous,
    schedule: { backup: backup.schedule.backup, verify: backup.schedule.verify },
    retention: {
      windowMs: backup.retention.window,
      count: backup.retention.count,
      minimum: backup.retention.minimum,
    },
    read: backup.read,
    compressionLevel: backup.compression,
    rateLimitBytes: backup.rateLimit,
  }
}

function hostWanted(machine: Pick<ServerSettings, 'host' | 'isLocal' | 'ssh'>): HostWanted {
  return { address: machine.host, local: machine.isLocal, ssh: machine.ssh }
}

/** PostgreSQL compares the names of settings without regard to case. */
function lowerCase(parameters: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name.toLowerCase(), value]),
  )
}
