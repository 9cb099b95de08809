/**
 * Which servers a restart takes, in which order, and when it is refused: no server is taken away
 * while another one that should be there is not. Pure.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { ClusterFound, ServerFound } from '../../cluster/found.ts'
import { type AnsweringServer, answeringPrimary } from '../../cluster/replication.ts'
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { isStreaming } from './attach-plan.ts'

/** What is asked for. */
export interface RestartWish {
  /** One server; undefined: all, one after the other. */
  readonly server?: string | undefined
  /** Whether the primary hands its role over instead of being restarted in its place. */
  readonly switchover: boolean
}

/** Who is restarted, in which order: the primary last. */
export interface RestartPlan {
  readonly primary: AnsweringServer
  /** Standbys, in the order of the file; each has to stream again before the next. */
  readonly standbys: readonly string[]
  /** Last of all; `none`: it stays as it is. */
  readonly lead: 'none' | 'restart' | 'switchover'
}

/** Plans. @throws USAGE, PRIMARY_MISSING, NOT_READY */
export function planRestart(
  wanted: ClusterWanted,
  found: ClusterFound,
  wish: RestartWish,
): RestartPlan {
  const primary = answeringPrimary(found)
  if (primary === undefined) {
    throw new BackstayError('PRIMARY_MISSING', 'Cannot restart: no primary answers', {
      hint: 'Run: backstay status. A server that is stopped is started by backstay up.',
    })
  }
  checkName(wanted, wish)
  const takesPrimary = wish.server === undefined || wish.server === primary.name
  if (wish.switchover && !takesPrimary) {
    throw new BackstayError('USAGE', `Cannot switch over: "${wish.server}" is not the primary`, {
      hint: `Restart it without --switchover, or "${primary.name}" with it.`,
    })
  }
  refuseAway(found, primary, wish)
  const standbys = found.servers.map(({ name }) => name).filter((name) => name !== primary.name)
  const lead = wish.switchover ? 'switchover' : 'restart'
  return {
    primary,
    standbys: standbys.filter((name) => wish.server === undefined || wish.server === name),
    lead: takesPrimary ? lead : 'none',
  }
}

function checkName({ servers }: ClusterWanted, { server }: RestartWish): void {
  if (server === undefined || servers.some(({ name }) => name === server)) return
  const known = servers.map(({ name }) => `"${name}"`).join(', ')
  throw new BackstayError('USAGE', `Cannot restart "${server}": the servers are ${known}`)
}

/**
 * A standby that does not stream may be the very one that a restart is to cure; it then has to run.
 */
function refuseAway(found: ClusterFound, primary: AnsweringServer, { server }: RestartWish): void {
  for (const other of found.servers) {
    if (other.name === primary.name) continue
    const why = whyNotThere(primary, other)
    if (why === undefined || (other.name === server && other.running !== undefined)) continue
    throw new BackstayError('NOT_READY', `Cannot restart: standby "${other.name}" ${why}`, {
      hint: 'Bring it back with backstay up, or take it out of the cluster file; then restart.',
    })
  }
}

function whyNotThere(primary: AnsweringServer, standby: ServerFound): string | undefined {
  if (standby.hostError !== undefined) return `cannot be looked at (${standby.hostError.message})`
  if (standby.running === undefined) return 'does not run'
  return isStreaming(primary.sql, standby) ? undefined : 'does not stream'
}
