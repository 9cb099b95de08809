/**
 * Whether who called sudo may run everything as root anyway, by no more than he needed for this.
 * With a rule for some commands only (`backstay status`), or where everything else takes root's
 * password, he may not, and what root obeys of his files he could not have done himself.
 */
import { spawnSync } from 'node:child_process'
import { allowsEverything } from './sudo-rules.ts'

/** Not the caller's: without secure_path sudo leaves his. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** Rules and users may come from a directory service; together three times this. */
const TIMEOUT_MS = 3000
/** Others (sudo-rs) say less than they do: nothing of whose password is asked for. */
const KNOWN_SUDO = /^Sudo version 1\.[^]*^Sudoers policy plugin version 1\./m

/** What was asked in this process: uid → name, and what he may. */
const asked = new Map<number, { readonly name: string; readonly mayRunAll: boolean }>()

/**
 * Asks sudo, once in a process, for the rules that hold for the user (sudo-rules.ts). To be asked
 * as root. False, too, where sudo is not there, is another program, knows no such user or does not
 * answer in nine seconds.
 */
export function mayRunAll(uid: number): boolean {
  const known = asked.get(uid)
  if (known !== undefined) return known.mayRunAll
  const name = nameOf(uid)
  const answer = { name: name ?? String(uid), mayRunAll: name !== undefined && sudoAllows(name) }
  asked.set(uid, answer)
  return answer.mayRunAll
}

/** Who was asked about in this process and may not; undefined when nobody was. */
export function refusedCaller(): string | undefined {
  return [...asked.values()].find((answer) => !answer.mayRunAll)?.name
}

/** As sudo compares it: by name. */
function nameOf(uid: number): string | undefined {
  const [name, , number] = say('getent', ['passwd', String(uid)])?.split(':') ?? []
  return name !== undefined && name !== '' && number === String(uid) ? name : undefined
}

function sudoAllows(name: string): boolean {
  if (!KNOWN_SUDO.test(say('sudo', ['-V']) ?? '')) return false
  return allowsEverything(say('sudo', ['-n', '-ll', '-U', name]) ?? '')
}

/** What the program prints; undefined when it ends with anything but 0, or not in time. */
function say(program: string, words: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(program, words, {
    cwd: '/',
    env: { PATH, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore'],
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  return status === 0 ? stdout : undefined
}
