/**
 * Checks of what flows from the primary to its standbys: attached, alive, near, on the same
 * timeline, undisturbed.
 */
import { describeTightDisk, roomRemedy, type TightDisk } from '../../host/full-disk.ts'
import { formatDuration } from '../../util/duration.ts'
import { formatSize } from '../../util/size.ts'
import { AHEAD, isAhead, replicationOf } from '../../cluster/replication.ts'
import { type Check, grade, pairsOf, type Trouble, verdict } from './finding.ts'

const BYTE_LIMITS = { warn: 16 * 1024 ** 2, fail: 256 * 1024 ** 2 }
const TIME_LIMITS_MS = { warn: 30_000, fail: 300_000 }
/** Of wal_receiver_status_interval, by which even an idle primary is heard. */
const SILENCE_INTERVALS = 3
const SILENCE_FAIL_MS = 120_000

/** The primary sees every standby stream. */
export const attached: Check = (facts) => {
  const { primary, others } = pairsOf(facts)
  if (primary === undefined) return []
  return others.map((standby) => {
    const say = verdict('replication.attached', standby.name)
    const { sender } = replicationOf(primary, standby)
    if (isAhead(primary.sql, standby)) {
      return say.fail({
        found: `${AHEAD} on "${primary.name}"`,
        cause:
          'the primary was set back to an older state, or has lost WAL: the two hold other rows',
        remedy: `Find out which one holds the data you want; then: backstay rejoin ${standby.name}`,
      })
    }
    if (sender?.state === 'streaming') return say.ok(`streams from "${primary.name}"`)
    if (standby.tightDisk !== undefined) return say.fail(noRoom(standby.tightDisk))
    if (sender !== undefined) {
      return say.warn({
        found: `"${primary.name}" says "${sender.state}"`,
        cause: 'it is catching up, or a base backup runs',
        remedy: 'Wait; if it lasts, see the standby’s log.',
      })
    }
    return say.fail({
      found: `"${primary.name}" does not know it`,
      cause: 'the standby is stopped, points elsewhere, or is refused',
      remedy: 'Run: backstay up',
    })
  })
}

/** It may be connected again and again: waiting makes no room. */
function noRoom(disk: TightDisk): Trouble {
  return {
    found: `no room for WAL, ${describeTightDisk(disk)}`,
    cause: 'its disk is full: what the primary sends cannot be written, and replay stands still',
    remedy: roomRemedy(disk),
  }
}

/** The standby's own end is alive: a dead walreceiver looks like no lag at all. */
export const receiverAlive: Check = (facts) => {
  const { primary, standbys } = pairsOf(facts)
  return standbys.map((standby) => {
    const say = verdict('replication.receiver', standby.name)
    const { receiver, settings } = standby.sql
    if (standby.tightDisk !== undefined) return say.fail(noRoom(standby.tightDisk))
    if (receiver === undefined) {
      return say.fail({
        found: 'no walreceiver runs',
        cause: 'it cannot connect to the primary, or replays from an archive only',
        remedy: 'Run: backstay up; see the standby’s log.',
      })
    }
    const intervalMs = Number(settings.get('wal_receiver_status_interval')?.value ?? 10) * 1000
    const silentMs = Math.round(receiver.lastMessageAgeMs ?? 0)
    const metrics = { lastMessageAgeMs: silentMs }
    const limits = { warn: Math.max(30_000, SILENCE_INTERVALS * intervalMs), fail: SILENCE_FAIL_MS }
    const level = receiver.status === 'streaming' ? grade(silentMs, limits) : 'warn'
    const from = `${receiver.senderHost ?? '?'}:${receiver.senderPort ?? '?'}`
    if (level !== undefined) {
      return say[level]({
        found: `walreceiver is "${receiver.status}", last heard of ${from} ${formatDuration(silentMs)} ago`,
        cause: `the network to "${primary?.name ?? 'the primary'}" is cut, or the primary hangs`,
        remedy: 'Check the network; wal_receiver_timeout ends a dead connection.',
        metrics,
      })
    }
    return say.ok(`walreceiver streams from ${from}`, metrics)
  })
}

