/**
 * Declares a timeline dead, or takes that back.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { listBackups } from '../../repository/catalogue.ts'
import { abandonTimeline, reviveTimeline } from '../../repository/line-records.ts'
import { loadHeldNames } from '../../wal/load-continuity.ts'
import { loadLines } from '../../wal/load-lines.ts'
import { timelinesOf } from '../../wal/production-line.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/timeline-abandon.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { openOwnedPlace } from './open-owned-place.ts'

type Context = CommandContext<typeof OPTIONS, typeof ARGUMENTS>

/** @throws {BackstayError} USAGE, NEEDS_CONFIRMATION, REPOSITORY_MISSING */
export async function run(context: Context): Promise<CommandResult> {
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
