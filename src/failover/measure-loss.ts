/**
 * Finds out what is left of a lost primary's WAL, and who holds most of it.
 */
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { type ClusterContext, orElse } from '../cluster/context.ts'
import { isFetching } from '../cluster/look/look-ways.ts'
import { timelineOf } from '../cluster/takeover.ts'
import { matchRepository, matchStandbys, matchThrough } from './compare-holders.ts'
import { hasBegunRecordOnly } from './begun-record.ts'
import type { FailoverPlan } from './failover-plan.ts'
import { judgeLoss, type Loss, type LossFacts } from './loss.ts'
import type { AnsweringMember } from './switch-plan.ts'
import { relationOf } from './line.ts'
import { type OldWal, readOldWal } from './old-wal.ts'
import type { WalMatch } from './same-wal.ts'
import type { Standing } from './wal-reach.ts'
import {
  directorySource,
  type RepositorySource,
  repositorySource,
  type WalSource,
} from './wal-sources.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** The loss, and where the candidate can take WAL from. */
export interface Measured {
  readonly loss: Loss
  readonly standing: Standing
  /** Who holds more than the candidate has, the furthest first. */
  readonly sources: readonly WalSource[]
  /** Whose WAL is the candidate's. */
  readonly matches: ReadonlyMap<string, WalMatch>
}

/** Measures. Exact only once the old primary writes no more. */
export async function measureLoss(context: ClusterContext, plan: FailoverPlan): Promise<Measured> {
  const standing = standingOf(plan)
  const alike = plan.others.filter(({ name }) => isSameLine(plan, name))
  const beside = plan.beside ?? (await matchStandbys(context, plan, standing))
  const isSame = plan.relation === 'same'
  const readOld = async (): Promise<OldWal | undefined> =>
    isSame && isReadable(plan) ? readOldWal(context, plan, standing) : undefined
  const isWriting = plan.fencing === 'hung'
  const members = [plan.to, ...alike].map(({ name }) => name)
  const [own, early, vault, note, newcomers, others] = await Promise.all([
    holdings(context, plan.to, standing),
    isWriting ? undefined : readOld(),
    repositorySource(context, standing),
    context.state.readLeader(),
    lookNewcomers(context, members),
    Promise.all(alike.map(async (other) => holdings(context, other, standing))),
  ])
  // Sessions of one that hangs can go on: read before the others it would seem to lack what these
  // got of it meanwhile.
  const old = isWriting ? await readOld() : early
  const matches = await withRepository(context, plan, { standing, vault, matches: beside })
  const isOwn = ({ name }: WalSource): boolean => name === plan.to.name
  const standbys = [own, ...others, vault]
    .filter((source) => source !== undefined)
    .filter((source) => matches.get(source.name) !== 'different')
  const all = old?.source === undefined ? standbys : [...standbys, old.source]
  const reachableEndLsn = furthest(all, standing.lsn)
  const loss = judgeLoss({
    plan,
    ...(await judgeEnd(old, standbys, standing)),
    reachableEndLsn,
    reporters: standbys
      .filter((source) => isOwn(source) || matches.get(source.name) === 'same')
      // Of one that cannot be looked at it is not known that it is none.
      .filter(({ name }) => !newcomers.has(name) || newcomers.get(name) === false)
      .flatMap(({ name, doubt }) => (doubt === undefined ? [name] : [])),
    fetching: members.filter((name) => newcomers.get(name) === true),
    parted: [...matches].flatMap(([name, match]) => (match === 'different' ? [name] : [])),
    synchronousNames: isSame && note?.server === plan.from.name ? note.synchronousNames : '',
    candidateNames: plan.to.sql.settings.get('synchronous_standby_names')?.value ?? '',
    asynchronous: asynchronousOf(note?.asynchronous, plan),
  })
  return { loss, standing, sources: beyond(all, own?.endLsn ?? standing.lsn), matches }
}

/**
 * With the backup server's WAL, which also tells of standbys whose WAL the candidate does not have
 * any more.
 */
async function withRepository(
  context: ClusterContext,
  plan: FailoverPlan,
  known: {
    readonly standing: Standing
    readonly vault: RepositorySource | undefined
    readonly matches: ReadonlyMap<string, WalMatch>
  },
): Promise<ReadonlyMap<string, WalMatch>> {
  const { standing, vault: source, matches } = known
  if (source === undefined) return matches
  const match = await matchRepository(context, plan, { source, standing })
  const standbys =
    match === 'same' ? await matchThrough(context, plan, { matches, source, standing }) : matches
  return new Map([...standbys, [source.name, match]])
}

