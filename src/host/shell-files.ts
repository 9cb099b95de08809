/**
 * File operations as shell scripts with coreutils: on the other side of ssh, and here as another
 * user. Every path is an argument, never part of a script.
 */
import { basename, dirname } from 'node:path/posix'
import { pathOfBytes } from '../util/byte-path.ts'
import type { Ownership, PathInfo } from './host.ts'
import { checkLimit, NAMES_BYTES_MAX, splitNames } from './read-limit.ts'
import { lastLines } from './run-checked.ts'
import type { RemoteResult, RemoteRun } from './ssh-connection.ts'
import { READ_OWN_UID } from './own-uid.ts'
import { AS_WAY_OWNER, refusalPrinted, wayInto } from './way-owner.ts'

/** Files go through slow networks, too; a dead one is noticed by ssh itself. */
const TIMEOUT_MS = 300_000
/** A large tree takes time to remove. */
const REMOVE_TIMEOUT_MS = 600_000
/** What a connection adds to the output of a command. */
const FRAME_BYTES = 4096

/** strerror(3) texts in English, which the tools print: what local-files.ts gets as errno. */
const ERRNO_TEXTS: Readonly<Record<string, string>> = {
  'No such file or directory': 'ENOENT',
  'Not a directory': 'ENOTDIR',
  'Permission denied': 'EACCES',
  'Operation not permitted': 'EPERM',
  'No space left on device': 'ENOSPC',
  'Disk quota exceeded': 'EDQUOT',
  'Read-only file system': 'EROFS',
  'Input/output error': 'EIO',
  'Is a directory': 'EISDIR',
  'File exists': 'EEXIST',
  'Directory not empty': 'ENOTEMPTY',
  'Too many levels of symbolic links': 'ELOOP',
  'File name too long': 'ENAMETOOLONG',
  'Invalid cross-device link': 'EXDEV',
  'Device or resource busy': 'EBUSY',
}
/**
 * At the end of a line, where the tools have it: before it stand names, which are somebody else's
 * words.
 */
const ERRNO_LINE = new RegExp(`(?:^|: )(${Object.keys(ERRNO_TEXTS).join('|')})\\r?$`, 'm')

/** A file command that failed there. */
export class RemoteFileError extends Error {
  /** Like Node's: `ENOENT`, or undefined when the text was none of the known ones. */
  readonly code: string | undefined

  constructor(stderr: string) {
    super(lastLines(stderr, 3))
    this.code = ERRNO_TEXTS[ERRNO_LINE.exec(stderr)?.[1] ?? '']
  }
}

/**
 * Arguments: path, most bytes. A pipe in the place of the file must not hold us, also if it comes
 * after the first look.
 */
const READ = `
[ ! -e "$1" ] || [ -f "$1" ] || [ -d "$1" ] || { echo "it is no regular file" >&2; exit 1; }
exec dd if="$1" iflag=nonblock,fullblock,count_bytes count="$2" bs=65536 status=none
`

/** Arguments: path, size, mode or nothing, owner or nothing; content on standard input. */
const WRITE = `
path=$1 size=$2 mode=$3 owner=$4
directory=$5 base=$6
new=$(mktemp -- "$directory/.$base.XXXXXXXXXX") || exit 1
trap 'rm -f -- "$new"' EXIT
if [ -f "$path" ] && [ ! -L "$path" ]; then
  old=$(stat -c '%a %u:%g' -- "$path") || exit 1
  mode=\${mode:-\${old% *}} old=\${old#* }
  ${READ_OWN_UID}
  # Only root can give it back to another.
  case $self in 0|"\${old%:*}") owner=\${owner:-$old} ;; esac
elif [ -d "$path" ] && [ ! -L "$path" ]; then
  echo "Is a directory" >&2; exit 1
fi
cat >"$new" || exit 1
facts=$(stat -c '%s %u:%g' -- "$new")
[ "\${facts% *}" = "$size" ] || { echo "the content was cut off on the way" >&2; exit 1; }
[ -z "$owner" ] || [ "$owner" = "\${facts#* }" ] || chown -- "$owner" "$new" || exit 1
[ -z "$mode" ] || chmod -- "$mode" "$new" || exit 1
sync -- "$new" && mv -fT -- "$new" "$path" || exit 1
trap - EXIT
sync -- "$directory"
`

/**
 * Arguments: mode or nothing, owner or nothing, then the path's ancestors from the top down and
 * itself. Where root makes what was missing (AS_WAY_OWNER says where), each is made in the one
 * before and must be the one that is entered: others may be as quick.
 */
