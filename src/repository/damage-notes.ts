/**
 * What verification found damaged, as objects (docs/repository-format.md §9): a note for each
 * backup, until a later verification of it finds nothing wrong. What follows from them for the
 * other backups: ../backup/known-damage.ts.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { type BackupId, parseBackupId } from './backup-info.ts'
import type { ClusterRepository } from './cluster-repository.ts'
import { textOf } from '../util/text-of.ts'
import { PACK_LIST_BYTES_MAX, readSealed, replaceSealed } from './sealed-object.ts'

/** What a verification found of one backup. */
export interface FoundDamage {
  /** Packs in which something that the backup needs is damaged. */
  readonly packs: readonly string[]
  /** Damaged WAL files without which the backup does not become consistent. */
  readonly wal: readonly string[]
  /** Nothing else is wrong than those. */
  readonly isOnlyWal: boolean
  /**
   * The first thing that was wrong: an object or a path of the backup, and what is wrong with it.
   */
  readonly subject: string
  readonly problem: string
}

/** A note as it is stored. */
export interface DamageNote extends FoundDamage {
  readonly backup: BackupId
  /**
   * When the verification that found it began; ISO 8601 UTC. Empty when the note itself cannot be
   * read.
   */
  readonly at: string
}

type NotePlace = Pick<ClusterRepository, 'store' | 'names'>

/**
 * Notes what was found, in place of what was found before; without anything found the note before
 * goes.
 */
export async function noteDamage(
  { store, names }: NotePlace,
  { backup, at }: Pick<DamageNote, 'backup' | 'at'>,
  found: FoundDamage | undefined,
): Promise<void> {
  if (found === undefined) await store.delete(names.damage(backup))
  else await replaceSealed(store, names.damage(backup), { backup, at, ...found })
}

/**
 * All notes, of backups that are gone too: their packs may be needed by others. Oldest backup
 * first.
 */
export async function listDamage(place: NotePlace): Promise<readonly DamageNote[]> {
  const notes: DamageNote[] = []
  for (const object of await place.store.listObjects(place.names.damaged)) {
    const id = parseBackupId(object.replace(/\.json$/, ''))
    const note = id === undefined ? undefined : await readNote(place, id)
    if (note !== undefined) notes.push(note)
  }
  return notes
}

/**
 * Removes the notes that nothing depends on any more: of backups not in `ids` none of whose packs
 * is in `packs`.
 */
export async function dropDamage(
  place: NotePlace,
  { ids, packs }: { readonly ids: ReadonlySet<string>; readonly packs: ReadonlySet<string> },
): Promise<void> {
  for (const note of await listDamage(place)) {
    if (ids.has(note.backup) || note.packs.some((pack) => packs.has(pack))) continue
    await place.store.delete(place.names.damage(note.backup))
  }
}

/** A note that cannot be read still says that something was found. */
async function readNote(
  { store, names }: NotePlace,
  id: BackupId,
): Promise<DamageNote | undefined> {
  const subject = names.damage(id)
  try {
    const value = await readSealed(store, subject, PACK_LIST_BYTES_MAX)
    return value && decodeNote(id, value)
  } catch (error) {
    const isUnreadable =
      isBackstayError(error, 'REPOSITORY_DAMAGED') || isBackstayError(error, 'REPOSITORY_FORMAT')
    if (!isUnreadable) throw error
    return {
      backup: id,
      at: '',
      packs: [],
      wal: [],
      isOnlyWal: false,
      subject,
      problem: error.message,
    }
  }
}

function decodeNote(backup: BackupId, value: Readonly<Record<string, unknown>>): DamageNote {
  return {
    backup,
    at: textOf(value['at']),
    packs: texts(value['packs']),
    wal: texts(value['wal']),
    isOnlyWal: value['isOnlyWal'] === true,
    subject: textOf(value['subject']),
    problem: textOf(value['problem']),
  }
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(textOf) : []
}
