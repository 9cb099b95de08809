/**
 * Which program a running server was started from, and what is installed in its place: a package
 * update replaces the file under a server, which goes on with the old one, and with libraries that
 * may be gone.
 */
import type { ClusterContext } from '../context.ts'
import { orElse } from '../context.ts'
import type { ServerFound } from '../found.ts'
import { wantedServer } from '../wanted-server.ts'

/** The program of a server. */
export interface ProgramFound {
  readonly path: string
  /** Whether the file it runs is gone or was replaced. */
  readonly isReplaced: boolean
  /**
   * What the file under that name says now: `15.18 (Debian 15.18-0+deb12u1)`; undefined when there
   * is none that runs.
   */
  readonly installed: string | undefined
}

/** The kernel marks a file that has no name any more. */
const DELETED = ' (deleted)'
const ASK = `exe=$(readlink "/proc/$1/exe") || exit 1
printf '%s\\n' "$exe"
"\${exe%${DELETED}}" --version 2>/dev/null || true`
const TIMEOUT_MS = 10_000

/** Looks at every server that runs. Undefined in place of what cannot be told. */
export async function lookPrograms(
  context: ClusterContext,
  servers: readonly ServerFound[],
): Promise<ReadonlyMap<string, ProgramFound>> {
  const looked = servers.map(async (server): Promise<[string, ProgramFound][]> => {
    const program = await lookProgram(context, server)
    return program === undefined ? [] : [[server.name, program]]
  })
  return new Map((await Promise.all(looked)).flat())
}

async function lookProgram(
  context: ClusterContext,
  { name, running }: ServerFound,
): Promise<ProgramFound | undefined> {
  if (running === undefined) return undefined
  return await orElse(async () => {
    const { host, osUser: user } = await context.machineOf(wantedServer(context.wanted, name))
    const command = ['sh', '-c', ASK, 'sh', String(running.pid)]
    const { exitCode, stdout } = await host.run(command, { user, timeoutMs: TIMEOUT_MS })
    return exitCode === 0 ? parseProgram(stdout) : undefined
  }, undefined)
}

/** Reads the answer: the link's target, then `postgres (PostgreSQL) 15.18 (Debian …)`. Pure. */
export function parseProgram(text: string): ProgramFound | undefined {
  const [link = '', version = ''] = text.split('\n')
  if (link === '') return undefined
  const isReplaced = link.endsWith(DELETED)
  return {
    path: isReplaced ? link.slice(0, -DELETED.length) : link,
    isReplaced,
    installed: /^postgres \(PostgreSQL\) (.+)$/.exec(version)?.[1],
  }
}
