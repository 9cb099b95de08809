/**
 * Started as root, the commands that write the repository go on as the OS user it belongs to: the restore_command of a restored
 * server, which runs as that user, can then read it, and nothing that works for hours is root. There is no way back, so one
 * process does one side's work.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Host } from '../../host/host.ts'
import { LocalHost } from '../../host/local-host.ts'
import { runChecked } from '../../host/run-checked.ts'
import { selfProgram } from '../actions/self-program.ts'

/**
 * Becomes the owner of `directory`, unless this process is not root, root owns it, or the owner cannot read Backstay itself
 * (a checkout in root's home).
 * @throws {BackstayError} REPOSITORY_MISSING when there is no such directory.
 */
export async function becomeRepositoryOwner(directory: string): Promise<void> {
  const host = new LocalHost('localhost')
  if (host.user !== 'root') return
  const repository = await host.inspect(directory)
  if (repository === undefined) {
    throw new BackstayError('REPOSITORY_MISSING', `There is no directory "${directory}"`, {
      hint: 'Run `backstay up`: it makes the directory for the repository.',
    })
  }
  const { owner } = repository
  if (owner === 'root' || !(await canRead(host, owner))) return
  const [group, groups] = await Promise.all([idsOf(host, '-g', owner), idsOf(host, '-G', owner)])
  process.setgroups?.(groups)
  process.setgid?.(group[0] ?? 0)
  process.setuid?.(owner)
}

async function canRead(host: Host, user: string): Promise<boolean> {
  const program = selfProgram()
  const tests = program.flatMap((path) => ['-a', '-r', path]).slice(1)
  return (await host.run(['test', ...tests], { user })).exitCode === 0
}

async function idsOf(host: Host, option: '-g' | '-G', user: string): Promise<number[]> {
  const { stdout } = await runChecked(host, ['id', option, '--', user])
  return stdout.trim().split(' ').map(Number)
}