const MAKE_DIRECTORY = `
mode=$1 owner=$2; shift 2
made=
enter() {
  here=$(pwd -P)
  why=$(mkdir -m 755 -- "./$1" 2>&1) && made=yes || { made=; [ -d "./$1" ] || { echo "$why" >&2; exit 1; }; }
  sync -- .
  cd -P -- "./$1" || exit 1
  [ "$(pwd -P)" = "\${here%/}/$1" ] && [ -O . ] || { echo "somebody else made '$1' in '$here' while it was to be made" >&2; exit 1; }
}
if [ -n "\${way_at:-}" ]; then
  cd -P -- "$way_at" || exit 1
  while [ -n "$way_rest" ]; do
    part=\${way_rest%%/*} way_rest=\${way_rest#*/}
    case $part in ''|.) ;; ..) echo "No such file or directory" >&2; exit 1 ;; *) enter "$part" ;; esac
  done
  directory=.
else
  for directory do
    [ -d "$directory" ] && continue
    mkdir -m 755 -- "$directory" || exit 1
    made=yes
    sync -- "\${directory%/*}/"
  done
fi
if [ -n "$owner" ]; then
  [ "$owner" = "$(stat -L -c %u:%g -- "$directory")" ] || chown -- "$owner" "$directory" || exit 1
fi
mode=\${mode:-\${made:+700}}
[ -z "$mode" ] || chmod -- "$mode" "$directory"
`

const REMOVE = `
[ -e "$1" ] || [ -L "$1" ] || exit 0
rm -rf -- "$1" && sync -- "$2"
`

const RENAME = `
device() { stat -c %d -- "$1"; }
from=$(device "$1") && to=$(device "$4") || exit 1
[ "$from" = "$to" ] || { echo "Invalid cross-device link" >&2; exit 1; }
mv -fT -- "$1" "$2" && sync -- "$4" && sync -- "$3"
`

const INSPECT = `
stat -c '%f %s %u %U %.3Y %d:%i:%W' -- "$1" || exit 1
[ ! -L "$1" ] || readlink -n -- "$1"
`

const LIST = `
[ -d "$1" ] || { stat -L -c %F -- "$1" >/dev/null || exit 1; echo "Not a directory" >&2; exit 1; }
find -H "$1" -mindepth 1 -maxdepth 1 -printf '%f\\0'
`

/** Arguments: the path and its ancestors from the bottom up. */
const FREE = `
for directory do
  [ -e "$directory" ] && exec stat -f -c '%a %S' -- "$directory"
done
`

/** The user and group numbers of \`name\` there, for chown. */
const OWNER = 'getent passwd -- "$1" | cut -d: -f3,4'

/** Runs a command to its end. */
export type RunCommand = (command: RemoteRun) => Promise<RemoteResult>

/** Whose commands they are. */
export interface ShellFilesOptions {
  readonly run: RunCommand
  /**
   * Whether what root does to files is done as the owner of the way to them (way-owner.ts); does
   * nothing for others.
   */
  readonly asWayOwner: boolean
}

/**
 * Files of one host. Errors are RemoteFileError, or the BackstayErrors of who runs the commands.
 */
export class ShellFiles {
  readonly #options: ShellFilesOptions
  readonly #owners = new Map<string, string>()

  constructor(options: ShellFilesOptions) {
    this.#options = options
  }

  async read(path: string, limitBytes: number): Promise<Buffer | undefined> {
    const most = limitBytes + 1
    const command = this.#onWay([path], READ, [path, String(most)])
    const run = this.#do(command, { outputLimitBytes: most + FRAME_BYTES })
    const found = await unlessMissing(run)
    return found && checkLimit(path, found.stdout, limitBytes)
  }

  async write(path: string, content: Uint8Array, ownership: Ownership): Promise<void> {
    const { mode, owner } = await this.#words(ownership)
    const words = [path, String(content.length), mode, owner, dirname(path), basename(path)]
    await this.#do(this.#onWay([wayInto(path)], WRITE, words), { input: content })
  }

  async makeDirectory(path: string, ownership: Ownership): Promise<void> {
    const { mode, owner } = await this.#words(ownership)
    const words = [mode, owner, ...ancestors(path).reverse()]
    await this.#do(this.#onWay([`${path}/.`], MAKE_DIRECTORY, words), {})
  }

  async remove(path: string): Promise<void> {
    const command = this.#onWay([wayInto(path)], REMOVE, [path, dirname(path)])
    try {
      await this.#do(command, { timeoutMs: REMOVE_TIMEOUT_MS })
    } catch (error) {
      // That something in it was missing is no word on the rest.
      if (!isMissing(error) || (await this.inspect(path)) !== undefined) throw error
    }
  }

