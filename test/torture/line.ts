/**
 * The line of timelines that the primary is on, read from its own history file: which moments lie on it.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TortureCluster } from './cluster.ts'
import { lsnOf, type Moment } from './moment.ts'

/** The present timeline, and where each of its ancestors was left. */
export interface Line {
  readonly timeline: number
  readonly left: ReadonlyMap<number, bigint>
}

export async function readLine(cluster: TortureCluster): Promise<Line> {
  const primary = await cluster.primary()
  const [row] = await cluster.query(primary, 'SELECT pg_walfile_name(pg_current_wal_lsn()) AS name')
  const timeline = Number.parseInt(String(row?.['name']).slice(0, 8), 16)
  const left = new Map<number, bigint>()
  if (timeline === 1) return { timeline, left }
  const name = `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`
  const text = await readFile(join(cluster.directory(primary), 'pg_wal', name), 'utf8')
  for (const line of text.split('\n')) {
    const [, ancestor, lsn] = /^(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/.exec(line) ?? []
    if (ancestor !== undefined && lsn !== undefined) left.set(Number(ancestor), lsnOf(lsn))
  }
  return { timeline, left }
}

export function isOnLine({ timeline, left }: Line, moment: Moment): boolean {
  if (moment.timeline === timeline) return true
  const until = left.get(moment.timeline)
  return until !== undefined && moment.lsn <= until
}
