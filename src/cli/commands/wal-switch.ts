/**
 * `backstay wal switch`: finish the present segment.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { type Lsn, toLsn } from '../../postgres/lsn.ts'
import { formatSegmentName, segmentOf } from '../../postgres/segment-name.ts'
import { waitForWal } from '../../wal/wait-for-wal.ts'
import { SqlClient } from '../../wire/sql-client.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { backupOf, openWalPlace, roleConnections } from '../session/wal-place.ts'

const OPTIONS = {
  timeout: {
    type: 'duration',
    value: 'TIME',
    default: 60_000,
    help: 'How long to wait for the segment in the repository',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  needs: { config: true },
  options: OPTIONS,
  exits: ['WAL_UNAVAILABLE', 'POSTGRES_UNREACHABLE'],
  runsOn: 'backup server',
  run,
})

interface SwitchedWal {
  readonly timeline: number
  /** After the switch record. */
  readonly lsn: Lsn
}

/**
 * @throws {BackstayError} POSTGRES_UNREACHABLE when no primary answers, WAL_UNAVAILABLE when the
 * segment does not come.
 */
async function run(context: CommandContext<typeof OPTIONS>): Promise<CommandResult> {
  const { options, config, signal, clock, workingDirectory } = context
  const none = { repository: undefined, cluster: undefined }
  const repository = await openWalPlace({ options: none, config, clock, workingDirectory })
  const { timeline, lsn } = await switchWal(context)
  const { segmentBytes } = repository.identity
  const startLsn = toLsn(lsn - 1n)
  const segment = formatSegmentName(segmentOf(startLsn, { timeline, segmentBytes }), segmentBytes)
  const range = { timeline, startLsn, endLsn: lsn }
  await waitForWal(repository, range, { timeoutMs: options.timeout, signal, finishedOnly: true })
  return { data: { segment }, text: () => `Segment ${segment} is stored.` }
}

async function switchWal(context: CommandContext<typeof OPTIONS>): Promise<SwitchedWal> {
  const { wanted } = await context.config()
  for (const connection of roleConnections(wanted, backupOf(wanted).backupRole)) {
    try {
      await using sql = await SqlClient.connect({ ...connection, signal: context.signal })
      const [row] = await sql.query<{ recovering: boolean }>(
        'SELECT pg_is_in_recovery() recovering',
      )
      if (row?.recovering !== false) continue
      const [switched] = await sql.query<{ lsn: Lsn; name: string }>(
        'SELECT lsn, pg_walfile_name(lsn) AS name FROM pg_switch_wal() AS lsn',
      )
      if (switched === undefined) continue
      return { lsn: switched.lsn, timeline: Number.parseInt(switched.name.slice(0, 8), 16) }
    } catch (error) {
      if (!(error instanceof BackstayError) || !error.retryable) throw error
    }
  }
  throw new BackstayError(
    'POSTGRES_UNREACHABLE',
    `Cannot switch WAL of "${wanted.name}": no primary answers`,
  )
}
