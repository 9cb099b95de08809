/**
 * The way of a server's OS user into the repository on another machine: a key of its own that opens
 * nothing but the gate there (docs/adr/0044). Names and texts of its files. Pure.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { shellCommand } from '../../host/shell-quote.ts'
import { SERVICE_COMMAND } from './service-source.ts'
import type { BackupWanted, ClusterWanted, HostWanted, ServerWanted } from '../wanted.ts'

/** What ssh is given as the host's name; the configuration file says what it stands for. */
export const WAY_HOST = 'repository'

/** What the gate answers to `hello`. */
export function gateGreeting(cluster: string): string {
  return `backstay ${cluster}\n`
}

/** The files of a way, on the server's machine; the directory is the OS user's alone. */
export interface WayPaths {
  readonly directory: string
  readonly key: string
  readonly config: string
  readonly knownHosts: string
  /** While this file is there a standby fetches WAL from the repository. */
  readonly fetching: string
}

/** Beside the data directory, not in it: no backup carries a key. */
export function wayDirectoryOf(dataDirectory: string): string {
  return `${dataDirectory}.ssh`
}

/** Where its files lie. */
export function wayPaths(directory: string): WayPaths {
  return {
    directory,
    key: posix.join(directory, 'id'),
    config: posix.join(directory, 'config'),
    knownHosts: posix.join(directory, 'known_hosts'),
    fetching: posix.join(directory, 'fetching'),
  }
}

/** Whether two of the cluster file's machines are one, as far as the file says. */
export function isSameMachine(one: HostWanted, other: HostWanted): boolean {
  return one.local || other.local ? one.local && other.local : one.address === other.address
}

/** Whether the server's archive_command goes over ssh. */
export function archivesOverSsh(
  { replication, backup }: ClusterWanted,
  server: ServerWanted,
): boolean {
  return (
    replication.archivesToRepository === true &&
    backup !== undefined &&
    !isSameMachine(server.host, backup.host)
  )
}

/** Backstay on the backup server's machine. */
export function backupProgram(backup: BackupWanted): readonly string[] {
  return backup.program ?? SERVICE_COMMAND
}

/**
 * The configuration for `ssh -F`: nothing of the user's or the machine's own counts. A dead
 * connection is noticed within 30 s.
 * @param user OS user that owns the repository
 */
export function wayConfigText(backup: BackupWanted, user: string, paths: WayPaths): string {
  const { address = backup.host.address, host } = backup
  const lines = [
    `HostName ${configWord(address)}`,
    `Port ${host.ssh.port ?? 22}`,
    `User ${configWord(user)}`,
    // The name in known_hosts: it stays when the address changes.
    `HostKeyAlias ${WAY_HOST}`,
    `IdentityFile ${configWord(paths.key)}`,
    'IdentitiesOnly yes',
    'IdentityAgent none',
    `UserKnownHostsFile ${configWord(paths.knownHosts)}`,
    'GlobalKnownHostsFile /dev/null',
    'StrictHostKeyChecking yes',
    'CheckHostIP no',
    'BatchMode yes',
    'PreferredAuthentications publickey',
    'ConnectTimeout 10',
    'ServerAliveInterval 10',
    'ServerAliveCountMax 3',
    'ControlPath none',
    'ClearAllForwardings yes',
    'ForwardAgent no',
    'ForwardX11 no',
    'RequestTTY no',
    'LogLevel ERROR',
  ]
  const head = '# Managed by Backstay; do not edit: the next `backstay up` writes it anew.'
  return [head, `Host ${WAY_HOST}`, ...lines.map((line) => `  ${line}`), ''].join('\n')
}

/** One word of ssh_config(5), in which `%` begins a token. */
function configWord(word: string): string {
  if (!/["\\\p{Cc}]/u.test(word)) return `"${word.replaceAll('%', '%%')}"`
  throw new BackstayError('CONFIG_INVALID', `Cannot name ${JSON.stringify(word)} to ssh`, {
    hint: 'Choose a directory or address without quotation marks, backslashes and control characters.',
  })
}

/** known_hosts for keys as `*.pub` files hold them; sorted, so that it is the same every time. */
export function wayKnownHosts(hostKeys: readonly string[]): string {
  return hostKeys
    .map((line) => line.trim().split(/\s+/).slice(0, 2).join(' '))
    .filter((key) => /^[a-z0-9@.-]+ AAAA[A-Za-z0-9+/=]+$/.test(key))
    .toSorted()
    .map((key) => `${WAY_HOST} ${key}\n`)
    .join('')
}

/** What ends our line of a server in authorized_keys. */
function commentOf(cluster: string, server: string): string {
  return `backstay:${cluster}/${server}`
}

/**
 * Whether it is a key and nothing else: a server's machine that was broken into must not bring a
 * line of its own along.
 */
export function isPublicKey(text: string): boolean {
  return /^ssh-ed25519 [A-Za-z0-9+/]+={0,2}$/.test(text)
}

/**
 * The line that lets the bearer of `publicKey` through the gate to this cluster's part of the
 * repository, and nowhere else.
 * @throws {BackstayError} HOST_COMMAND when it is no public key
 */
export function authorizedLine(
  cluster: string,
  backup: BackupWanted,
  bearer: { readonly server: string; readonly publicKey: string },
): string {
  const place = ['--repository', backup.repository, '--cluster', cluster, '--server', bearer.server]
  const command = shellCommand([...backupProgram(backup), 'gate', ...place])
  if (/\p{Cc}/u.test(command)) {
    throw new BackstayError('CONFIG_INVALID', `Cannot put ${JSON.stringify(command)} into a line`)
  }
  if (!isPublicKey(bearer.publicKey)) {
    throw new BackstayError(
      'HOST_COMMAND',
      `Cannot let server "${bearer.server}" into the repository: what its machine gave is no ed25519 public key`,
    )
  }
  const quoted = command.replaceAll('"', String.raw`\"`)
  const { server, publicKey } = bearer
  return `restrict,command="${quoted}" ${publicKey} ${commentOf(cluster, server)}`
}

/**
 * authorized_keys with our line of one server: everything else in it stays as it is. `undefined`:
 * without a line of ours.
 */
export function withAuthorizedLine(
  text: string,
  owner: { readonly cluster: string; readonly server: string },
  line: string | undefined,
): string {
  const ending = ` ${commentOf(owner.cluster, owner.server)}`
  const others = text.split('\n').filter((each) => !each.trimEnd().endsWith(ending))
  if (others.at(-1) === '') others.pop()
  const lines = line === undefined ? others : [...others, line]
  return lines.map((each) => `${each}\n`).join('')
}
