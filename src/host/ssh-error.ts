/**
 * Why ssh could not do its work, from what it said. The one place that reads ssh's and sudo's
 * messages.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ShownHostKey } from './host-key.ts'
import { lastLines } from './run-checked.ts'

/** One way in which a connection fails. */
interface SshCause {
  readonly name: string
  readonly pattern: RegExp
  readonly says: string
  readonly hint: string
}

const KEY_HINT = 'Compare the fingerprint with the one on the host itself'

/** The first that matches counts. Texts of OpenSSH 7 to 10. */
const CAUSES: readonly SshCause[] = [
  {
    name: 'host-key-changed',
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|host key for .* has changed/i,
    says: 'its host key is not the known one',
    hint: `Either the host was reinstalled or somebody stands between. ${KEY_HINT}, then remove the old key from the known_hosts file named (ssh-keygen -R).`,
  },
  {
    name: 'host-key-unknown',
    pattern: /host key is known for|Host key verification failed/i,
    says: 'its host key is unknown',
    hint: `${KEY_HINT}, then connect once by hand (ssh HOST) and accept it, or run the command again with --accept-new-host-keys.`,
  },
  {
    name: 'permission-denied',
    pattern: /Permission denied|Too many authentication failures/i,
    says: 'it refused the login',
    hint: 'Put your public key into its authorized_keys, or name another user or key in ~/.ssh/config; keys with a passphrase need ssh-agent.',
  },
  {
    name: 'refused',
    pattern: /Connection refused/i,
    says: 'nothing listens on that port',
    hint: 'See that sshd runs there, and that address and port are right.',
  },
  {
    name: 'timeout',
    pattern: /timed out|Timeout, server .* not responding/i,
    says: 'it did not answer in time',
    hint: 'See that the host is up and no firewall drops the packets.',
  },
  {
    name: 'no-route',
    pattern: /No route to host|Network is unreachable|Host is down/i,
    says: 'there is no way to it in the network',
    hint: 'See that address, network and VPN are right.',
  },
  {
    name: 'unknown-name',
    pattern: /Could not resolve hostname/i,
    says: 'its name is unknown',
    hint: 'Correct the name, or use the address.',
  },
  {
    name: 'lost',
    pattern: /Connection (closed|reset)|Broken pipe|closed by remote host|mux_client|client_loop/i,
    says: 'the connection was lost',
    hint: 'See that the host is up; run the command again.',
  },
]

/**
 * From here on ssh repeats what the other side sent, line ends included, before any key of its was
 * looked at: whoever answers at the address can say there that the host is unknown.
 */
const PEER_WORDS = /^(?:Received disconnect from|Unable to negotiate with) /m

const BROKEN: SshCause = {
  name: 'lost',
  pattern: /^/,
  says: 'the connection was lost while a command ran',
  hint: 'See that the host is up, and what became of the command there; then run it again.',
}

const OTHER: SshCause = {
  name: 'other',
  pattern: /^/,
  says: 'ssh failed',
  hint: 'Try the same by hand: ssh -v HOST.',
}

/** Whose connection failed, and how far it had come. */
interface SshTarget {
  /** What people call the machine. */
  readonly host: string
  /** As given to ssh. */
  readonly address: string
  /** Whether the command had begun there: then the connection was lost, whatever else was said. */
  readonly began: boolean
  /** The key it showed, when that is what it is about. */
  readonly shownHostKey: ShownHostKey | undefined
}

/** How ssh did not trust the host's key; undefined when that is not what failed. */
export function hostKeyProblem(
  stderr: string,
): 'host-key-unknown' | 'host-key-changed' | undefined {
  const { name } = causeOf(brief(stderr))
  return name === 'host-key-unknown' || name === 'host-key-changed' ? name : undefined
}

/** The error for an ssh that ended without an answer of the remote script. */
export function sshError(target: SshTarget, stderr: string): BackstayError {
  const { host, address, shownHostKey, began } = target
  const seen = brief(stderr)
  const cause = began ? BROKEN : causeOf(seen)
  const known = /Offending .* key in (\S+)/.exec(seen)?.[1]
  const facts = [
    ...(shownHostKey === undefined ? [] : [`it shows ${shownHostKey.fingerprint}`]),
    ...(known === undefined ? [] : [`the known one is in ${known}`]),
  ]
  const reason = [cause.says, ...facts].join(', ')
  const place = host === address ? '' : ` (${address})`
  const said = shownHostKey !== undefined ? '' : lastLines(seen.replaceAll('\r', ''), 5)
  return new BackstayError(
    'HOST_UNREACHABLE',
    `Cannot reach "${host}" by ssh${place}: ${reason}${said === '' ? '' : `: ${said}`}`,
    {
      hint: cause.hint.replace('HOST', address),
      details: {
        host,
        address,
        cause: cause.name,
        shownHostKey: shownHostKey?.fingerprint,
        ...(cause.name === 'host-key-unknown' ? { knownHostsLines: shownHostKey?.lines } : {}),
      },
    },
  )
}

/** Lines at the beginning, and at the end, that are looked at, and how much of each. */
const LINES_SEEN = 100
const LINE_CHARACTERS_SEEN = 500

/**
 * What is looked at of a text that another machine may have written, a megabyte in one line too:
 * patterns try each beginning of a line of repeated words.
 */
function brief(stderr: string): string {
  const lines = stderr.split('\n')
  const seen =
    lines.length <= 2 * LINES_SEEN
      ? lines
      : [...lines.slice(0, LINES_SEEN), ...lines.slice(-LINES_SEEN)]
  return seen.map((line) => line.slice(0, LINE_CHARACTERS_SEEN)).join('\n')
}

function causeOf(stderr: string): SshCause {
  const own = stderr.slice(0, PEER_WORDS.exec(stderr)?.index)
  return (
    CAUSES.find(({ name, pattern }) => pattern.test(name.startsWith('host-key') ? own : stderr)) ??
    OTHER
  )
}

/**
 * The error for a login that worked and a sudo that did not; undefined when sudo is not what
 * failed.
 */
export function sudoError(host: string, stderr: string): BackstayError | undefined {
  const line = brief(stderr)
    .split('\n')
    .find((line) => /^sudo: |is not in the sudoers file|^sh: .*sudo.*not found/.test(line))
  if (line === undefined) return undefined
  return new BackstayError('HOST_PRIVILEGE', `Cannot become root on "${host}" with sudo: ${line}`, {
    hint: 'Allow the login user to use sudo without a password (NOPASSWD), give the password, or log in as root or as the OS user of PostgreSQL.',
    details: { host },
  })
}
