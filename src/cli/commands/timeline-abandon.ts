/**
 * `backstay timeline abandon`: declares a timeline dead.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { listBackups } from '../../repository/catalogue.ts'
import { abandonTimeline, reviveTimeline } from '../../repository/line-records.ts'
import { loadHeldNames } from '../../wal/load-continuity.ts'
import { loadLines } from '../../wal/load-lines.ts'
import { timelinesOf } from '../../wal/production-line.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { openOwnedPlace } from '../session/open-owned-place.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

const ARGUMENTS = [
  { name: 'timeline', help: 'Its number' },
] as const satisfies readonly ArgumentSpec[]

const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  undo: { type: 'flag', help: 'Take the declaration back' },
  yes: { type: 'flag', help: 'Also when production was seen on it last' },
} as const satisfies OptionSpecs

export default defineCommand({
  description:
    'It is not restored any more unless it is named, and WAL is not received from a server on it. Nothing is deleted; retention lets it go with the backups that lead to it.',
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['REPOSITORY_MISSING', 'NEEDS_CONFIRMATION'],
  examples: ['backstay timeline abandon 2', 'backstay timeline abandon 2 --undo'],
  runsOn: 'backup server',
  run,
})

/** @throws {BackstayError} USAGE, NEEDS_CONFIRMATION, REPOSITORY_MISSING */
async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const { undo, yes } = context.options
  const repository = await openOwnedPlace(context)
  const { map } = await loadHeldNames(repository)
  const backups = (await listBackups(repository)).map(({ info }) => info)
  const known = timelinesOf(map, backups)
  const timeline = readTimeline(context.arguments.timeline, known)
  if (undo) {
    const wasDead = await reviveTimeline(repository, timeline)
    const text = `Timeline ${timeline} ${wasDead ? 'may be followed again' : 'was not declared dead'}.`
    return { data: { timeline, abandoned: false, wasAbandoned: wasDead }, text: () => text }
  }
  const { current } = await loadLines(repository, map, backups)
  if (current.length === 1 && current[0]?.timeline === timeline && !yes) {
    throw new BackstayError(
      'NEEDS_CONFIRMATION',
      `Will not declare timeline ${timeline} dead without --yes: production was seen on it last`,
      { hint: 'See `backstay timeline list`.' },
    )
  }
  await abandonTimeline(repository, timeline)
  return {
    data: { timeline, abandoned: true },
    text: () =>
      `Timeline ${timeline} is dead until \`backstay timeline abandon ${timeline} --undo\`.`,
  }
}

function readTimeline(text: string, known: readonly number[]): number {
  const timeline = /^\d{1,10}$/.test(text) ? Number(text) : undefined
  if (timeline !== undefined && known.includes(timeline)) return timeline
  throw new BackstayError(
    'USAGE',
    `Cannot find timeline "${text}" in the repository: it knows ${known.join(', ') || 'none'}`,
  )
}
