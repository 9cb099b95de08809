/**
 * File operations on the other side of ssh, as shell scripts with coreutils. Every path is an argument, never part of a script.
 */
import { basename, dirname } from 'node:path/posix'
import type { Ownership, PathInfo } from './host.ts'
import { lastLines } from './run-checked.ts'
import type { RemoteResult, RemoteRun, SshConnection } from './ssh-connection.ts'

/** Files go through slow networks, too; a dead one is noticed by ssh itself. */
const TIMEOUT_MS = 300_000
/** A large tree takes time to remove. */
const REMOVE_TIMEOUT_MS = 600_000

/** strerror(3) texts in English, which the tools print: what local-files.ts gets as errno. */
const ERRNO_TEXTS: readonly (readonly [RegExp, string])[] = [
  [/No such file or directory/, 'ENOENT'],
  [/Not a directory/, 'ENOTDIR'],
  [/Permission denied/, 'EACCES'],
  [/Operation not permitted/, 'EPERM'],
  [/No space left on device/, 'ENOSPC'],
  [/Disk quota exceeded/, 'EDQUOT'],
  [/Read-only file system/, 'EROFS'],
  [/Input\/output error/, 'EIO'],
  [/Is a directory/, 'EISDIR'],
  [/File exists/, 'EEXIST'],
  [/Directory not empty/, 'ENOTEMPTY'],
  [/Too many levels of symbolic links/, 'ELOOP'],
  [/File name too long/, 'ENAMETOOLONG'],
  [/Invalid cross-device link/, 'EXDEV'],
  [/Device or resource busy/, 'EBUSY'],
]

/** A file command that failed there. */
export class RemoteFileError extends Error {
  /** Like Node's: `ENOENT`, or undefined when the text was none of the known ones. */
  readonly code: string | undefined

  constructor(stderr: string) {
    super(lastLines(stderr, 3))
    this.code = ERRNO_TEXTS.find(([pattern]) => pattern.test(stderr))?.[1]
  }
}

/** Arguments: path, size, mode or nothing, owner or nothing; content on standard input. */
const WRITE = `
path=$1 size=$2 mode=$3 owner=$4
directory=$5 base=$6
new=$(mktemp -- "$directory/.$base.XXXXXXXXXX") || exit 1
trap 'rm -f -- "$new"' EXIT
if [ -f "$path" ] && [ ! -L "$path" ]; then
  old=$(stat -c '%a %u:%g' -- "$path") || exit 1
  mode=\${mode:-\${old% *}} owner=\${owner:-\${old#* }}
elif [ -d "$path" ] && [ ! -L "$path" ]; then
  echo "Is a directory" >&2; exit 1
fi
cat >"$new" || exit 1
[ "$(stat -c %s -- "$new")" = "$size" ] || { echo "the content was cut off on the way" >&2; exit 1; }
[ -z "$owner" ] || [ "$owner" = "$(stat -c %u:%g -- "$new")" ] || chown -- "$owner" "$new" || exit 1
[ -z "$mode" ] || chmod -- "$mode" "$new" || exit 1
sync -- "$new" && mv -fT -- "$new" "$path" || exit 1
trap - EXIT
sync -- "$directory"
`

/** Arguments: mode or nothing, owner or nothing, then the path's ancestors from the top down and itself. */
const MAKE_DIRECTORY = `
mode=$1 owner=$2; shift 2
made=
for directory do
  [ -d "$directory" ] && continue
  mkdir -m 755 -- "$directory" || exit 1
  made=yes
  sync -- "\${directory%/*}/"
done
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
stat -c '%f %s %u %U %.3Y' -- "$1" || exit 1
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

/** Files of one remote host. Errors are RemoteFileError, or the connection's BackstayErrors. */
export class SshFiles {
  readonly #connection: SshConnection
  readonly #owners = new Map<string, string>()

  constructor(connection: SshConnection) {
    this.#connection = connection
  }

  async read(path: string): Promise<Buffer | undefined> {
    const unlimited = { outputLimitBytes: Number.MAX_SAFE_INTEGER }
    return (await unlessMissing(this.#do(['cat', '--', path], unlimited)))?.stdout
  }

  async write(path: string, content: Uint8Array, ownership: Ownership): Promise<void> {
    const { mode, owner } = await this.#words(ownership)
    const words = [path, String(content.length), mode, owner, dirname(path), basename(path)]
    await this.#script(WRITE, words, { input: content })
  }

  async makeDirectory(path: string, ownership: Ownership): Promise<void> {
    const { mode, owner } = await this.#words(ownership)
    await this.#script(MAKE_DIRECTORY, [mode, owner, ...ancestors(path).reverse()])
  }

  async remove(path: string): Promise<void> {
    await this.#script(REMOVE, [path, dirname(path)], { timeoutMs: REMOVE_TIMEOUT_MS })
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#script(RENAME, [from, to, dirname(from), dirname(to)])
  }

  async inspect(path: string): Promise<PathInfo | undefined> {
    const result = await unlessMissing(this.#script(INSPECT, [path]))
    return result === undefined ? undefined : parseInspect(result.stdout.toString())
  }

  async list(path: string): Promise<readonly string[] | undefined> {
    const unlimited = { outputLimitBytes: Number.MAX_SAFE_INTEGER }
    const result = await unlessMissing(this.#script(LIST, [path], unlimited))
    return result?.stdout.toString().split('\0').slice(0, -1).sort()
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
    const { mode, owner } = ownership
    const numbers = owner === undefined ? undefined : await this.ownerOf(owner)
    return { mode: mode === undefined ? '' : mode.toString(8), owner: numbers ?? '' }
  }

  async #script(
    script: string,
    words: readonly string[],
    options: Partial<RemoteRun> = {},
  ): Promise<RemoteResult> {
    return this.#do(['sh', '-c', script, 'sh', ...words], options)
  }

  async #do(command: readonly string[], options: Partial<RemoteRun>): Promise<RemoteResult> {
    const defaults = { directory: '/', environment: {}, timeoutMs: TIMEOUT_MS }
    const result = await this.#connection.run({ ...defaults, ...options, command })
    if (result.exitCode !== 0) throw new RemoteFileError(result.stderr)
    return result
  }
}

/** Reads `stat -c '%f %s %u %U %.3Y'` and what follows its line: a link's target. */
export function parseInspect(text: string): PathInfo {
  const end = text.indexOf('\n')
  const [raw = '', size, uid = '', user = '', modified] = text.slice(0, end).split(' ')
  const mode = Number.parseInt(raw, 16)
  const kind = KINDS[(mode & 0o170000) >> 12] ?? 'other'
  return {
    kind,
    sizeBytes: Number(size),
    mode: mode & 0o7777,
    owner: user === 'UNKNOWN' ? uid : user,
    modifiedAtMs: Math.round(Number(modified) * 1000),
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
    const missing = error instanceof RemoteFileError && /^(ENOENT|ENOTDIR)$/.test(error.code ?? '')
    if (missing) return undefined
    throw error
  }
}
