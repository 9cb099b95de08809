/**
 * Somebody else on this machine, who is in no group's list and owns nothing: only root can act as him.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { OsUser } from './unprivileged-user.ts'

/** A user without a name. */
export const STRANGER = { uid: 54_321, gid: 54_321 } as const

type Numbers = Pick<OsUser, 'uid' | 'gid'>

/** Runs a shell script as the user; whether it ended well. */
export function actAs(user: Numbers, script: string, ...words: readonly string[]): boolean {
  const [program = '', ...rest] = commandAs(user, script, words)
  return spawnSync(program, rest, { stdio: 'ignore', cwd: '/' }).status === 0
}

/** Runs a shell script that does not end by itself, until disposed. */
export function meddleAs(
  user: Numbers,
  script: string,
  ...words: readonly string[]
): AsyncDisposable & { readonly process: ChildProcess } {
  const [program = '', ...rest] = commandAs(user, script, words)
  const child = spawn(program, rest, { stdio: 'ignore', cwd: '/' })
  const ended = once(child, 'exit')
  return {
    process: child,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function commandAs({ uid, gid }: Numbers, script: string, words: readonly string[]): string[] {
  const drop = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--pdeathsig=KILL']
  return [...drop, '--', 'sh', '-c', script, 'sh', ...words]
}
