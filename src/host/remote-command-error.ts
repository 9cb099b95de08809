/**
 * Why a command on another machine did not do what it was to: said of the command, not of the way
 * to the machine (ssh-error.ts).
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatDuration } from '../util/duration.ts'
import { formatSize } from '../util/size.ts'
import { showCommand } from './shell-quote.ts'
import { BEFORE_OUTPUT_BYTES_MAX } from './ssh-reply.ts'
import type { RemoteCommand } from './ssh-script.ts'

/** What is told of it. */
type RemoteCommandTold = Pick<RemoteCommand, 'command' | 'directory' | 'user' | 'timeoutMs'>

/** Its OS user or its directory is not there. */
export function refusedError(
  name: string,
  remote: RemoteCommandTold,
  refused: 'no-user' | 'no-directory',
): BackstayError {
  if (refused === 'no-directory') {
    return cannotStart(name, remote, `no such directory "${remote.directory}"`)
  }
  return new BackstayError(
    'HOST_PRIVILEGE',
    `OS user "${remote.user}" does not exist on "${name}"`,
    {
      hint: `Make the user there (useradd --system ${remote.user}) or name another one.`,
      details: { host: name, user: remote.user },
    },
  )
}

/** What stands around the command there could not begin it. */
export function cannotStart(
  name: string,
  remote: RemoteCommandTold,
  reason: string,
): BackstayError {
  return new BackstayError(
    'HOST_COMMAND',
    `Cannot start a command on "${name}": ${showCommand(remote.command)}: ${reason}`,
    { details: { host: name, command: [...remote.command] } },
  )
}

/** What a login prints before the command has no end. */
export function saysTooMuch(name: string): BackstayError {
  const most = formatSize(BEFORE_OUTPUT_BYTES_MAX)
  return new BackstayError(
    'HOST_COMMAND',
    `Cannot run a command on "${name}": more than ${most} came before its own output`,
    {
      hint: 'Look at what a login without a terminal prints there (ssh HOST true), and at who is at that machine.',
      details: { host: name, limitBytes: BEFORE_OUTPUT_BYTES_MAX },
    },
  )
}

/** It was ended there when its time was over. */
export function timedOut(name: string, remote: RemoteCommandTold): BackstayError {
  const { command, timeoutMs } = remote
  return new BackstayError(
    'TIMEOUT',
    `Command on "${name}" did not end within ${formatDuration(timeoutMs)}: ${showCommand(command)}`,
    { details: { host: name, command: [...command], timeoutMs } },
  )
}
