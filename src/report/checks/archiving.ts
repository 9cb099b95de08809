/**
 * Checks of archive_command. A backup that starts and never ends nearly always waits for it.
 */
import type { ArchiverFound } from '../../cluster/found-sql.ts'
import { type Check, grade, pairsOf, verdict } from './finding.ts'

const READY_LIMITS = { warn: 16, fail: 128 }

/** Archiving works: the last try did not fail, and nothing piles up. */
export const archiving: Check = (facts) => {
  const { primary } = pairsOf(facts)
  if (primary === undefined) return []
  const mode = primary.sql.settings.get('archive_mode')?.value
  if (mode === undefined || mode === 'off') return []
  const { archiver } = primary.sql
  const say = verdict('archiving', primary.name)
  const metrics = { ready: archiver.readyCount ?? 0, failed: archiver.failedCount }
  if (isFailing(archiver)) {
    return [
      say.fail({
        found: `archiving of ${archiver.lastFailedSegment ?? 'a segment'} fails (${archiver.failedCount} times)`,
        cause: facts.archiverMessage ?? 'see the server log of the primary',
        remedy: 'Correct archive_command or its target: WAL piles up, and backups wait for it.',
        metrics,
      }),
    ]
  }
  const level = grade(metrics.ready, READY_LIMITS)
  if (level !== undefined) {
    return [
      say[level]({
        found: `${metrics.ready} finished segments wait to be archived`,
        cause: 'archive_command is slower than WAL is written, or hangs',
        remedy: 'See what archive_command does; the target’s disk or network may be slow.',
        metrics,
      }),
    ]
  }
  const last = archiver.lastArchivedSegment
  return [say.ok(last === undefined ? 'nothing to archive yet' : `last archived: ${last}`, metrics)]
}

/** Whether the last thing the archiver did was to fail. */
export function isFailing(archiver: ArchiverFound): boolean {
  return (archiver.lastFailedAtMs ?? 0) > (archiver.lastArchivedAtMs ?? 0)
}

/**
 * What the log says about the last failure: PostgreSQL's own line and, before it, the command's
 * words.
 */
export function archiverMessageIn(log: string): string | undefined {
  const lines = log.split('\n')
  const at = lines.findLastIndex((line) =>
    /archive command (failed|was terminated)|archiving write-ahead log file .* failed/.test(line),
  )
  if (at < 0) return undefined
  const said = lines[at - 1] ?? ''
  // The command's own words come without PostgreSQL's prefix.
  const words = /\b(LOG|WARNING|FATAL|ERROR|DETAIL|STATEMENT):/.test(said) ? '' : said.trim()
  const failure = (lines[at] ?? '').replace(/^.*?\b(LOG|WARNING|FATAL):\s+/, '')
  return words === '' ? failure : `${words} (${failure})`
}
