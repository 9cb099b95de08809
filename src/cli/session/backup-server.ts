/**
 * Commands that work in the repository run on the machine it is on: when that is another one, the
 * Backstay installed there is started with the same words, and what it says is said here.
 */
import { SERVICE_COMMAND, serviceConfigOf } from '../../cluster/machine/service-source.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { checkProgram } from '../../host/whose-program.ts'
import type { CommandContext } from '../context.ts'

/** Backups of large clusters take hours; a dead connection is noticed by ssh itself. */
const TIMEOUT_MS = 14 * 86_400_000
/** Global options of this side, each with the number of words after it. */
const OWN_OPTIONS = new Map([
  ['--config', 1],
  ['-c', 1],
  ['--accept-new-host-keys', 0],
])

/** How the command over there ended. */
export interface ElsewhereEnded {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs `words` there; undefined when the repository is on this machine, or the command names one
 * itself.
 * @throws HOST_UNREACHABLE, HOST_PRIVILEGE, HOST_COMMAND when Backstay is not installed there
 */
export async function runOnBackupServer(
  context: CommandContext,
  words: readonly string[],
): Promise<ElsewhereEnded | undefined> {
  if (context.options['repository'] !== undefined) return undefined
  const { wanted } = await context.config()
  const { backup } = wanted
  if (backup === undefined || backup.host.local) return undefined
  // Most commands stay here and need nothing of ssh.
  const { openClusterSession } = await import('./cluster-session.ts')
  await using session = await openClusterSession(context)
  const { host } = await session.cluster.machineOf(backup)
  const [program = ''] = SERVICE_COMMAND
  if ((await host.inspect(program)) === undefined) {
    throw new BackstayError(
      'HOST_COMMAND',
      `Cannot work in the repository of "${backup.name}": Backstay is not installed on "${host.name}"`,
      { hint: 'Run: backstay up' },
    )
  }
  await checkProgram(host, SERVICE_COMMAND)
  const config = ['--config', serviceConfigOf(wanted.name)]
  const command = [...SERVICE_COMMAND, ...config, ...wordsForThere(words)]
  return await context.output.tasks.task(`On backup server "${backup.name}"`, async () =>
    host.run(command, { timeoutMs: TIMEOUT_MS, signal: context.signal }),
  )
}

/** The words without those that mean something on this machine only. */
export function wordsForThere(words: readonly string[]): readonly string[] {
  const kept: string[] = []
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    const after = OWN_OPTIONS.get(word)
    if (after !== undefined) at += after
    else if (!/^(?:--config=|-c.)/.test(word)) kept.push(word)
  }
  return kept
}
