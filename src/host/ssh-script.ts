/**
 * What runs on the other side of ssh: a small POSIX shell script around one command, which sets
 * user, directory, environment and time limit, and says how it went on standard error in lines that
 * begin with a nonce. Pure text; needs coreutils there.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { READ_OWN_UID } from './own-uid.ts'
import { scriptInOctal, shellCommand } from './shell-quote.ts'

/** How to become root after login. */
export interface SudoOptions {
  /** Given to sudo on standard input; without it sudo must not ask (`sudo -n`). */
  readonly password?: string | undefined
}

/** One command for the other side. */
export interface RemoteCommand {
  readonly command: readonly string[]
  readonly nonce: string
  /** The remote driver's own user when left out. */
  readonly user?: string | undefined
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly sudo?: SudoOptions | undefined
}

/**
 * The nonce alone on a line ends what was for sudo; it may have read none, one or more lines of it.
 */
const SKIP_PASSWORD = 'while IFS= read -r line; do [ "$line" = "$1" ] && break; done;'

/**
 * The command's own shell says who may end it, and where its output begins; then the nonce is no
 * argument any more.
 */
const ANNOUNCE = 'printf "%s pid %s\\n" "$1" "$PPID" >&2 && echo "$1" || exit; shift'

/**
 * Arguments: nonce, seconds, user or nothing, directory, `announces` when the command does,
 * environment entries and command for env(1). A login has set HOME and USER; sudo may have left
 * those of who called it.
 */
const AROUND = `
nonce=$1 seconds=$2 user=$3 directory=$4 announces=$5; shift 5
say() { printf '%s %s\\n' "$nonce" "$1" >&2; }
${READ_OWN_UID}
name=\${USER:-} home=\${HOME:-} uid=$self
if [ -n "$user" ] || [ -n "\${SUDO_UID:-}" ] || [ -z "$name" ] || [ -z "$home" ]; then
  entry=$(getent passwd -- "\${user:-$self}") || { [ -z "$user" ] || { say no-user; exit 0; }; entry=$self:x:$self:::/:; }
  name=\${entry%%:*} rest=\${entry#*:*:}
  uid=\${rest%%:*} rest=\${rest#*:}
  gid=\${rest%%:*} rest=\${rest#*:*:}
  home=\${rest%%:*}
fi
cd -- "$directory" 2>/dev/null || { say no-directory; exit 0; }
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
set -- env -i PATH="$path" HOME="\${home:-/}" USER="$name" LOGNAME="$name" LANG=C.UTF-8 "$@"
if [ "$self" != "$uid" ]; then
  set -- setpriv --reuid="$uid" --regid="$gid" --init-groups -- "$@"
fi
[ -n "$announces" ] || set -- sh -c '${ANNOUNCE}; exec "$@"' sh "$nonce" "$@"
timeout -k 5 "$seconds" "$@"
say "exit $?"
`

/**
 * Arguments: pid, nonce. Ends a timeout(1), which ends its group, and waits until it is gone (it
 * kills after 5 s). The command's own user announces the pid, and the nonce is no secret from him:
 * what is ended is a timeout of whoever runs this script, and was given that nonce.
 */
const END = `
exec 2>/dev/null
[ -O "/proc/$1" ] || exit 0
tr '\\0' '\\n' <"/proc/$1/cmdline" | { read -r program; [ "$program" = timeout ] && grep -qxF -- "$2"; } || exit 0
kill -TERM "$1"
n=0; while kill -0 "$1" && [ $n -lt 80 ]; do sleep 0.1; n=$((n+1)); done
`

/**
 * Ends the remote command with that nonce, whose timeout(1) has `pid` as it was announced. Does
 * nothing when that is another process.
 */
export function endCommand(pid: number, nonce: string): readonly string[] {
  return ['sh', '-c', END, 'sh', String(pid), nonce]
}

/**
 * The command for ssh. Whatever the login shell of the remote user is, it sees a fixed frame and
 * what `scriptInOctal` makes of the script.
 * @throws FAILED for a program or variable name that env(1) would misread.
 */
export function remoteCommandLine(remote: RemoteCommand): string {
  const { sudo } = remote
  const words = shellCommand(wordsOf(remote))
  if (sudo === undefined) return framed(`LC_ALL=C; export LC_ALL; set -- ${words}\n${AROUND}`)
  const script = sudo.password === undefined ? AROUND : `${SKIP_PASSWORD}${AROUND}`
  const shell = shellCommand([...sudoWords(sudo), 'sh', '-c', script, 'sh'])
  return framed(`LC_ALL=C exec ${shell} ${words}`)
}

function framed(script: string): string {
  return `exec sh -c '${scriptInOctal(script)}'`
}

/**
 * What goes to standard input before the command's own: nothing, or the password and the line that
 * ends it.
 */
export function remoteInputPrefix(remote: Pick<RemoteCommand, 'sudo' | 'nonce'>): string {
  const password = remote.sudo?.password
  return password === undefined ? '' : `${password}\n${remote.nonce}\n`
}

function wordsOf(remote: RemoteCommand): readonly string[] {
  const { command, environment } = remote
  const entries = Object.entries(environment)
  if (
    command[0]?.includes('=') !== false ||
    entries.some(([name]) => !/^[A-Za-z_]\w*$/.test(name))
  ) {
    throw new BackstayError('FAILED', `Cannot run "${command[0] ?? ''}": no such name is possible`)
  }
  const seconds = String(Math.max(1, Math.ceil(remote.timeoutMs / 1000)))
  const variables = entries.map(([name, value]) => `${name}=${value}`)
  const announced = announcing(remote)
  const announces = announced === undefined ? '' : 'announces'
  const { nonce, user = '', directory } = remote
  return [nonce, seconds, user, directory, announces, ...variables, ...(announced ?? command)]
}

/** A shell script that says itself that it began; undefined for what is no script. */
function announcing({ command, nonce }: RemoteCommand): readonly string[] | undefined {
  const [shell, option, text, name, ...words] = command
  if (shell !== 'sh' || option !== '-c' || text === undefined || name === undefined)
    return undefined
  return [shell, option, `${ANNOUNCE}\n${text}`, name, nonce, ...words]
}

function sudoWords(sudo: SudoOptions | undefined): readonly string[] {
  if (sudo === undefined) return []
  return sudo.password === undefined ? ['sudo', '-n', '--'] : ['sudo', '-k', '-S', '-p', '', '--']
}
