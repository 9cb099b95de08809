/**
 * Whose a program on a host is. Who owns one of the directories on the way to it, or may write
 * there, decides what is run: root runs only what is root's all the way. The counterpart of
 * util/trusted-path.ts for every host.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { MOST_LINKS } from '../util/trusted-path.ts'
import type { Host } from './host.ts'
import { READ_OWN_UID } from './own-uid.ts'
import { commandError } from './run-checked.ts'

/** Exit code of a refusal, which is on standard output then. */
const REFUSED = 9

/**
 * Arguments: paths. Looks from / down, through links, at what is there; what is missing nobody but
 * the judged can make. Of a sticky directory anybody may write only what is his own. A group of
 * root's counts as root.
 */
const JUDGE = `
${READ_OWN_UID}
no() { printf '"%s" %s\n' "$1" "$2"; exit ${REFUSED}; }
judge() {
  at=$1
  set -- $(stat -c '%f %u %g' -- "$at")
  [ $# = 3 ] || exit 1
  kind=$((0x$1 >> 12)) mode=$((0x$1 & 07777))
  [ "$2" = 0 ] || [ "$2" = "$self" ] || no "$at" "belongs to \\"$(stat -c %U -- "$at")\\""
  [ $kind != $((012)) ] || return 0
  [ $kind != 4 ] || [ $((mode & 01000)) = 0 ] || return 0
  [ $((mode & 02)) = 0 ] || no "$at" 'may be written by everybody'
  [ $((mode & 020)) = 0 ] || [ "$3" = 0 ] || no "$at" "may be written by group \\"$(stat -c %G -- "$at")\\""
}
for path do
  judge /
  here=/ rest=$path links=0
  while [ -n "$rest" ]; do
    part=\${rest%%/*}
    case $rest in */*) rest=\${rest#*/} ;; *) rest= ;; esac
    case $part in
      ''|.) continue ;;
      ..) here=\${here%/*} here=\${here:-/}; continue ;;
    esac
    next=\${here%/}/$part
    [ -e "$next" ] || [ -L "$next" ] || break
    judge "$next"
    if [ $kind = $((012)) ]; then
      links=$((links + 1))
      [ $links -le ${MOST_LINKS} ] || no "$next" 'is a link that leads nowhere'
      target=$(readlink -- "$next"; echo x) target=\${target%??}
      case $target in /*) here=/ ;; esac
      rest=$target/$rest
    else here=$next
    fi
  done
done
`

/**
 * Why root, or whoever logs in on the host, should not run what lies there, as a sentence;
 * undefined when nothing speaks against it.
 * @throws HOST_COMMAND
 */
export async function whyNotRun(
  host: Host,
  program: readonly string[],
): Promise<string | undefined> {
  const result = await host.run(['sh', '-c', JUDGE, 'sh', ...program])
  if (result.exitCode === 0) return undefined
  if (result.exitCode === REFUSED) return result.stdout.trim()
  throw commandError(host.name, ['judge', ...program], result)
}

/** @throws DIRECTORY_OWNER when somebody else could have put it there; HOST_COMMAND */
export async function checkProgram(host: Host, program: readonly string[]): Promise<void> {
  const why = await whyNotRun(host, program)
  if (why === undefined) return
  throw new BackstayError(
    'DIRECTORY_OWNER',
    `Will not run "${program[0] ?? ''}" on "${host.name}" as "${host.user}": ${why}`,
    {
      hint: `Who may write there decides what is run. Look who put what there; then remove it as root and run: backstay up`,
      details: { host: host.name, program: [...program] },
    },
  )
}
