/**
 * Whether somebody else changed roles since a switchover of ours began. Each change makes a
 * timeline, and whoever follows is on it; that its primary cannot be seen says nothing. Pure.
 */
import { switchPointOf } from '../postgres/timeline.ts'
import type { ClusterFound } from '../cluster/found.ts'
import { isMember, type MemberFound } from '../cluster/leader.ts'
import type { SwitchoverJournal } from '../cluster/journal.ts'
import type { Line, Lines } from './line.ts'

type Ours = Pick<SwitchoverJournal, 'from' | 'to' | 'timeline'>

/** A third server that serves as the primary. */
export function primaryBeside({ from, to }: Ours, found: ClusterFound): MemberFound | undefined {
  return found.servers
    .filter((server) => isMember(found, server))
    .find(({ name, sql }) => name !== from && name !== to && sql?.inRecovery === false)
}

/**
 * What shows that it is so, for a candidate that this switchover has not promoted: `"db3" is
 * primary`. A third server counts while it receives: one that was promoted by mistake long ago, and
 * lies there, says nothing.
 */
export function overtakenBy(ours: Ours, found: ClusterFound, lines: Lines): string | undefined {
  const beside = primaryBeside(ours, found)
  if (beside !== undefined) return isPrimary(beside.name)
  const later = found.servers.find(({ name, sql }) => {
    const counts = name === ours.from || name === ours.to || sql?.receiver?.status === 'streaming'
    return counts && isLater(ours, lines.get(name))
  })
  return later && isOn(later.name, lines)
}

/**
 * What may show that it is so, for a lock that was lost: whoever is primary but for the old one,
 * and everybody whose line came from the one that was to end.
 */
export function mayBeOvertaken(ours: Ours, found: ClusterFound, lines: Lines): string | undefined {
  const members = found.servers.filter((server) => isMember(found, server))
  const serving = members.find(({ name, sql }) => name !== ours.from && sql?.inRecovery === false)
  if (serving !== undefined) return isPrimary(serving.name)
  const later = members.find(({ name }) => isLater(ours, lines.get(name)))
  return later && isOn(later.name, lines)
}

/** Whether a line came from the one that was to end; one whose history is not there may have. */
function isLater({ timeline }: Ours, line: Line | undefined): boolean {
  if (line === undefined || line.timeline <= timeline) return false
  return line.history === undefined || switchPointOf(line.history, timeline) !== undefined
}

function isPrimary(name: string): string {
  return `"${name}" is primary`
}

function isOn(name: string, lines: Lines): string {
  return `"${name}" is on timeline ${lines.get(name)?.timeline}`
}
