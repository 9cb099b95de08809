/**
 * The text of `restore_command`. The shell looks into the prefetch folder itself: starting Node for
 * every segment would limit recovery to some twenty segments a second, `mv` does several hundred.
 * For a segment that is being fetched it waits a little: starting Node then would take the
 * processor from the very prefetch that is about to deliver.
 */
import { commandWord } from '../postgres/command-word.ts'
import { announcementName, BOOT_ID_FILE, PREFETCH_FOLDER } from './prefetch-folder.ts'

/**
 * Longest wait for an announced segment, which may be that of a prefetch that died: 200 looks, 10
 * ms apart.
 */
const LOOKS_MAX = 200

/** A repository on this machine, or the way into one on another. Absolute paths. */
export type WalPlaceWords = { readonly repository: string } | { readonly way: string }

/** What the command has to know. */
export interface RestoreCommandOptions {
  /** The program with its leading words: `["/usr/bin/node", "/…/bin/backstay.js"]`, absolute. */
  readonly program: readonly string[]
  /** Where `wal get` finds the repository. */
  readonly place: WalPlaceWords
  readonly cluster: string
  /**
   * For a standby: an error counts as «not there», because PostgreSQL asks again and can stream
   * meanwhile. Otherwise an error stops recovery (exit code 126), because «not there» would end it
   * early and lose what follows.
   */
  readonly standby: boolean
}

/** The value for `restore_command`, not yet quoted for the file it goes into. */
export function restoreCommand(options: RestoreCommandOptions): string {
  const { program, place, cluster, standby } = options
  const from = 'way' in place ? ['--way', place.way] : ['--repository', place.repository]
  const fixed = [...program, 'wal', 'get', ...from, '--cluster', cluster]
  const words = [...fixed, ...(standby ? ['--standby'] : [])].map(commandWord)
  return [
    `read -r boot <${BOOT_ID_FILE}`,
    `d="pg_wal/${PREFETCH_FOLDER}/$boot"`,
    `n=0`,
    `until mv -f "$d/%f" "%p" 2>/dev/null`,
    `do n=$((n+1))`,
    `[ $n -le ${LOOKS_MAX} ] && [ -e "$d/${announcementName('%f')}" ] && sleep 0.01 || exec ${words.join(' ')} "%f" "%p"`,
    'done',
  ].join('; ')
}