/**
 * As last seen on the old primary, and what the candidate has received of such settings of roles
 * and databases since.
 */
function asynchronousOf(seen: readonly string[] = [], { to }: FailoverPlan): readonly string[] {
  const received = (to.sql.asynchronous ?? []).filter((who) => who !== '')
  return [...new Set([...seen, ...received])]
}

type PrimaryEnd = Pick<LossFacts, 'primaryEndLsn' | 'primaryDoubt' | 'isOther'>

/**
 * What the old primary's own directory says, unless somebody has more than it: then part of it is
 * gone.
 */
async function judgeEnd(
  old: OldWal | undefined,
  others: readonly WalSource[],
  standing: Standing,
): Promise<PrimaryEnd> {
  const { source, doubt, isOther = false } = old ?? {}
  if (doubt !== undefined) return { primaryEndLsn: undefined, primaryDoubt: doubt, isOther }
  if (source === undefined) return { primaryEndLsn: undefined }
  const more = await Promise.all(
    others
      .filter(({ hadLsn }) => hadLsn > source.endLsn)
      .map(async (other) => {
        const isNoMore = await orElse(
          async () => hasBegunRecordOnly(source, other, standing),
          false,
        )
        return isNoMore ? [] : [other]
      }),
  )
  const othersEndLsn = furthestHad(more.flat(), standing.lsn)
  if (source.endLsn >= othersEndLsn) return { primaryEndLsn: source.endLsn }
  const primaryDoubt = `it can be read up to ${formatLsn(source.endLsn)}, and others have it up to ${formatLsn(othersEndLsn)}`
  return { primaryEndLsn: undefined, primaryDoubt }
}

function isReadable({ fencing }: FailoverPlan): boolean {
  return fencing === 'stopped' || fencing === 'hung'
}

function isSameLine({ lines, to }: FailoverPlan, other: string): boolean {
  return relationOf(lines.get(to.name), lines.get(other)) === 'same'
}

/** Where a standby's replay stands: a boundary between two records. */
export function standingOf({ to, lines }: FailoverPlan): Standing {
  const { control } = to.directory
  const lsn = to.sql.position.replayed ?? control.checkpoint.redoLsn
  const { timeline = timelineOf(to), history } = lines.get(to.name) ?? {}
  return { timeline, history, lsn, segmentBytes: control.segmentBytes }
}

/**
 * By name, whether a standby came from a backup and has not streamed since; undefined where that
 * cannot be looked at.
 */
async function lookNewcomers(
  context: ClusterContext,
  names: readonly string[],
): Promise<ReadonlyMap<string, boolean | undefined>> {
  const looks = names.map(async (name): Promise<[string, boolean | undefined]> => {
    const server = wantedServer(context.wanted, name)
    return [name, await orElse(async () => isFetching(context, server), undefined)]
  })
  return new Map(await Promise.all(looks))
}

async function holdings(
  context: ClusterContext,
  { name, sql }: AnsweringMember,
  standing: Standing,
): Promise<WalSource | undefined> {
  const server = wantedServer(context.wanted, name)
  const receivedLsn = sql.position.received
  const isKnown = receivedLsn !== undefined && receivedLsn > standing.lsn
  const place = isKnown ? { standing, receivedLsn } : { standing }
  // A source that cannot be read is none.
  return await orElse(async () => directorySource(context, server, place), undefined)
}

function furthest(sources: readonly WalSource[], fromLsn: Lsn): Lsn {
  return sources.reduce((end, { endLsn }) => (endLsn > end ? endLsn : end), fromLsn)
}

/** Up to where anybody has had WAL, whether or not it can be read there now. */
function furthestHad(sources: readonly WalSource[], fromLsn: Lsn): Lsn {
  return sources.reduce((end, { hadLsn }) => (hadLsn > end ? hadLsn : end), fromLsn)
}

function beyond(sources: readonly WalSource[], ownEndLsn: Lsn): readonly WalSource[] {
  return sources
    .filter(({ endLsn }) => endLsn > ownEndLsn)
    .sort((one, other) => Number(other.endLsn - one.endLsn))
}
