/**
 * The process that fills a clone's directory on its own machine, and its end when the operator who
 * ordered it is gone. While it lives nobody else may touch the directory.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { Host } from '../host/host.ts'
import { READ_OWN_UID } from '../host/own-uid.ts'
import { thisProcess } from '../util/process-identity.ts'

/** A process on the machine the clone lies on; tells a reused pid apart. */
export interface CloneWorker {
  readonly pid: number
  readonly startTicks: number
  readonly bootId: string
}

/** The command that clones on the machine it runs on. */
const CLONE_COMMAND = 'clone-here'

/** Its arguments, after the program: by the directory its process is known. */
export function cloneCommand(directory: string): readonly string[] {
  return [CLONE_COMMAND, '--json', directory]
}

const END_TIMEOUT_MS = 60_000
/**
 * Arguments: pid, start time (field 22 of /proc/PID/stat), boot id, directory, its OS user. TERM,
 * after 15 s KILL; 1 when it lives on after 25 s. Only a process that was started to clone into
 * this very directory is ended, by this user or the directory's: the mark lies where PostgreSQL's
 * OS user may write.
 */
const END = `
directory=$4
${READ_OWN_UID}
owner=$(id -u -- "$5" 2>/dev/null) || owner=$self
lives() {
  IFS= read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
  words=$(tr '\\0' ' ' 2>/dev/null <"/proc/$1/cmdline") || return 1
  case $words in *" \${0} --json $directory ") ;; *) return 1 ;; esac
  uid=
  while read -r key uid rest; do [ "$key" != Uid: ] || break; done 2>/dev/null <"/proc/$1/status"
  [ "$uid" = "$self" ] || [ "$uid" = "$owner" ] || return 1
  set -- "$2" \${stat##*") "}
  [ "$2" != Z ] && [ "\${21}" = "$1" ]
}
read -r boot </proc/sys/kernel/random/boot_id && [ "$boot" = "$3" ] || exit 0
lives "$1" "$2" || exit 0
kill -TERM "$1" 2>/dev/null
tries=0
while lives "$1" "$2"; do
  tries=$((tries + 1))
  [ $tries -ne 150 ] || kill -KILL "$1" 2>/dev/null
  [ $tries -lt 250 ] || exit 1
  sleep 0.1
done
`

/** This process as the worker. */
export function thisWorker(): CloneWorker {
  const { pid, startTicks, bootId } = thisProcess()
  return { pid, startTicks, bootId }
}

/** Where a clone goes. */
export interface CloneSpot {
  readonly directory: string
  /**
   * OS user whose data they are, known before: what is found there can be another's, a link that
   * root made to begin with.
   */
  readonly owner: string
}

/**
 * Ends the worker and waits until it is gone. Nothing when it is dead already, was before the last
 * boot, its pid is another's now, or it is no clone into that directory.
 * @throws REPOSITORY_LOCKED when it cannot be ended
 */
export async function endWorker(
  host: Host,
  worker: CloneWorker,
  { directory, owner }: CloneSpot,
): Promise<void> {
  const { pid, startTicks, bootId } = worker
  if (![pid, startTicks].every(Number.isSafeInteger) || pid < 2) return
  const words = [CLONE_COMMAND, pid, startTicks, bootId, directory, owner].map(String)
  const { exitCode } = await host.run(['sh', '-c', END, ...words], {
    timeoutMs: END_TIMEOUT_MS,
  })
  if (exitCode === 0) return
  throw new BackstayError(
    'REPOSITORY_LOCKED',
    `Another clone is at work on "${host.name}" (pid ${pid}) and cannot be ended`,
    { hint: `End it there: kill -KILL ${pid}`, details: { host: host.name, pid } },
  )
}
