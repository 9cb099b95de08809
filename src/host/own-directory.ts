/**
 * A directory elsewhere that only an OS user's own word names, a link in his data directory. That
 * is no reason for root to rename or to remove it: he does himself what he may. Where he may not,
 * because the directory above is root's (a disk's mount point), root does it for him to a directory
 * that is his own, and only where nobody but root can put another one in its place.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { HostCommandResult, Host } from './host.ts'
import { READ_OWN_UID } from './own-uid.ts'
import { commandError, lastLines } from './run-checked.ts'
import { AS_WAY_OWNER, refusalPrinted } from './way-owner.ts'

/** Where, plainly written, and whose word it is. */
export interface OwnDirectory {
  readonly path: string
  readonly user: string
}

/** A large tree takes time to remove. */
const TIMEOUT_MS = 600_000
/** Exit code of a refusal, which is on standard output then. */
const REFUSED = 9

/**
 * Arguments: path, user. Run as the owner of the way there (way-owner.ts): root only where the way
 * is root's alone.
 */
const JUDGE = `
path=$1 parent=\${1%/*}/
owner=$(id -u -- "$2") || exit 1
no() { printf '%s\\n' "$1"; exit ${REFUSED}; }
${READ_OWN_UID}
[ ! -L "$path" ] || no 'is a link itself'
[ -e "$path" ] || no 'is not there'
[ -d "$path" ] || no 'is no directory'
[ "$(stat -c %u -- "$path")" = "$owner" ] || no "belongs to \\"$(stat -c %U -- "$path")\\""
case $self in
  0) ;;
  "$owner") [ -w "$parent" ] || no "lies in a directory that \\"$2\\" may not write and others may" ;;
  *) no "lies where user $self could put something else" ;;
esac
`

/**
 * Further argument: the new name. The empty one that takes its place has to be there before root's
 * hand is gone.
 */
const REPLACE = `${JUDGE}
mode=$(stat -c %a -- "$path") && group=$(stat -c %g -- "$path") || exit 1
mv -fT -- "$path" "$3" && mkdir -m "$mode" -- "$path" || exit 1
[ "$self" = "$owner" ] || chown -h -- "$owner:$group" "$path" || exit 1
sync -- "$parent"
`

const REMOVE_EMPTY = `${JUDGE}
rmdir -- "$path" && sync -- "$parent"
`

/** Arguments: path, the directory above. */
const REMOVE = 'rm -rf -- "$1" || exit; sync -- "$2" 2>/dev/null || :'

/**
 * Why it cannot be renamed, completing “it …”; undefined when it can.
 * @throws HOST_COMMAND; what a host throws
 */
export async function whyNotOwn(host: Host, place: OwnDirectory): Promise<string | undefined> {
  const result = await act(host, JUDGE, place)
  if (result.exitCode === 0) return undefined
  if (result.exitCode === REFUSED) return result.stdout.trim()
  if (refusalPrinted(result.stderr) !== undefined) return 'lies in the hands of two users'
  if (/(?:^|: )No such file or directory$/m.test(result.stderr)) return 'is not there'
  throw commandError(host.name, ['judge', place.path], result)
}

/**
 * Renames it to `to`, in the same directory; an empty one with its owner and mode takes its place.
 * @throws DIRECTORY_OWNER, HOST_COMMAND
 */
export async function replaceOwn(host: Host, place: OwnDirectory, to: string): Promise<void> {
  const result = await act(host, REPLACE, { ...place, to })
  if (result.exitCode === REFUSED) {
    throw notOwn(`Cannot rename "${place.path}"`, result.stdout.trim())
  }
  if (result.exitCode === 0) return
  throw refusalPrinted(result.stderr) ?? commandError(host.name, ['mv', place.path, to], result)
}

/**
 * Removes it with all that its user may remove; nothing when it is not there.
 * @throws DIRECTORY_OWNER when something stays
 */
export async function removeOwn(host: Host, place: OwnDirectory): Promise<void> {
  const { path, user } = place
  const words = ['sh', '-c', REMOVE, 'sh', path, path.slice(0, path.lastIndexOf('/') + 1)]
  const removal = await host.run(words, { user, timeoutMs: TIMEOUT_MS })
  if ((await host.inspect(path)) === undefined) return
  const { exitCode, stdout, stderr } = await act(host, REMOVE_EMPTY, place)
  if (exitCode === 0) return
  const why = exitCode === REFUSED ? `it ${stdout.trim()}` : lastLines(removal.stderr || stderr, 1)
  throw notOwn(`Cannot remove "${path}" as "${user}"`, why)
}

async function act(
  host: Host,
  script: string,
  { path, user, to = '' }: OwnDirectory & { readonly to?: string },
): Promise<HostCommandResult> {
  const words = ['sh', '-c', AS_WAY_OWNER, 'sh', 'use', path, '', script, path, user, to]
  return await host.run(words, { timeoutMs: TIMEOUT_MS })
}

function notOwn(what: string, why: string): BackstayError {
  return new BackstayError('DIRECTORY_OWNER', `${what}: ${why}`, {
    hint: 'Look what it holds, and move or remove it yourself.',
  })
}
