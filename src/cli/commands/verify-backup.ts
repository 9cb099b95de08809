/**
 * `backstay verify-backup`: reads backups as they lie in the repository and checks every checksum.
 */
import type { VerifyReport } from '../../backup/verify/report.ts'
import { verifyBackup } from '../../backup/verify/verify-backup.ts'
import type { BackupId } from '../../repository/backup-info.ts'
import { findBackup, readCatalogue } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { clearFailedJob } from '../../repository/failed-jobs.ts'
import { formatSize } from '../../util/size.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { openOwnedPlace } from '../session/open-owned-place.ts'
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
  const ids = await idsOf(repository, context.arguments.backup)
  const reports: VerifyReport[] = []
  // Several backups share packs: what the first one read need not be read for the next.
  const startedAtMs = context.clock.now()
  for (const id of ids) reports.push(await verifyOne(context, { repository, id, startedAtMs }))
  const isGood = reports.every((report) => report.isGood)
  if (isGood && context.arguments.backup === undefined) await clearFailedJob(repository, 'verify')
  return {
    data: { cluster: repository.identity.cluster, isGood, backups: reports },
    text: () => reports.map(describeReport).join('') || 'There is no backup.\n',
    exitCode: isGood ? 0 : DAMAGED_EXIT_CODE,
  }
}

async function idsOf(
  repository: ClusterRepository,
  wanted: string | undefined,
): Promise<readonly BackupId[]> {
  if (wanted !== undefined) return [(await findBackup(repository, wanted)).info.id]
  const { backups, damaged } = await readCatalogue(repository)
  return [...damaged.map(({ id }) => id), ...backups.map(({ info }) => info.id)]
}

async function verifyOne(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
  wish: { repository: ClusterRepository; id: BackupId; startedAtMs: number },
): Promise<VerifyReport> {
  const { repository, id, startedAtMs } = wish
  const { sample, since } = context.options
  return await context.output.tasks.task(`Verify backup ${id}`, async (task) =>
    verifyBackup(repository, id, {
      samplePercent: sample,
      seed: Math.floor(startedAtMs / 1000),
      sinceMs: startedAtMs - (since ?? 0),
      beganMs: startedAtMs,
      signal: context.signal,
      onProgress: ({ bytesRead }) => task.progress(bytesRead),
    }),
  )
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
