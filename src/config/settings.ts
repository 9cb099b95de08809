/**
 * The cluster file with every default filled in, those included that depend on other keys, and with
 * relative paths made absolute. Keys are the file's, so that `config explain` can walk both side by
 * side.
 */
import { resolve } from 'node:path'
import { slotNameOf } from '../cluster/names.ts'
import type { HostWanted } from '../cluster/wanted.ts'
import { isThisMachine, type ThisMachine } from './machine.ts'
import type { ClusterFile, SshSettings } from './schema.ts'

type ServerFile = ClusterFile['servers'][string]
type BackupFile = NonNullable<ClusterFile['backup']>

/** What the defaults of a file depend on besides its content. */
export interface Surroundings {
  /** Absolute directory of the file. */
  readonly directory: string
  readonly machine: ThisMachine
}

/** A server with nothing left out. */
export interface ServerSettings extends Omit<ServerFile, 'ssh'> {
  readonly ssh: HostWanted['ssh']
  readonly address: string
  readonly directory: string
  readonly socketDirectory: string
  readonly isLocal: boolean
}

/** The backup part with nothing left out. */
export interface BackupSettings extends Omit<BackupFile, 'ssh'> {
  readonly host: string
  readonly ssh: HostWanted['ssh']
  readonly address: string
  readonly osUser: string
  /** Whether the owner of a repository that is there already goes before `osUser`. */
  readonly keepsOwner: boolean
  readonly slot: string
  readonly isLocal: boolean
  /** The command line of Backstay there; undefined where `up` installs it. */
  readonly program: readonly string[] | undefined
}

/** The file with nothing left out. */
export interface ClusterSettings extends Omit<ClusterFile, 'servers' | 'backup'> {
  readonly stateDirectory: string
  readonly servers: Readonly<Record<string, ServerSettings>>
  readonly backup: BackupSettings | undefined
}

/** Stands for a directory in `replication.archive`. */
export const ARCHIVE_TO_REPOSITORY = 'backup'

/** Owns the repository on a backup server of its own. */
const SERVICE_USER = 'backstay'
/** Owns it where it is worked on under Barman's names: hands and ssh log in as this user. */
const BARMAN_USER = 'barman'
const RUN_DIRECTORY = '/var/run/postgresql'

/** Fills in what the file leaves out. Relative paths of this machine are relative to the file. */
export function completeSettings(file: ClusterFile, around: Surroundings): ClusterSettings {
  const stateDirectory = resolve(
    around.directory,
    file.stateDirectory ?? `.backstay/${file.cluster}`,
  )
  const house = { file, around, stateDirectory }
  const servers = Object.fromEntries(
    Object.entries(file.servers).map(([name, server]) => [name, completeServer(server, house)]),
  )
  const onServers = (path: string | undefined) =>
    path === undefined || Object.values(servers).some((server) => !server.isLocal)
      ? path
      : resolve(around.directory, path)
  return {
    ...file,
    stateDirectory,
    postgres: {
      ...file.postgres,
      binaries: onServers(file.postgres.binaries),
      tablespaceRoots: file.postgres.tablespaceRoots.map((root) => onServers(root) ?? root),
    },
    servers,
    replication: { ...file.replication, archive: archiveOf(file, onServers) },
    backup: file.backup === undefined ? undefined : completeBackup(file.backup, house),
  }
}

/** `backup` is a word, not a path. */
function archiveOf(
  { replication: { archive } }: ClusterFile,
  onServers: (path: string | undefined) => string | undefined,
): string | undefined {
  return archive === ARCHIVE_TO_REPOSITORY ? archive : onServers(archive)
}

interface House {
  readonly file: ClusterFile
  readonly around: Surroundings
  readonly stateDirectory: string
}

function completeServer(server: ServerFile, house: House): ServerSettings {
  const { file, around, stateDirectory } = house
  const isLocal = isThisMachine(server.host, around.machine)
  const absolute = (path: string) => (isLocal ? resolve(around.directory, path) : path)
  const directory =
    server.directory ?? `/var/lib/postgresql/${file.postgres.version}/${file.cluster}`
  const needsOwnSockets =
    isLocal && !around.machine.isRoot && !around.machine.canWrite(RUN_DIRECTORY)
  const sockets = needsOwnSockets ? `${stateDirectory}/sockets` : RUN_DIRECTORY
  return {
    ...server,
    ssh: completeSsh(house, server.ssh),
    address: server.address ?? server.host,
    directory: absolute(directory),
    socketDirectory: absolute(server.socketDirectory ?? sockets),
    ...(server.configFile === undefined ? {} : { configFile: absolute(server.configFile) }),
    ...(server.hbaFile === undefined ? {} : { hbaFile: absolute(server.hbaFile) }),
    isLocal,
  }
}

function serviceUser(hasBarman: boolean): string {
  return hasBarman ? BARMAN_USER : SERVICE_USER
}

function completeBackup(backup: BackupFile, house: House): BackupSettings {
  const { file, around } = house
  const server = file.servers[backup.server]
  const host = backup.host ?? server?.host ?? ''
  const isLocal = isThisMachine(host, around.machine)
  return {
    ...backup,
    host,
    ...ownerOf(backup, file, { host, isLocal }),
    ssh: completeSsh(house, backup.ssh ?? server?.ssh),
    address: backup.address ?? server?.address ?? host,
    slot: backup.slot ?? slotNameOf(backup.server),
    repository: isLocal ? resolve(around.directory, backup.repository) : backup.repository,
    isLocal,
    program: isLocal ? around.machine.program : undefined,
  }
}

/** Whose the repository is: who the file says; who has it; else who suits the machine. */
function ownerOf(
  { osUser, barman }: BackupFile,
  { servers, replication, postgres }: ClusterFile,
  at: { readonly host: string; readonly isLocal: boolean },
): Pick<BackupSettings, 'osUser' | 'keepsOwner'> {
  const isBeside = Object.values(servers).some((other) => other.host === at.host)
  // archive_command beside the repository stores as PostgreSQL's user, whatever the owner.
  const storesBeside = isBeside && replication.archive === ARCHIVE_TO_REPOSITORY
  return {
    osUser: osUser ?? (at.isLocal || isBeside ? postgres.osUser : serviceUser(barman)),
    keepsOwner: osUser === undefined && !storesBeside,
  }
}

function completeSsh({ file, around }: House, own: SshSettings | undefined): HostWanted['ssh'] {
  const shared = file.ssh
  const here = (path: string | undefined) =>
    path === undefined ? undefined : resolve(around.directory, path)
  const password = own?.sudoPassword ?? shared.sudoPassword
  const user = own?.user ?? shared.user
  return {
    user,
    port: own?.port ?? shared.port,
    sudo: own?.sudo ?? shared.sudo ?? (user !== undefined && user !== 'root'),
    sudoPassword: password === 'ask' ? password : here(password),
    config: here(own?.config ?? shared.config),
  }
}
