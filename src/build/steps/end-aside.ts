/**
 * Ends what a reclone set aside. That the primary has all of it was proved when it was set aside,
 * of the primary as it was then: one that was set back to an older copy since, or another one, need
 * not have it.
 */
import { posix } from 'node:path'
import { SMALL_FILE_BYTES } from '../../host/read-limit.ts'
import { CONTROL_FILE_PATH, parseControlFile } from '../../postgres/control-file.ts'
import { type ClusterContext, orElse } from '../../cluster/context.ts'
import { openAdminSql } from '../../cluster/look/connect.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { wantedServer } from '../../cluster/wanted-server.ts'
import { ASIDE_SUFFIX, asideTimeMs, removeAsidePath } from '../remove-aside.ts'
import { type Act, serverOfStep, type StepOf } from './act-context.ts'

const PRIMARY_QUERY = `
SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8 * 1000 AS "upMs",
       ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int AS timeline`

/**
 * Removes a directory, and only one that was remembered. What is not certain any more stays, and is
 * forgotten.
 */
export const removeAside: Act<'remove-aside'> = async (context, step) => {
  const server = serverOfStep(context, step)
  const asides = await context.state.readAsides(server.name)
  if (!asides.includes(step.path)) return
  const isJudged = context.judgedAsides?.includes(step.path) === true
  if (isJudged || (await isPrimaryAsItWas(context, server, step))) {
    await removeAsidePath(await context.machineOf(server), server, step.path)
  } else {
    const text = `${step.path} is kept: since it was set aside "${step.primary}" was started again or became the primary, and may lack what it holds`
    context.report({ kind: 'note', server: server.name, text })
  }
  await context.state.writeAsides(
    server.name,
    asides.filter((path) => path !== step.path),
  )
}

/**
 * Whether the primary has been one, without a stop, since before the directory was set aside: it
 * runs as long, on the same timeline.
 */
async function isPrimaryAsItWas(
  context: ClusterContext,
  server: ServerWanted,
  { path, primary }: StepOf<'remove-aside'>,
): Promise<boolean> {
  const timeMs = asideTimeMs(path)
  const timeline = await timelineOf(context, server, path)
  if (timeMs === undefined || timeline === undefined) return false
  await using sql = await openAdminSql(context, wantedServer(context.wanted, primary))
  const there = await sql.one<{ upMs: number; timeline: number }>(PRIMARY_QUERY)
  return there.timeline === timeline && context.clock.now() - there.upMs < timeMs
}

/**
 * Of the data directory that was set aside with it; undefined when that cannot be read any more.
 */
async function timelineOf(
  context: ClusterContext,
  server: ServerWanted,
  path: string,
): Promise<number | undefined> {
  const { host } = await context.machineOf(server)
  const stamp = path.slice(path.lastIndexOf(ASIDE_SUFFIX))
  const control = posix.join(`${server.directory}${stamp}`, CONTROL_FILE_PATH)
  return await orElse(async () => {
    const content = await host.readFile(control, SMALL_FILE_BYTES)
    if (content === undefined) return undefined
    const { checkpoint, minRecoveryTimeline } = parseControlFile(content)
    return Math.max(checkpoint.timeline, minRecoveryTimeline)
  }, undefined)
}
