/**
 * In whose hands the way to a path is. Root must not write, read or make over somebody below a
 * directory that somebody else can change: between two of its steps the directory, or a link in it,
 * can become another one. So it does there what that user could do, as that user, and as nobody
 * else: a way that goes on through the hands of a second user would let the first one use the
 * second one's rights.
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { filePath, pathOfBytes } from '../util/byte-path.ts'
import { MOST_LINKS } from '../util/trusted-path.ts'
import { READ_OWN_UID } from './own-uid.ts'

/** Numbers of an OS user, as found on a directory; the group is for a user without a name. */
export interface WayOwner {
  readonly uid: number
  readonly gid: number
}

/** The part of a path that was not there. */
export interface MissingPart {
  /** The directory in which it was looked for; no link leads there. */
  readonly at: string
  /** The names that were to follow, the missing one first. */
  readonly names: readonly string[]
}

/** What a way is like. */
export interface PathWay {
  /** Who has to walk it for root; undefined when it is root's alone. */
  readonly owner: WayOwner | undefined
  /**
   * Where nothing was there. Who finds something there later finds what somebody else may have put
   * there meanwhile.
   */
  readonly missing: MissingPart | undefined
}

const OTHERS_WRITE = 0o022
/** In the place of root's. */
const NOBODYS_GROUP = 65_534
/** S_IFMT, see inode(7). */
const LINK = 0o12
const DIRECTORY = 0o04
/** Begins the line in which the other side says that it refuses. */
const TWO_OWNERS = 'backstay: two owners:'

/**
 * Walks to all of `paths`. The owner is the first other than root of a directory in which something
 * is looked up, or of a link that is followed; the last part itself counts when it is a link, when
 * a path ends in `/.`, or when its owner could exchange it because others may write in its
 * directory. Ends at what is missing.
 * @throws {BackstayError} DIRECTORY_OWNER where a second user's hands begin; Node's error when a
 * directory cannot be looked into, ELOOP excepted: that is for who uses the path.
 */
export function walkWays(paths: readonly string[]): PathWay {
  const hands = new WayHands()
  const missing = paths.map((path) => walk(path, (step) => hands.meet(path, step)))
  return { owner: hands.owner, missing: missing.find((part) => part !== undefined) }
}

/** Where `path` is not there, whoever could change that. */
export function missingPart(path: string): MissingPart | undefined {
  return walk(path, () => undefined)
}

/** Something that was come across. */
interface PathStep {
  readonly at: string
  readonly facts: Stats
  /**
   * A directory in which something is looked up, a link that is followed, or what was looked up,
   * which may count or not.
   */
  readonly kind: 'directory' | 'link' | 'found'
  /** The directory it is in; undefined for a directory that is walked through. */
  readonly above?: Stats
}

function walk(path: string, meet: (step: PathStep) => void): MissingPart | undefined {
  let at = '/'
  let rest = path.split('/')
  for (let links = 0; rest.length > 0 && links < MOST_LINKS;) {
    const part = rest.shift() ?? ''
    if (part === '') continue
    const above = lstatSync(filePath(at))
    meet({ at, facts: above, kind: 'directory' })
    if (part === '.') continue
    const next = resolve(at, part)
    const facts = lstatSync(filePath(next), { throwIfNoEntry: false })
    if (facts === undefined) return { at, names: [part, ...rest].filter((name) => name !== '') }
    meet({ at: next, facts, kind: facts.isSymbolicLink() ? 'link' : 'found', above })
    if (facts.isSymbolicLink()) {
      links += 1
      const target = pathOfBytes(readlinkSync(filePath(next), 'buffer'))
      if (target.startsWith('/')) at = '/'
      rest = [...target.split('/'), ...rest]
    } else if (facts.isDirectory()) at = next
    else break
  }
  return undefined
}

/** Who was met on ways. */
class WayHands {
  owner: WayOwner | undefined
  #followedHisLink = false

  meet(path: string, { at, facts, kind, above }: PathStep): void {
    const { uid, gid } = facts
    if (uid === 0) return
    if (kind === 'link') this.#followedHisLink = true
    if (kind === 'found' && !this.#counts(facts, above)) return
    if (this.owner !== undefined && this.owner.uid !== uid) {
      throw twoOwners({ path, at, first: String(this.owner.uid), second: String(uid) })
    }
    this.owner ??= { uid, gid: gid === 0 ? NOBODYS_GROUP : gid }
  }

  /**
   * A directory counts when something is looked up in it; a file when its owner could exchange it,
   * or a user's link led to it.
   */
  #counts(facts: Stats, above: Stats | undefined): boolean {
    if (this.owner === undefined) return ((above?.mode ?? 0) & OTHERS_WRITE) !== 0
    return this.#followedHisLink && !facts.isDirectory()
  }
}

/** The refusal of a way through the hands of two users, given by number. */
function twoOwners(facts: {
  readonly path: string
  readonly at: string
  readonly first: string
  readonly second: string
}): BackstayError {
  const { at, first, second } = facts
  const path = facts.path.replace(/\/\.$/, '')
  return new BackstayError(
    'DIRECTORY_OWNER',
    `Cannot use "${path}" as root: the way there is in the hands of user ${first} and leads on to "${at}" of user ${second}`,
    {
      hint: `User ${first} could have files of user ${second} read or changed. Name the true path in the cluster file, or give what lies on the way to one user or to root.`,
      details: { path, at, uids: [Number(first), Number(second)] },
    },
  )
}

