/**
 * `backstay wal push`: archive_command.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { pushWalContent, pushWalFile } from '../../wal/push.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec } from '../option-spec.ts'
import { absolute, openWalPlace } from '../session/wal-place.ts'
import type { WalPlaceOptions } from './wal-options.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'
import { basename } from 'node:path'
import { buffer } from 'node:stream/consumers'

const ARGUMENTS = [
  { name: 'path', help: 'The file (%p), or - for standard input' },
  { name: 'name', help: 'Name of the WAL file (%f) when the path does not say it', optional: true },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  description: `Proves that the file is the segment its name says, of this cluster, before it is stored. The same content again is fine;
other content under the same name is an error and changes nothing.`,
  options: WAL_PLACE_OPTIONS,
  arguments: ARGUMENTS,
  exits: ['WAL_CONFLICT', 'WAL_INVALID', 'REPOSITORY_MISSING', 'STORE'],
  examples: [
    `archive_command = 'backstay wal push --repository /var/lib/backstay --cluster shop "%p"'`,
    `archive_command = 'ssh vault backstay wal push - "%f" < "%p"'`,
  ],
  run,
})

/**
 * @throws {BackstayError} WAL_CONFLICT, WAL_INVALID, WAL_MISSING, REPOSITORY_MISSING, STORE, USAGE
 */
async function run(
  context: CommandContext<WalPlaceOptions, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const { path, name = basename(path) } = context.arguments
  if (name === '-') {
    throw new BackstayError('USAGE', 'Cannot store standard input without a name', {
      hint: 'Give the name of the WAL file (%f) after the -.',
    })
  }
  const repository = await openWalPlace(context)
  const outcome =
    path === '-'
      ? await pushWalContent(repository, name, await buffer(context.stdin))
      : await pushWalFile(repository, absolute(context, path), name)
  // PostgreSQL's log gets what a command prints, for every segment: say nothing when all is well.
  return { data: { name, outcome }, text: () => '' }
}
