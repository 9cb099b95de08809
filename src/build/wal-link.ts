/**
 * A pg_wal that is a link to another disk: a clone fills a plain directory, and the link has to be
 * there again afterwards.
 */
import { posix } from 'node:path'
import type { Host } from '../host/host.ts'
import { stopServer } from '../host/postgres-control.ts'
import { runChecked } from '../host/run-checked.ts'
import { applySteps, takeStep } from './apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { step } from './plan/step.ts'
import { instanceOf } from './steps/act-context.ts'
import type { ServerWanted } from '../cluster/wanted.ts'

const STOP_TIMEOUT_MS = 10 * 60_000
const MOVE_TIMEOUT_MS = 10 * 60_000

/** Where the pg_wal of a data directory links to; undefined when it is a plain directory. */
export async function walLinkOf(host: Host, directory: string): Promise<string | undefined> {
  const info = await host.inspect(posix.join(directory, 'pg_wal'))
  if (info?.kind !== 'link' || info.target === undefined) return undefined
  return posix.resolve(directory, info.target)
}

/** Points the pg_wal of a directory that was set aside to where its WAL was put. */
export async function relinkWal(
  context: ClusterContext,
  server: ServerWanted,
  place: { readonly directory: string; readonly target: string },
): Promise<void> {
  const { host, osUser: user } = await context.machineOf(server)
  const script =
    'ln -s -- "$2" "$1/pg_wal.new" && mv -fT -- "$1/pg_wal.new" "$1/pg_wal" && sync -- "$1"'
  await runChecked(host, ['sh', '-c', script, 'sh', place.directory, place.target], { user })
}

/**
 * Arguments: data directory, where its WAL goes. The link has its place before the copy loses its
 * own.
 */
const MOVE_OUT = `
cd -- "$1" || exit
cp -a -- pg_wal/. "$2/" && sync -f -- "$2" && ln -s -- "$2" pg_wal.new || exit
mv -T -- pg_wal pg_wal.plain && mv -T -- pg_wal.new pg_wal && sync -- . && rm -rf -- pg_wal.plain
`

/**
 * Moves the WAL of a new standby to where that of the old one was, now an empty directory
 * (aside.ts); the server is stopped for it, and started again.
 */
export async function moveWalOut(
  context: ClusterContext,
  server: ServerWanted,
  target: string,
): Promise<void> {
  const { host, osUser: user } = await context.machineOf(server)
  if ((await walLinkOf(host, server.directory)) !== undefined) return
  const told = {
    id: `${server.name}.wal-link`,
    server: server.name,
    title: `link pg_wal to ${target}, as it was`,
  }
  await takeStep(context, told, async () => {
    const instance = await instanceOf(context, server)
    await stopServer(instance, { timeoutMs: STOP_TIMEOUT_MS, signal: context.signal })
    const words = ['sh', '-c', MOVE_OUT, 'sh', server.directory, target]
    await runChecked(host, words, { user, timeoutMs: MOVE_TIMEOUT_MS })
  })
  const start = { title: 'start PostgreSQL', reason: 'with its WAL where it was' }
  await applySteps(context, [step(server.name, { action: 'start' }, start)])
}
