/**
 * The way out of a switchover whose target was lost while it was asked to become the primary: the
 * old primary, which has everything up to then, serves again. Before that everybody who may have
 * heard of a promotion is asked.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { parseLsn } from '../postgres/lsn.ts'
import { formatHistoryName } from '../postgres/segment-name.ts'
import { historyTimelines } from '../host/history-names.ts'
import { switchPointOf } from '../postgres/timeline.ts'
import { type ClusterContext, factOf } from '../cluster/context.ts'
import type { ClusterFound, ServerFound } from '../cluster/found.ts'
import { repositoryThere } from '../cluster/repository-there.ts'
import type { SwitchoverJournal } from '../cluster/journal.ts'
import { lookLines, readRepositoryHistory } from './line.ts'

/** What the operator has said. */
export interface GivingUp {
  /**
   * The target is off for good, or cut off, and what it may have committed as the primary is given
   * up.
   */
  readonly targetIsDead: boolean
  /** Also when somebody has seen that it was promoted. */
  readonly allowDataLoss: boolean
}

/**
 * Makes sure that the target may be given up.
 * @throws NOT_READY when it runs; DATA_LOSS when it is known to have been promoted.
 */
export async function requireLost(
  context: ClusterContext,
  place: { readonly journal: SwitchoverJournal; readonly found: ClusterFound },
  { allowDataLoss }: GivingUp,
): Promise<void> {
  const { journal, found } = place
  const to = found.servers.find(({ name }) => name === journal.to)
  if (to?.running !== undefined) throw stillRuns(to)
  const witness = await witnessOf(context, place)
  if (witness === undefined || allowDataLoss) return
  throw new BackstayError(
    'DATA_LOSS',
    `Will not give "${journal.to}" up: it became the primary before it was lost, as ${witness} knows, and may have committed since`,
    {
      hint: `Bring it back, or promote a standby that follows it (backstay failover). To give up what it committed: backstay switchover --target-is-dead --allow-data-loss`,
    },
  )
}

/** Who knows of a timeline that came from the one that was to end. */
async function witnessOf(
  context: ClusterContext,
  { journal, found }: { readonly journal: SwitchoverJournal; readonly found: ClusterFound },
): Promise<string | undefined> {
  const lines = await lookLines(context, found)
  for (const [name, { history }] of lines) {
    if (history !== undefined && switchPointOf(history, journal.timeline) !== undefined) {
      return `"${name}"`
    }
  }
  try {
    return await witnessThere(context, journal)
  } catch (error) {
    const { message } = factOf(error)
    const text = `Whether the backup server knows of a promotion could not be looked at: ${message}`
    context.report({ kind: 'note', server: journal.to, text })
    return undefined
  }
}

async function witnessThere(
  context: ClusterContext,
  { timeline, endLsn }: SwitchoverJournal,
): Promise<string | undefined> {
  const { backup } = context.wanted
  if (backup === undefined) return undefined
  const { wal, names } = await repositoryThere(context, backup)
  const held = (await wal.listHistories()).map(formatHistoryName)
  for (const later of historyTimelines(names.wal, held).filter((each) => each > timeline)) {
    const history = await readRepositoryHistory(context, backup, later)
    const left = history && switchPointOf(history, timeline)
    const isFromHere =
      left !== undefined && (endLsn === undefined || left >= (parseLsn(endLsn) ?? 0n))
    if (isFromHere) return `the repository of "${backup.name}"`
  }
  return undefined
}

function stillRuns({ name, running }: ServerFound): BackstayError {
  return new BackstayError(
    'NOT_READY',
    `Will not give "${name}" up: it runs (pid ${running?.pid}) and does not answer`,
    { hint: 'Make it answer, or end it; then run: backstay switchover' },
  )
}