  async rename(from: string, to: string): Promise<void> {
    const words = [from, to, dirname(from), dirname(to)]
    await this.#do(this.#onWay([wayInto(from), wayInto(to)], RENAME, words), {})
  }

  async inspect(path: string): Promise<PathInfo | undefined> {
    const result = await unlessMissing(this.#script(INSPECT, [path]))
    return result === undefined ? undefined : parseInspect(pathOfBytes(result.stdout))
  }

  async list(path: string): Promise<readonly string[] | undefined> {
    const result = await unlessMissing(
      this.#script(LIST, [path], { outputLimitBytes: NAMES_BYTES_MAX }),
    )
    return result && splitNames(path, result.stdout).sort()
  }

  async freeBytes(path: string): Promise<number> {
    const { stdout } = await this.#script(FREE, ancestors(path))
    const [blocks, size] = stdout.toString().trim().split(' ').map(Number)
    return (blocks ?? 0) * (size ?? 0)
  }

  /** `uid:gid` of an OS user there; undefined when he does not exist. */
  async ownerOf(name: string): Promise<string | undefined> {
    const known = this.#owners.get(name)
    if (known !== undefined) return known
    const found = (await this.#script(OWNER, [name])).stdout.toString().trim()
    if (found !== '') this.#owners.set(name, found)
    return found === '' ? undefined : found
  }

  async #words(ownership: Ownership): Promise<{ readonly mode: string; readonly owner: string }> {
    const { mode, owner, groupOf } = ownership
    const numbers = owner === undefined ? undefined : await this.ownerOf(owner)
    const [uid = ''] = numbers?.split(':') ?? []
    const [, gid] =
      (groupOf === undefined ? undefined : await this.ownerOf(groupOf))?.split(':') ?? []
    const ids = gid === undefined ? numbers : `${uid}:${gid}`
    return { mode: mode === undefined ? '' : mode.toString(8), owner: ids ?? '' }
  }

  async #script(
    text: string,
    words: readonly string[],
    options: Partial<RemoteRun> = {},
  ): Promise<RemoteResult> {
    return this.#do(script(text, words), options)
  }

  /** A script, run as the owner of the ways, one or two, if that is somebody else than root. */
  #onWay(
    [first = '', second = '']: readonly string[],
    text: string,
    words: readonly string[],
  ): readonly string[] {
    if (!this.#options.asWayOwner) return script(text, words)
    const end = text === MAKE_DIRECTORY ? 'make' : 'use'
    return script(AS_WAY_OWNER, [end, first, second, text, ...words])
  }

  async #do(command: readonly string[], options: Partial<RemoteRun>): Promise<RemoteResult> {
    const defaults = { directory: '/', environment: {}, timeoutMs: TIMEOUT_MS }
    const result = await this.#options.run({ ...defaults, ...options, command })
    if (result.exitCode === 0) return result
    throw refusalPrinted(result.stderr) ?? new RemoteFileError(result.stderr)
  }
}

function script(text: string, words: readonly string[]): readonly string[] {
  return ['sh', '-c', text, 'sh', ...words]
}

/** Reads `stat -c '%f %s %u %U %.3Y %d:%i:%W'` and what follows its line: a link's target. */
export function parseInspect(text: string): PathInfo {
  const end = text.indexOf('\n')
  const [raw = '', size, uid = '', user = '', modified, identity = ''] = text
    .slice(0, end)
    .split(' ')
  const mode = Number.parseInt(raw, 16)
  const kind = KINDS[(mode & 0o170000) >> 12] ?? 'other'
  return {
    kind,
    sizeBytes: Number(size),
    mode: mode & 0o7777,
    owner: user === 'UNKNOWN' ? uid : user,
    modifiedAtMs: Math.round(Number(modified) * 1000),
    identity,
    target: kind === 'link' ? text.slice(end + 1) : undefined,
  }
}

/** By S_IFMT, see inode(7). */
const KINDS: Readonly<Record<number, PathInfo['kind']>> = {
  0o04: 'directory',
  0o10: 'file',
  0o12: 'link',
}

/** `path` and its parents up to `/`. */
function ancestors(path: string): string[] {
  const found = [path]
  for (let at = path; dirname(at) !== at;) {
    at = dirname(at)
    found.push(at)
  }
  return found
}

async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof RemoteFileError && /^(ENOENT|ENOTDIR)$/.test(error.code ?? '')
}
