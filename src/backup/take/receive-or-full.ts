/**
 * Receives what changed since a reference, and all of it where the reference turns out to be
 * damaged: whoever sends, a server's stream or the files of an import.
 */
import { isBackstayError } from '../../errors/backstay-error.ts'
import type { BackupId } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { discardBackup } from '../../repository/garbage.ts'
import type { ChangedPagesChoice, FullChoice, ReferenceChoice } from './choose-reference.ts'
import { type HeldReference, openReference } from './open-reference.ts'

/** The two ways in which one backup is received. */
export interface Reception<T> {
  readonly full: (choice: FullChoice) => Promise<T>
  /** The reference is open until the promise settles. */
  readonly changes: (choice: ChangedPagesChoice, reference: HeldReference) => Promise<T>
  /** Told before a full is received in the place of changes. */
  readonly onFull?: (because: string) => void
}

/**
 * Receives backup `id` as chosen, or as a full after all; what was received before that is
 * discarded.
 * @throws what receiving throws; REPOSITORY_DAMAGED from a full only
 */
export async function receiveOrFull<T>(
  { cluster, id }: { readonly cluster: ClusterRepository; readonly id: BackupId },
  choice: ReferenceChoice,
  { full, changes, onFull }: Reception<T>,
): Promise<T> {
  if (choice.type === 'full') return await full(choice)
  try {
    await using reference = await openReference(cluster, choice.reference)
    return await changes(choice, reference)
  } catch (error) {
    // A repository in which something is damaged needs a whole new backup more than ever.
    if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
    const because = `backup ${choice.reference.id} is damaged: ${error.message}`
    onFull?.(because)
    await discardBackup(cluster, id)
    return await full({ type: 'full', because })
  }
}