/** Bytes behind, measured from the primary. */
export const byteLag: Check = (facts) => {
  const { primary, standbys } = pairsOf(facts)
  if (primary === undefined) return []
  return standbys.map((standby) => {
    const say = verdict('replication.lag-bytes', standby.name)
    const { replayLagBytes } = replicationOf(primary, standby)
    if (replayLagBytes === undefined) {
      return say.fail({
        found: 'the lag cannot be measured',
        cause: 'the standby has replayed nothing yet',
        remedy: 'Run: backstay up',
      })
    }
    const metrics = { replayLagBytes }
    const level = grade(replayLagBytes, BYTE_LIMITS)
    if (level === undefined) return say.ok(`${formatSize(replayLagBytes)} behind`, metrics)
    return say[level]({
      found: `${formatSize(replayLagBytes)} behind`,
      cause: 'more WAL is written than the network, the disk or replay takes',
      remedy: 'See whether replay is paused or held up by queries; compare disk and network.',
      metrics,
    })
  })
}

/** Time behind, as readers of the standby see it. */
export const timeLag: Check = (facts) => {
  const { primary, standbys } = pairsOf(facts)
  if (primary === undefined) return []
  return standbys.flatMap((standby) => {
    const { replayLagMs } = replicationOf(primary, standby)
    if (replayLagMs === undefined) return []
    const say = verdict('replication.lag-time', standby.name)
    const metrics = { replayLagMs: Math.round(replayLagMs) }
    const level = grade(replayLagMs, TIME_LIMITS_MS)
    if (level === undefined) return [say.ok(`${formatDuration(replayLagMs)} behind`, metrics)]
    return [
      say[level]({
        found: `readers see data ${formatDuration(replayLagMs)} old`,
        cause: 'it is detached, replay is paused or held up, or WAL arrives slowly',
        remedy: 'See the other findings about this standby.',
        metrics,
      }),
    ]
  })
}

/** Every standby is on the primary's timeline. */
export const timelines: Check = (facts) => {
  const { primary, standbys } = pairsOf(facts)
  if (primary === undefined) return []
  return standbys.map((standby) => {
    const say = verdict('replication.timeline', standby.name)
    const [ours, theirs] = [standby.sql.timeline, primary.sql.timeline]
    if (ours === theirs) return say.ok(`timeline ${ours}`)
    return say.fail({
      found: `timeline ${ours}, "${primary.name}" is on ${theirs}`,
      cause:
        ours > theirs
          ? 'it was promoted once: the two have gone different ways'
          : 'it has not followed the last promotion',
      remedy: `Run: backstay rejoin ${standby.name}`,
    })
  })
}

/** Replay is not paused, by somebody or by PostgreSQL. */
export const replayRuns: Check = (facts) =>
  pairsOf(facts).standbys.map((standby) => {
    const say = verdict('replication.replay', standby.name)
    if (!standby.sql.position.isReplayPaused) return say.ok('replay runs')
    return say.warn({
      found: 'WAL replay is paused',
      cause: 'somebody paused it, or a setting is lower than on the primary (14+)',
      remedy: 'Run on it: SELECT pg_wal_replay_resume()',
    })
  })

/** Queries of a standby that replay had to cancel. */
export const conflicts: Check = (facts) =>
  pairsOf(facts).standbys.map((standby) => {
    const say = verdict('replication.conflicts', standby.name)
    const count = standby.sql.conflicts
    if (count === 0) return say.ok('replay cancelled no query', { conflicts: 0 })
    return say.warn({
      found: `replay has cancelled ${count} queries since statistics were reset`,
      cause: 'they needed rows or locks that the primary had given up',
      remedy: 'Set hot_standby_feedback or max_standby_streaming_delay for long queries.',
      metrics: { conflicts: count },
    })
  })
