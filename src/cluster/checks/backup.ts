/**
 * Checks of the backup side, as far as it tells about itself.
 */
import { type Check, verdict } from './finding.ts'

/** The backup server's own problems. */
export const backup: Check = (facts) => {
  if (facts.backup === undefined) return []
  const { server, lastBackup, receiver, problems } = facts.backup
  const say = verdict('backup', server)
  const [first] = problems
  if (first !== undefined) {
    return [
      say.fail({
        found: first,
        cause: problems.slice(1).join('; ') || 'see backstay backups and backstay wal gaps',
        remedy: 'See that backstay serve runs on the backup server.',
      }),
    ]
  }
  if (lastBackup === undefined) {
    return [
      say.warn({
        found: 'there is no backup yet',
        cause: 'none was taken since the cluster was built',
        remedy: 'Run: backstay backup',
      }),
    ]
  }
  const lag = receiver?.lagBytes
  return [
    say.ok(`last backup ${lastBackup.id}`, lag === undefined ? {} : { receiverLagBytes: lag }),
  ]
}
