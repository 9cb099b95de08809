/**
 * History files that came while no primary answered. They are used as any other, because without
 * them nothing of their timeline could be restored, and are judged again when the primary brings a
 * history of its own.
 */
import { formatHistoryName } from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import type { ContinuityMap } from './continuity.ts'
import { setAsidePushed } from './contested.ts'
import { clearPushed, confirmPushed, isProvisional, pushedBy } from './pushed-mark.ts'

/** The timelines of such files. */
export async function provisionalOf(
  repository: ClusterRepository,
  { histories }: ContinuityMap,
): Promise<ReadonlySet<number>> {
  const found = new Set<number>()
  for (const timeline of histories.keys()) {
    if (await isProvisional(repository, formatHistoryName(timeline))) found.add(timeline)
  }
  return found
}

/**
 * What the history of the primary `server` says of them: wrong ones are kept out of the way and
 * told of.
 */
export async function judgeProvisional(
  repository: ClusterRepository,
  { wrong, right }: { readonly wrong: readonly number[]; readonly right: readonly number[] },
  server: string,
): Promise<void> {
  for (const timeline of right) {
    await confirmPushed(repository, formatHistoryName(timeline), server)
  }
  for (const timeline of wrong) {
    const name = formatHistoryName(timeline)
    await setAsidePushed(repository, name, (await pushedBy(repository, name)) ?? '?')
    await clearPushed(repository, name)
  }
}
