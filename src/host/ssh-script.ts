/**
 * What runs on the other side of ssh: a small POSIX shell script around one command, which sets user, directory, environment
 * and time limit, and says how it went on standard error in lines that begin with a nonce. Pure text; needs coreutils there.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { shellCommand } from './shell-quote.ts'

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

/** The nonce alone on a line ends what was for sudo; it may have read none, one or more lines of it. */
const SKIP_PASSWORD = 'while IFS= read -r line; do [ "$line" = "$1" ] && break; done;'

/** Arguments: nonce, seconds, user or nothing, directory, environment entries and command for env(1). */
const AROUND = `
nonce=$1 seconds=$2 user=$3 directory=$4; shift 4
say() { printf '%s %s\\n' "$nonce" "$1" >&2; }
entry=$(getent passwd -- "\${user:-$(id -u)}") || { [ -z "$user" ] || { say no-user; exit 0; }; entry=$(id -u):x:::::/; }
name=\${entry%%:*} rest=\${entry#*:*:}
uid=\${rest%%:*} rest=\${rest#*:}
gid=\${rest%%:*} rest=\${rest#*:*:}
home=\${rest%%:*}
cd -- "$directory" 2>/dev/null || { say no-directory; exit 0; }
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
set -- env -i PATH="$path" HOME="\${home:-/}" USER="$name" LOGNAME="$name" LANG=C.UTF-8 "$@"
if [ -n "$user" ] && [ "$(id -u)" != "$uid" ]; then
  set -- setpriv --reuid="$uid" --regid="$gid" --init-groups -- "$@"
fi
timeout -k 5 "$seconds" sh -c 'printf "%s pid %s\\n" "$1" "$PPID" >&2 && echo "$1" || exit; shift; exec "$@"' sh "$nonce" "$@"
say "exit $?"
`

/**
 * The command for ssh. Whatever the login shell of the remote user is, it sees only letters, digits and a fixed frame:
 * the script itself travels as base64.
 * @throws FAILED for a program or variable name that env(1) would misread.
 */
export function remoteCommandLine(remote: RemoteCommand): string {
  const { sudo, nonce } = remote
  const script = sudo?.password === undefined ? AROUND : `${SKIP_PASSWORD}${AROUND}`
  const words = ['sh', '-c', script, 'sh', nonce, ...wordsOf(remote)]
  const line = `LC_ALL=C exec ${shellCommand([...sudoWords(sudo), ...words])}`
  const encoded = Buffer.from(line).toString('base64')
  return `exec sh -c 'eval "$(echo ${encoded} | base64 -d)"'`
}

/** What goes to standard input before the command's own: nothing, or the password and the line that ends it. */
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
  return [seconds, remote.user ?? '', remote.directory, ...variables, ...command]
}

function sudoWords(sudo: SudoOptions | undefined): readonly string[] {
  if (sudo === undefined) return []
  return sudo.password === undefined ? ['sudo', '-n', '--'] : ['sudo', '-k', '-S', '-p', '', '--']
}