/** The way to where `path` is made, replaced or removed: its directory, with everything above. */
export function wayInto(path: string): string {
  return `${dirname(path)}/.`
}

/**
 * The shell function `walk PATH`, which goes on with `uid` and `gid` of whom it met before, and
 * where it ends leaves `way_at` and `way_rest`.
 */
const WALK = `
uid=0 gid=0
unset way_at way_rest
batch() {
  queue= more=$rest so=\${at%/}
  set --
  while [ -n "$more" ]; do
    part=\${more%%/*}
    case $more in */*) more=\${more#*/} ;; *) more= ;; esac
    case $part in ''|.) continue ;; ..) break ;; esac
    so=$so/$part
    set -- "$@" "$so"
  done
  [ $# = 0 ] || queue=$(stat -c '%f %u %g' -- "$@" 2>/dev/null) || queue=
}
look() {
  [ -n "$queue" ] || queue=$(stat -c '%f %u %g' -- "$1" 2>&1) || case $queue in
    *'No such file or directory'|*'Not a directory') queue= ;;
    *) echo "$queue" >&2; exit 1 ;;
  esac
  set -- $queue
  [ $# -ge 3 ] || return 1
  mode=$((0x$1)) owner=$2 group=$3
  shift 3
  queue=$*
}
meet() {
  [ "$2" != 0 ] && [ "$2" != "$uid" ] || return 0
  [ "$uid" = 0 ] || { printf '${TWO_OWNERS} %s %s %s\\n%s\\n' "$uid" "$2" "$1" "$going" >&2; exit 1; }
  uid=$2 gid=$3
}
walk() {
  at=/ rest=$1 going=$1 links=0 followed= above=0 whose="0 0"
  batch
  while [ -n "$rest" ] && [ $links -lt ${MOST_LINKS} ]; do
    part=\${rest%%/*}
    case $rest in */*) rest=\${rest#*/} ;; *) rest= ;; esac
    [ -n "$part" ] || continue
    meet "$at" $whose
    [ "$part" != . ] || continue
    next=\${at%/}/$part
    [ "$part" != .. ] || { next=\${at%/*} next=\${next:-/}; }
    look "$next" || { way_at=$at way_rest=$part/$rest/; return 0; }
    if [ $((mode >> 12)) = ${LINK} ]; then
      meet "$next" $owner $group
      [ "$owner" = 0 ] || followed=yes
      links=$((links + 1))
      target=$(readlink -- "$next"; echo x) target=\${target%??}
      case $target in /*) at=/ above=0 whose="0 0" ;; esac
      rest=$target/$rest
      batch
      continue
    fi
    [ "$uid" != 0 ] || [ $((above & ${OTHERS_WRITE})) = 0 ] || meet "$next" $owner $group
    if [ $((mode >> 12)) != ${DIRECTORY} ]; then
      [ -z "$followed" ] || [ "$uid" = 0 ] || meet "$next" $owner $group
      break
    fi
    at=$next above=$mode whose="$owner $group"
  done
}
`

/**
 * The same for a machine at the other end of ssh, before a script: runs it as that user when it is
 * root who came. Arguments: `make` when the end may be missing (the script learns from `way_at` and
 * `way_rest` where), the path, a second one or nothing, the script, its arguments.
 */
export const AS_WAY_OWNER = `
kind=$1 first=$2 second=$3 script=$4; shift 4
${READ_OWN_UID}
[ "$self" = 0 ] || { eval "$script"; exit; }
${WALK}walk "$first" && { [ -z "$second" ] || walk "$second"; } || exit 1
if [ "$uid" = 0 ]; then
  [ -z "$way_at" ] || [ "$kind" = make ] || { echo "No such file or directory" >&2; exit 1; }
  eval "$script"
  exit
fi
# The group of what was met can be another's, even root's.
if entry=$(getent passwd -- "$uid"); then
  entry=\${entry#*:*:*:} gid=\${entry%%:*} groups=--init-groups
else
  groups=--clear-groups
  [ "$gid" != 0 ] || gid=${NOBODYS_GROUP}
fi
exec setpriv --reuid="$uid" --regid="$gid" "$groups" -- sh -c "$script" sh "$@"
`

/** Ends `SAY_WAY_OWNER` when something on the way is not there. */
export const WAY_MISSING = 9

/**
 * Argument: a path. Prints the name of who has to walk it for root, or his number: by root itself,
 * whose output nobody else writes into.
 */
export const SAY_WAY_OWNER = `${WALK}
walk "$1" || exit 1
[ -z "$way_at" ] || exit ${WAY_MISSING}
if entry=$(getent passwd -- "$uid"); then echo "\${entry%%:*}"; else echo "$uid"; fi
`

/** The refusal that a command run this way printed; undefined when it printed none. */
export function refusalPrinted(stderr: string): BackstayError | undefined {
  const found = new RegExp(`^${TWO_OWNERS} (\\d+) (\\d+) (.*)\\n(.*)$`, 'm').exec(stderr)
  if (found === null) return undefined
  const [, first = '', second = '', at = '', path = ''] = found
  return twoOwners({ path, at, first, second })
}
