/**
 * Looks at the ways of the servers into the repository on another machine: their keys, and whether
 * the backup server knows them.
 */
import type { Host } from '../../host/host.ts'
import { runChecked } from '../../host/run-checked.ts'
import { type ClusterContext, orElse } from '../context.ts'
import type { BackupWanted, ServerWanted } from '../wanted.ts'
import type { GateFound, WayFound, WaysFound } from '../found-ways.ts'
import { archivesOverSsh, isPublicKey, wayDirectoryOf, wayPaths } from '../machine/way-files.ts'

/** The keys of sshd: those it says it uses, else those in the usual place. */
const HOST_KEYS = `
keys=$(sshd -T 2>/dev/null | sed -n 's/^hostkey //p')
[ -n "$keys" ] || keys=$(ls /etc/ssh/ssh_host_*_key)
for key in $keys; do cat "$key.pub"; done`

/**
 * Looks at those that archive_command needs. Undefined when none does, or the backup server's
 * machine does not answer.
 */
export async function lookWays(context: ClusterContext): Promise<WaysFound | undefined> {
  const { wanted } = context
  const { backup } = wanted
  const servers = wanted.servers.filter((server) => archivesOverSsh(wanted, server))
  if (backup === undefined || servers.length === 0) return undefined
  // The plan says so of the machine already.
  return await orElse(async () => {
    const gate = await lookGate(context, backup)
    const found = await Promise.all(servers.map(async (server) => lookIfAny(context, server)))
    return { gate, servers: found.filter((way) => way !== undefined) }
  }, undefined)
}

async function lookIfAny(
  context: ClusterContext,
  server: ServerWanted,
): Promise<WayFound | undefined> {
  return await orElse(async () => lookWay(context, server), undefined)
}

/** Looks at the backup server's side. @throws HOST_UNREACHABLE, HOST_COMMAND */
export async function lookGate(context: ClusterContext, backup: BackupWanted): Promise<GateFound> {
  const { host, osUser } = await context.machineOf(backup)
  const [authorized, keys] = await Promise.all([
    readAuthorizedKeys(context, backup),
    runChecked(host, ['sh', '-c', HOST_KEYS]),
  ])
  const hostKeys = keys.stdout.split('\n').filter((line) => line !== '')
  return { osUser, ...authorized, hostKeys }
}

/** The keys that log in as the repository's owner. @throws HOST_UNREACHABLE, HOST_COMMAND */
export async function readAuthorizedKeys(
  context: ClusterContext,
  backup: BackupWanted,
): Promise<Pick<GateFound, 'path' | 'authorizedKeys'>> {
  const { host, osUser } = await context.machineOf(backup)
  const path = `${await homeOf(host, osUser, backup)}/.ssh/authorized_keys`
  const text = await host.readFile(path)
  return { path, authorizedKeys: text?.toString() ?? '' }
}

/** The home as the machine knows it; `up` makes a missing user with the repository as his home. */
async function homeOf(host: Host, user: string, backup: BackupWanted): Promise<string> {
  const { stdout } = await host.run(['getent', 'passwd', '--', user])
  return stdout.trim().split(':')[5] ?? backup.repository
}

/** Looks at a server's side. @throws HOST_UNREACHABLE, HOST_COMMAND */
export async function lookWay(context: ClusterContext, server: ServerWanted): Promise<WayFound> {
  const { host, osUser } = await context.machineOf(server)
  const paths = wayPaths(wayDirectoryOf(server.directory))
  const [publicKey, config, knownHosts] = await Promise.all([
    publicKeyOf(host, osUser, paths.key),
    host.readFile(paths.config),
    host.readFile(paths.knownHosts),
  ])
  return {
    server: server.name,
    publicKey,
    config: config?.toString(),
    knownHosts: knownHosts?.toString(),
  }
}

/**
 * Asked of ssh-keygen as the user himself: a key that is damaged, or open to others, counts as
 * none.
 */
async function publicKeyOf(host: Host, user: string, key: string): Promise<string | undefined> {
  if ((await host.inspect(key)) === undefined) return undefined
  const { exitCode, stdout } = await host.run(['ssh-keygen', '-y', '-P', '', '-f', key], { user })
  const words = stdout.trim().split(' ').slice(0, 2).join(' ')
  return exitCode === 0 && isPublicKey(words) ? words : undefined
}

/**
 * Names of those that fetch WAL from the repository, as they do from their clone out of a backup
 * until they stream.
 */
export async function lookFetching(
  context: ClusterContext,
  servers: readonly ServerWanted[],
): Promise<readonly string[]> {
  const found = await Promise.all(
    servers.map(async (server) => {
      const isThere = await orElse(async () => isFetching(context, server), false)
      return isThere ? [server.name] : []
    }),
  )
  return found.flat()
}

/** Whether it fetches WAL from the repository. @throws what looking throws. */
export async function isFetching(context: ClusterContext, server: ServerWanted): Promise<boolean> {
  const { host } = await context.machineOf(server)
  const { fetching } = wayPaths(wayDirectoryOf(server.directory))
  return (await host.inspect(fetching)) !== undefined
}
