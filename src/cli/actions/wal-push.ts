/**
 * Stores a WAL file that PostgreSQL archives.
 */
import { buffer } from 'node:stream/consumers'
import { basename } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { pushWalContent, pushWalFile } from '../../wal/push.ts'
import type { ARGUMENTS } from '../commands/wal-push.ts'
import type { WalPlaceOptions } from '../commands/wal-options.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { absolute, openWalPlace } from './wal-place.ts'

/** @throws {BackstayError} WAL_CONFLICT, WAL_INVALID, WAL_MISSING, REPOSITORY_MISSING, STORE, USAGE */
export async function run(
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
