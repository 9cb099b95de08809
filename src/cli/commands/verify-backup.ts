/**
 * `backstay verify-backup`: reads backups as they lie in the repository and checks every checksum.
 */
import type { VerifyReport } from '../../backup/verify/report.ts'
import { formatSize } from '../../util/size.ts'
import { verifyBackups } from '../../work/verify-backups.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { openOwnedPlace } from '../session/open-owned-place.ts'
import { inSequence } from '../session/task-sequence.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

const ARGUMENTS = [
  {
    name: 'backup',
    help: 'Id, beginning of an id, label, latest or oldest (default: all of them)',
    optional: true,
  },
] as const satisfies readonly ArgumentSpec[]

const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  sample: {
    type: 'int',
    value: 'PERCENT',
    min: 1,
    max: 100,
    default: 100,
    help: 'Read only so many percent of the data, others each time',
  },
  since: {
    type: 'duration',
    value: 'TIME',
    min: 0,
    help: 'Do not read again what was found good in the last TIME',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['BACKUP_MISSING', 'REPOSITORY_DAMAGED', 'REPOSITORY_MISSING'],
  examples: [
    'backstay verify-backup latest',
    'backstay verify-backup --sample 10',
    'backstay verify-backup --since 7d',
  ],
  runsOn: 'backup server',
  run,
})

const DAMAGED_EXIT_CODE = 13

/** Problems printed for people; --json has up to 1000. */
const SHOWN_PROBLEMS = 20

/** @throws {BackstayError} BACKUP_MISSING, REPOSITORY_MISSING, STORE */
async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const repository = await openOwnedPlace(context)
  const { sample: samplePercent, since: sinceMs } = context.options
  const wish = { backup: context.arguments.backup, samplePercent, sinceMs }
  const reports = await inSequence(context.output.tasks, async (line) =>
    verifyBackups(repository, wish, {
      signal: context.signal,
      on: (event) => {
        if (event.kind === 'begun') line.begin(`Verify backup ${event.id}`)
        else line.handle?.progress(event.bytesRead)
      },
    }),
  )
  const isGood = reports.every((report) => report.isGood)
  return {
    data: { cluster: repository.identity.cluster, isGood, backups: reports },
    text: () => reports.map(describeReport).join('') || 'There is no backup.\n',
    exitCode: isGood ? 0 : DAMAGED_EXIT_CODE,
  }
}

function describeReport(report: VerifyReport): string {
  const { id, isGood, files, bytesRead, unitsSkipped, walSegments, problems, problemCount } = report
  const skipped = unitsSkipped === 0 ? '' : `, ${unitsSkipped} units not read`
  const facts = `${files} files, ${formatSize(bytesRead)} read${skipped}, ${walSegments} WAL segments`
  if (isGood) return `Backup ${id} is good: ${facts}.\n`
  const shown = problems.slice(0, SHOWN_PROBLEMS)
  const lines = shown.map(({ subject, problem }) => `  "${subject}": ${problem}\n`)
  const more = problemCount > shown.length ? `  and ${problemCount - shown.length} more\n` : ''
  return `Backup ${id} is damaged (${facts}):\n${lines.join('')}${more}`
}
