/**
 * Looks at many paths of a host in one command, because over ssh each question costs a tenth of a
 * second or more.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { pathOfBytes } from '../util/byte-path.ts'
import type { HostCommandResult, Host, PathInfo } from './host.ts'
import { checkLimit, READ_LIMIT_BYTES } from './read-limit.ts'
import { parseInspect } from './shell-files.ts'

/** The first line of the answer; without it the beginning was cut off. */
const HEADER = 'paths'
const CONTENT_BYTES_MAX = 65_536

/**
 * Prints three lines for each path: what stat says (`missing`; `?` when it cannot be told), where a
 * link leads, and `=` with the content or the names in it (`-` when it has none, is large, or
 * cannot be read); what is not ours to word, as base64.
 */
const LOOK = `
missing() {
  if [ -e "$1" ] || [ -L "$1" ]; then return 1; fi
  up=\${1%/*}; up=\${up:-/}
  if [ -e "$up" ]; then [ -d "$up" ] && [ -x "$up" ]; else [ "$up" != / ] && missing "$up"; fi
}
content() {
  if [ -f "$1" ] && [ -r "$1" ]; then
    [ "$(stat -L -c %s -- "$1")" -le ${CONTENT_BYTES_MAX} ] && text=$(base64 -w 0 -- "$1" 2>/dev/null) && { echo "=$text"; return; }
  elif [ -d "$1" ] && [ -r "$1" ] && [ -x "$1" ]; then
    echo "=$(find -H "$1" -mindepth 1 -maxdepth 1 -printf '%f\\0' | base64 -w 0)"; return
  fi
  echo -
}
echo ${HEADER}
for path do
  if seen=$(stat -c '%f %s %u %U %.3Y %d:%i:%W' -- "$path" 2>/dev/null); then
    printf '%s\\n' "$seen"
    if [ -L "$path" ]; then readlink -n -- "$path" | base64 -w 0; fi
    echo
    content "$path"
  elif missing "$path"; then printf 'missing\\n\\n-\\n'
  else printf '?\\n\\n-\\n'
  fi
done
`

/** What was seen of one path. */
interface PathSeen {
  readonly info: PathInfo | undefined
  readonly content: Buffer | undefined
}

/**
 * The same host, which has the answers for these paths already: each question about one of them
 * (`readFile`, `inspect`, `list`) is answered from that look once, and asked anew from then on.
 * What could not be told is asked at once, so that it fails as it would.
 * @param user who looks where we are root: the OS user whose files they are. Contents of others but
 * root are asked one by one.
 */
export async function prefetch(
  host: Host,
  paths: readonly string[],
  user: string = host.user,
): Promise<Host> {
  // Root reads nothing in other hands: they could lead it to a file that is not theirs.
  const reader = host.user === 'root' ? user : host.user
  const seen = await lookAll(host, paths, reader)
  const answered = new Set<string>()
  const once = (question: string, path: string): PathSeen | undefined => {
    const key = `${question} ${path}`
    if (answered.has(key)) return undefined
    answered.add(key)
    return seen.get(path)
  }
  const answers: Pick<Host, 'readFile' | 'inspect' | 'list'> = {
    readFile: async (path, limitBytes = READ_LIMIT_BYTES) => {
      const known = once('read', path)
      if (known === undefined) return await host.readFile(path, limitBytes)
      if (known.info === undefined) return undefined
      // What the reader's user says of a file of root's is the word of another: it is asked anew.
      const isOwn = known.info.owner === reader
      return known.info.kind === 'file' && isOwn && known.content !== undefined
        ? checkLimit(path, known.content, limitBytes)
        : await host.readFile(path, limitBytes)
    },
    inspect: async (path) => {
      const known = once('inspect', path)
      return known === undefined ? await host.inspect(path) : known.info
    },
    list: async (path) => {
      const known = once('list', path)
      if (known === undefined) return await host.list(path)
      if (known.info === undefined) return undefined
      return known.info.kind === 'directory' && known.content !== undefined
        ? pathOfBytes(known.content).split('\0').slice(0, -1).sort()
        : await host.list(path)
    },
  }
  return new Proxy(host, {
    get: (target, name) => {
      if (name in answers) return answers[name as keyof typeof answers]
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

async function lookAll(
  host: Host,
  paths: readonly string[],
  user: string,
): Promise<ReadonlyMap<string, PathSeen>> {
  const unique = [...new Set(paths)]
  const { exitCode, stdout } = await runAs(host, ['sh', '-c', LOOK, 'sh', ...unique], user)
  const [header, ...lines] = stdout.split('\n')
  if (exitCode !== 0 || header !== HEADER || lines.length !== unique.length * 3 + 1)
    return new Map()
  return new Map(
    unique.flatMap((path, index): [string, PathSeen][] => {
      const seen = parseSeen(lines.slice(index * 3, index * 3 + 3))
      return seen === undefined ? [] : [[path, seen]]
    }),
  )
}

/** Without an answer where the user is not there yet. */
async function runAs(
  host: Host,
  command: readonly string[],
  user: string,
): Promise<Pick<HostCommandResult, 'exitCode' | 'stdout'>> {
  try {
    return await host.run(command, { user })
  } catch (error) {
    if (isBackstayError(error, 'HOST_PRIVILEGE')) return { exitCode: 1, stdout: '' }
    throw error
  }
}

function parseSeen([stat = '', target = '', content = '']: readonly string[]):
  | PathSeen
  | undefined {
  if (stat === 'missing') return { info: undefined, content: undefined }
  if (stat === '?') return undefined
  const info = parseInspect(`${stat}\n${pathOfBytes(Buffer.from(target, 'base64'))}`)
  const isThere = content.startsWith('=')
  return { info, content: isThere ? Buffer.from(content.slice(1), 'base64') : undefined }
}
