/**
 * Whether each machine of a server holds the copy of the state that it is to hold, and what the
 * copies say.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { type ClusterContext, orElse } from '../context.ts'
import type { KeptFound } from '../found.ts'
import {
  KEPT_STATE_BYTES,
  keptRoles,
  type KeptState,
  keptStatePathOf,
  keptStateText,
  parseKeptState,
} from '../state/kept-state.ts'
import type { ServerWanted } from '../wanted.ts'

/**
 * By server; nothing for this machine, for logins that are not root, and while nothing can be kept
 * yet.
 */
export async function lookKept(context: ClusterContext): Promise<ReadonlyMap<string, KeptFound>> {
  const { wanted, state } = context
  const [identity, passwords] = await Promise.all([
    state.readIdentity(),
    state.readPasswords(keptRoles(wanted)),
  ])
  const text = keptStateText(wanted, identity, passwords)
  if (text === undefined) return new Map()
  const looked = wanted.servers.map(async (server): Promise<[string, KeptFound][]> => {
    return await orElse(async () => {
      const there = await readKept(context, server)
      if (there === 'nowhere') return []
      const isOurs = there?.text === text && there.isClosed
      return [[server.name, there === undefined ? 'missing' : isOurs ? 'ours' : 'different']]
    }, [])
  })
  return new Map((await Promise.all(looked)).flat())
}

/**
 * The copy on a server's machine; undefined when there is none.
 * @throws HOST_UNREACHABLE; DIRECTORY_OWNER when others than root may have it
 */
export async function fetchKept(
  context: ClusterContext,
  server: ServerWanted,
): Promise<KeptState | undefined> {
  const there = await readKept(context, server)
  if (there === undefined || there === 'nowhere') return undefined
  const place = `"${keptStatePathOf(context.wanted.name)}" on "${server.host.address}"`
  if (there.isClosed) return parseKeptState(there.text, place)
  throw new BackstayError('DIRECTORY_OWNER', `Will not use ${place}: it is not root's alone`, {
    hint: 'Others may have read or written it. backstay up on a machine that knows the cluster writes it anew; change the passwords.',
  })
}

async function readKept(
  context: ClusterContext,
  server: ServerWanted,
): Promise<{ readonly text: string; readonly isClosed: boolean } | undefined | 'nowhere'> {
  if (server.host.local) return 'nowhere'
  const { host } = await context.machineOf(server)
  if (host.user !== 'root') return 'nowhere'
  const path = keptStatePathOf(context.wanted.name)
  const [info, bytes] = await Promise.all([
    host.inspect(path),
    host.readFile(path, KEPT_STATE_BYTES),
  ])
  if (info === undefined || bytes === undefined) return undefined
  const isClosed = info.kind === 'file' && info.owner === 'root' && (info.mode & 0o077) === 0
  return { text: bytes.toString(), isClosed }
}
