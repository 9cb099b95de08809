/**
 * Looks at Barman's seat on the backup server's machine.
 */
import type { Host } from '../../host/host.ts'
import { findPackageManager, type PackageManager } from '../../host/packages.ts'
import { type ClusterContext, orElse } from '../context.ts'
import type { ClientsFound, SeatSeen } from '../found.ts'
import type { ClusterWanted, ServerWanted } from '../wanted.ts'
import { clientFiles, hasClients } from '../machine/client-files.ts'
import {
  isOurs,
  PACKAGED_MAIN_FILE,
  SEAT_HOME,
  SEAT_MAIN_FILE,
  seatPaths,
} from '../machine/seat-files.ts'

const LIMIT_BYTES = 64 * 1024

/**
 * What of Barman's seat is there: its home, the texts of its files, and what could install psql
 * where there is none. Changes nothing.
 */
export async function lookSeat(host: Host, wanted: ClusterWanted): Promise<SeatSeen> {
  const [home, packaged, byPath, psqlFrom] = await Promise.all([
    host.inspect(SEAT_HOME),
    host.inspect(PACKAGED_MAIN_FILE),
    textsOf(host, seatPaths(wanted.name)),
    lookPsql(host, wanted),
  ])
  const main = byPath.get(SEAT_MAIN_FILE)
  return {
    hasHome: home !== undefined,
    psqlFrom,
    hasOtherMain: main === undefined ? packaged !== undefined : !isOurs(main),
    texts: byPath,
  }
}

/** What could install psql where there is none. */
async function lookPsql(
  host: Host,
  { postgres }: ClusterWanted,
): Promise<PackageManager | undefined> {
  if (postgres.install === false || host.user !== 'root') return undefined
  const { exitCode } = await host.run(['sh', '-c', 'command -v psql'])
  return exitCode === 0 ? undefined : await findPackageManager(host)
}

/**
 * Looks at Barman's clients on the machines of the servers that get them; a machine that does not
 * answer is left out.
 */
export async function lookClients(context: ClusterContext): Promise<ClientsFound> {
  const { wanted } = context
  const servers = wanted.servers.filter((server) => hasClients(wanted, server))
  const found = await Promise.all(
    servers.map(async (server) => [server.name, await clientsOf(context, server)] as const),
  )
  return new Map(found.flatMap(([name, texts]) => (texts === undefined ? [] : [[name, texts]])))
}

async function clientsOf(
  context: ClusterContext,
  server: ServerWanted,
): Promise<ReadonlyMap<string, string | undefined> | undefined> {
  // The plan says so of the machine already.
  return await orElse(async () => {
    const { host } = await context.machineOf(server)
    const paths = clientFiles(context.wanted.name, server).map(({ path }) => path)
    return await textsOf(host, paths)
  }, undefined)
}

async function textsOf(
  host: Host,
  paths: readonly string[],
): Promise<ReadonlyMap<string, string | undefined>> {
  const texts = await Promise.all(
    paths.map(async (path): Promise<[string, string | undefined]> => {
      const content = await host.readFile(path, LIMIT_BYTES)
      return [path, content?.toString()]
    }),
  )
  return new Map(texts)
}
