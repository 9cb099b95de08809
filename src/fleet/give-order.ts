/**
 * Has Backstay on a server's machine restore: gives the order, shows that somebody waits, hears
 * what is told. The restore over there ends when this process does.
 */
import { readErrorJson } from '../errors/render.ts'
import { commandError } from '../host/run-checked.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { ensurePackage, makeCurrent } from './ensure-package.ts'
import { runOrdered } from './order-line.ts'
import { openWay } from './open-way.ts'
import type { BackupWanted, ServerWanted } from '../cluster/wanted.ts'
import { parseRestoreTold, type RestoreThereOrder, type RestoreTold } from './restore-order.ts'

/** What is to be done, by which program there. */
export interface RestoreThere {
  readonly program: readonly string[]
  readonly order: RestoreThereOrder
  readonly hear: (told: RestoreTold) => void
}

/**
 * Puts Backstay there and lets the server into the repository. Gives back the program to run there
 * now.
 */
export async function getReadyThere(
  context: ClusterContext,
  backup: BackupWanted,
  server: ServerWanted,
): Promise<readonly string[]> {
  const program = await ensurePackage(context, server)
  const { host } = await context.machineOf(server)
  await makeCurrent(context, host, { replaces: false })
  await openWay(context, backup, server)
  return program
}

/**
 * Gives the order and waits.
 * @throws what the restore there throws, under its own code; HOST_UNREACHABLE, HOST_COMMAND
 */
export async function giveRestoreOrder(
  context: ClusterContext,
  server: ServerWanted,
  { program, order, hear }: RestoreThere,
): Promise<void> {
  const { host, osUser: user } = await context.machineOf(server)
  const command = [...program, 'restore-here', '--json']
  const result = await runOrdered(host, command, {
    order,
    hear: (line) => {
      const told = parseRestoreTold(line)
      if (told !== undefined) hear(told)
    },
    signal: context.signal,
    user,
  })
  if (result.exitCode === 0) return
  throw readErrorJson(result.stderr) ?? commandError(host.name, command, result)
}

/** Its OS user may not make directories everywhere; those that are there stay whose they are. */
export async function makeDirectoriesThere(
  context: ClusterContext,
  server: ServerWanted,
  directories: readonly string[],
): Promise<void> {
  const { host, osUser } = await context.machineOf(server)
  for (const directory of directories) {
    if ((await host.inspect(directory)) !== undefined) continue
    await host.makeDirectory(directory, { mode: 0o700, owner: osUser })
  }
}
