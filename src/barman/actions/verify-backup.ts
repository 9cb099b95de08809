/**
 * Reads a whole backup and compares every checksum, and the WAL that makes it consistent.
 */
import { verifyBackups } from '../../work/verify-backups.ts'
import type { BarmanContext } from '../context.ts'
import { findServerBackup } from '../server/backups.ts'
import { oneServer } from '../server/chosen-servers.ts'

const SHOWN = 20

/** Damage makes the command fail; the first problems are listed. @throws {BackstayError} STORE */
export async function run(context: BarmanContext): Promise<void> {
  const { output, words, signal } = context
  const server = oneServer(context, { inactive: true, disabled: true })
  if (server === undefined) return
  const found = await findServerBackup(context, server, words[1] ?? '')
  if (found === undefined) return
  const { id } = found.backup.info
  output.info(`Verifying backup '${id}' on server '${server.name}'`)
  const wish = { backup: id, samplePercent: 100, sinceMs: undefined }
  const [report] = await verifyBackups(found.repository, wish, { signal, on: () => {} })
  if (report === undefined || report.isGood) return output.info('backup successfully verified')
  for (const { subject, problem } of report.problems.slice(0, SHOWN)) {
    output.warning(`"${subject}": ${problem}`)
  }
  output.error(`verify backup failure on '${id}': ${report.problemCount} problems`)
}
