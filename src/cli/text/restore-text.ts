/**
 * The plan of a restore for people and for --json.
 */
import { formatLsn } from '../../postgres/lsn.ts'
import type { OpenedState } from '../../restore/start.ts'
import { describePath, type RestorePlan } from '../../restore/plan.ts'
import { isoTimeUs } from '../../restore/target-time.ts'
import { describeTarget, type RestoreTarget } from '../../restore/wish.ts'
import { formatDuration } from '../../util/duration.ts'
import { spellIsoTime, spellTimeUs } from '../../util/local-time.ts'
import { formatSize } from '../../util/size.ts'
import { describeBackup } from './backup-json.ts'
import { renderFacts } from './facts.ts'
import type { Destination } from '../session/restore-wish.ts'

/** Whose the copy becomes, and where he opens it. */
export interface Opener {
  readonly osUser: string
  /** Undefined when it is not opened. */
  readonly port: number | undefined
}

/** The plan as a table of facts, warnings below. */
export function planText(
  plan: RestorePlan,
  destination: Destination | undefined,
  opener?: Opener,
): string {
  const { backup, wal, estimate } = plan
  const reached = plan.timeUs === undefined ? '' : ` (${spellTimeUs(plan.timeUs)})`
  const facts: [string, string][] = [
    ['Backup', `${describeBackup(backup)}, finished ${spellIsoTime(backup.finishedAt)}`],
    ...destinationFacts(plan, destination),
    ...(opener === undefined ? [] : openerFacts(opener)),
    ['Target', `${describeTarget(plan.target)}, then ${describeAction(plan)}`],
    ['Timeline', timelineText(plan)],
    [
      'WAL',
      `${formatLsn(wal.startLsn)} to ${formatLsn(wal.endLsn)}${reached}: ${formatSize(wal.bytes)} in ${wal.segments} segments`,
    ],
    ['To write', `${formatSize(plan.bytesToWrite)} in ${backup.files} files`],
    ['To read', `${formatSize(plan.bytesToRead)} of packs`],
    [
      'Time',
      `about ${formatDuration(estimate.filesMs)} for the files and ${formatDuration(estimate.walMs)} for the WAL (an estimate)`,
    ],
  ]
  return renderFacts(facts)
}

function openerFacts({ osUser, port }: Opener): [string, string][] {
  const opens =
    port === undefined
      ? ''
      : `, who opens it on port ${port}: what the origin put into it runs as him`
  return [['OS user', `${osUser}${opens}`]]
}

/** The plan for --json. */
export function planJson(
  plan: RestorePlan,
  destination: Destination | undefined,
  opener?: Opener,
): object {
  const { backup, wal, path, timeUs } = plan
  return {
    cluster: plan.cluster,
    backup: backup.id,
    directory: destination?.directory ?? null,
    walDirectory: destination?.walDirectory ?? null,
    osUser: opener?.osUser ?? null,
    timeline: plan.timeline,
    changesTimeline: changesTimeline(plan),
    path: path.map(({ timeline, from, to }) => ({
      timeline,
      fromLsn: formatLsn(from),
      toLsn: to === undefined ? null : formatLsn(to),
    })),
    target: targetJson(plan.target),
    stopAt: targetJson(plan.stopAt),
    reachesTime: timeUs === undefined ? null : isoTimeUs(timeUs),
    action: plan.action,
    standbyMode: plan.standbyMode,
    wal: { ...wal, startLsn: formatLsn(wal.startLsn), endLsn: formatLsn(wal.endLsn) },
    bytesToWrite: plan.bytesToWrite,
    bytesToRead: plan.bytesToRead,
    estimate: plan.estimate,
    warnings: plan.warnings,
  }
}

/**
 * What is read on another timeline was written by another server than the backup's, or after a
 * recovery: nobody should learn it afterwards.
 */
function timelineText(plan: RestorePlan): string {
  const path = describePath(plan.path)
  return changesTimeline(plan)
    ? `${path}: recovery leaves the backup's timeline, ${plan.backup.timeline}`
    : path
}

function changesTimeline({ path, backup }: RestorePlan): boolean {
  return path.some(({ timeline }) => timeline !== backup.timeline)
}

function destinationFacts(
  plan: RestorePlan,
  destination: Destination | undefined,
): [string, string][] {
  if (destination === undefined) return []
  const { directory, tablespaces, walDirectory } = destination
  const places = plan.backup.tablespaces.map(({ oid, location }): [string, string] => {
    const place = tablespaces.get(String(oid)) ?? tablespaces.get(location) ?? location
    return ['Tablespace', `${oid} in ${place}`]
  })
  const wal: [string, string][] = walDirectory === undefined ? [] : [['WAL into', walDirectory]]
  return [['Into', directory], ...places, ...wal]
}

function describeAction(plan: RestorePlan): string {
  if (plan.stopAt.type !== 'none') return plan.action
  return plan.standbyMode ? 'go on as a standby' : 'promote'
}

function targetJson(target: RestoreTarget): object {
  switch (target.type) {
    case 'time':
      return { type: target.type, time: isoTimeUs(target.timeUs), inclusive: target.inclusive }
    case 'lsn':
      return { type: target.type, lsn: formatLsn(target.lsn), inclusive: target.inclusive }
    case 'none':
    case 'immediate':
    case 'xid':
    case 'name':
      break
  }
  return target
}

/** Who runs the copy now; empty when nobody does. */
export function openedAs(opener: Opener, state: OpenedState | undefined): string {
  return state === undefined || state === 'shut-down' ? '' : ` It runs as "${opener.osUser}".`
}

/** What to do with a restored directory. */
export function nextStep(
  { directory, port: start }: { readonly directory: string; readonly port: number | undefined },
  state: OpenedState | undefined,
): string {
  switch (state) {
    case undefined:
      return `Start the server on "${directory}": it recovers by itself.`
    case 'promoted':
      return `It is open on port ${start}, promoted.`
    case 'paused':
      return `It is open for reading on port ${start}, paused at the target: \`SELECT pg_wal_replay_resume()\` promotes it.`
    case 'standby':
      return `It is open for reading on port ${start}, a standby.`
    case 'shut-down':
      break
  }
  return 'It came to the target and shut down.'
}
