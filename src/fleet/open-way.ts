/**
 * Opens a server's way into the repository on another machine, and closes the ways of a cluster
 * that goes.
 */
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import type { Host } from '../host/host.ts'
import { lastLines, runChecked } from '../host/run-checked.ts'
import type { ClusterContext, Machine } from '../cluster/context.ts'
import type { BackupWanted, ServerWanted } from '../cluster/wanted.ts'
import type { GateFound } from '../cluster/found-ways.ts'
import { lookGate, lookWay, readAuthorizedKeys } from '../cluster/look/look-ways.ts'
import {
  authorizedLine,
  gateGreeting,
  isSameMachine,
  WAY_HOST,
  wayConfigText,
  wayDirectoryOf,
  wayKnownHosts,
  type WayPaths,
  wayPaths,
  withAuthorizedLine,
} from '../cluster/machine/way-files.ts'

const GREETING_TIMEOUT_MS = 60_000

/**
 * Makes what is missing of the way of `server`, and proves that it leads through. What is right
 * already stays: the key, too.
 * @throws {BackstayError} HOST_COMMAND when the server's machine does not come through to the gate.
 */
export async function openWay(
  context: ClusterContext,
  backup: BackupWanted,
  server: ServerWanted,
): Promise<WayPaths> {
  const machine = await context.machineOf(server)
  const gate = await lookGate(context, backup)
  const paths = wayPaths(wayDirectoryOf(server.directory))
  const publicKey = (await lookWay(context, server)).publicKey ?? (await makeKey(machine, paths))
  const write = async (path: string, text: string): Promise<void> =>
    machine.host.writeFile(path, text, { mode: 0o600, owner: machine.osUser })
  await write(paths.knownHosts, wayKnownHosts(gate.hostKeys))
  await write(paths.config, wayConfigText(backup, gate.osUser, paths))
  const { name: cluster } = context.wanted
  const line = authorizedLine(cluster, backup, { server: server.name, publicKey })
  await authorize(context, backup, { gate, server: server.name, line })
  await prove(context, backup, { server, machine, paths })
  return paths
}

/** Takes our lines of every server out of authorized_keys. */
export async function closeWays(context: ClusterContext): Promise<void> {
  const { backup, name: cluster, servers } = context.wanted
  if (backup === undefined) return
  if (servers.every((server) => isSameMachine(server.host, backup.host))) return
  const { host } = await context.machineOf(backup)
  const { path, authorizedKeys } = await readAuthorizedKeys(context, backup)
  const text = servers.reduce(
    (left, server) => withAuthorizedLine(left, { cluster, server: server.name }, undefined),
    authorizedKeys,
  )
  if (text !== authorizedKeys) await host.writeFile(path, text)
}

/** Takes our line of one server out of authorized_keys; false when there is none. */
export async function closeWay(context: ClusterContext, server: string): Promise<boolean> {
  const { backup, name: cluster } = context.wanted
  if (backup === undefined || backup.host.local) return false
  const { host } = await context.machineOf(backup)
  const { path, authorizedKeys } = await readAuthorizedKeys(context, backup)
  const text = withAuthorizedLine(authorizedKeys, { cluster, server }, undefined)
  if (text === authorizedKeys) return false
  await host.writeFile(path, text)
  return true
}

/** The private half is made there and never leaves. */
async function makeKey({ host, osUser }: Machine, paths: WayPaths): Promise<string> {
  const { directory, key } = paths
  await host.makeDirectory(directory, { mode: 0o700, owner: osUser })
  for (const path of [key, `${key}.pub`]) await host.remove(path)
  const command = ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'backstay', '-f', key]
  await runChecked(host, command, { user: osUser })
  const text = (await host.readFile(`${key}.pub`))?.toString() ?? ''
  return text.trim().split(' ').slice(0, 2).join(' ')
}

async function authorize(
  context: ClusterContext,
  backup: BackupWanted,
  what: { readonly gate: GateFound; readonly server: string; readonly line: string },
): Promise<void> {
  const { gate, server, line } = what
  const { host, osUser } = await context.machineOf(backup)
  const owner = { cluster: context.wanted.name, server }
  const text = withAuthorizedLine(gate.authorizedKeys, owner, line)
  if (text === gate.authorizedKeys) return
  const directory = posix.dirname(gate.path)
  // sshd takes neither directory nor file that others may write.
  if ((await host.inspect(directory)) === undefined) {
    await host.makeDirectory(directory, { mode: 0o700, owner: osUser })
  }
  const isThere = (await host.inspect(gate.path)) !== undefined
  await host.writeFile(gate.path, text, isThere ? {} : { mode: 0o600, owner: osUser })
}

async function prove(
  context: ClusterContext,
  backup: BackupWanted,
  from: { readonly server: ServerWanted; readonly machine: Machine; readonly paths: WayPaths },
): Promise<void> {
  const { server, machine, paths } = from
  const { exitCode, stdout, stderr } = await askGate(machine, paths, 'hello')
  if (exitCode === 0 && stdout === gateGreeting(context.wanted.name)) return
  const { address = backup.host.address } = backup
  throw new BackstayError(
    'HOST_COMMAND',
    `Server "${server.name}" does not get into the repository on "${backup.name}" (${address}) over ssh: ${lastLines(stderr, 3) || lastLines(stdout, 3) || `exit code ${exitCode}`}`,
    {
      hint: 'See that sshd there takes connections from that machine, on the port in backup.ssh.port, with keys from the home of the OS user who owns the repository.',
      details: { server: server.name, exitCode },
    },
  )
}

/** Says one thing to the gate, as the server's OS user. */
async function askGate(
  { host, osUser: user }: Machine,
  { config }: WayPaths,
  request: string,
): ReturnType<Host['run']> {
  const timeoutMs = GREETING_TIMEOUT_MS
  return await host.run(['ssh', '-F', config, WAY_HOST, request], { user, timeoutMs })
}
