/**
 * What root does to files in somebody else's directory on this machine: by a process of that user
 * (way-owner.ts says when).
 */
import { runChild } from './child-process.ts'
import type { LocalUser, LocalUsers } from './local-users.ts'
import { ShellFiles } from './shell-files.ts'
import type { RemoteResult, RemoteRun } from './ssh-connection.ts'
import { type MissingPart, missingPart, walkWays } from './way-owner.ts'

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** A user in whose place files are worked on. */
export interface Hands {
  readonly user: LocalUser
  readonly files: ShellFiles
}

/**
 * Who has to do it on all of the ways; undefined when this process may do it itself.
 * @throws Node's ENOENT when it might, but something on a way is not there: others could put it
 * there before it is used.
 */
export async function handsOn(
  ways: readonly string[],
  users: LocalUsers,
): Promise<Hands | undefined> {
  const { hands, missing } = await handsToMake(ways, users)
  if (hands !== undefined || missing === undefined || users.self.uid !== 0) return hands
  throw Object.assign(new Error('no such file or directory'), { code: 'ENOENT' })
}

/**
 * The same for something that is to be made there, with the part of the last way that is missing.
 */
export async function handsToMake(
  ways: readonly string[],
  users: LocalUsers,
): Promise<{ readonly hands: Hands | undefined; readonly missing: MissingPart | undefined }> {
  if (users.self.uid !== 0) return { hands: undefined, missing: missingPart(ways.at(-1) ?? '/') }
  const { owner, missing } = walkWays(ways)
  if (owner === undefined) return { hands: undefined, missing }
  const user = await users.byNumber(owner)
  const run = async (command: RemoteRun): Promise<RemoteResult> => runAs(user, command)
  return { hands: { user, files: new ShellFiles({ run, asWayOwner: false }) }, missing }
}

/**
 * Files by this process's own user through the tools: rm(1) follows no link that appears while it
 * works.
 */
export function rootsFiles(self: LocalUser): ShellFiles {
  return new ShellFiles({
    run: async (command) => runOwn(self, command.command, command),
    asWayOwner: false,
  })
}

/** A clean environment for `user`; nothing of ours is passed on. */
export function cleanEnvironment(user: LocalUser): Record<string, string> {
  return { PATH, HOME: user.home, USER: user.name, LOGNAME: user.name, LANG: 'C.UTF-8' }
}

/**
 * Unlike Node's own uid option, setpriv gives the process the user's supplementary groups too
 * (`ssl-cert`, …).
 */
export function asUser(user: LocalUser, command: readonly string[]): string[] {
  // A number without a name is in no group's list.
  const groups = user.name === String(user.uid) ? '--clear-groups' : '--init-groups'
  return ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, groups, '--', ...command]
}

async function runAs(user: LocalUser, command: RemoteRun): Promise<RemoteResult> {
  return await runOwn(user, asUser(user, command.command), command)
}

async function runOwn(
  user: LocalUser,
  words: readonly string[],
  options: RemoteRun,
): Promise<RemoteResult> {
  const { directory, timeoutMs, input, outputLimitBytes } = options
  const { exitCode, stdout, stderr } = await runChild(words, {
    directory,
    environment: { ...cleanEnvironment(user), LC_ALL: 'C' },
    timeoutMs,
    input,
    ...(outputLimitBytes === undefined ? {} : { outputLimitBytes }),
  })
  return { exitCode, stdout, stderr: stderr.toString() }
}
