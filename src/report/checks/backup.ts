/**
 * Checks of the backup side, as far as it tells about itself.
 */
import type { BackupSideStatus } from '../status.ts'
import { type Check, type Finding, verdict } from './finding.ts'

/**
 * The backup server's own problems: what starts it, what failed on the schedule, damaged pages and
 * what is damaged in the repository each for themselves.
 */
export const backup: Check = ({ backup: status }) =>
  status === undefined
    ? []
    : [whole(status), ...service(status), ...jobs(status), ...pages(status), ...damaged(status)]

function whole(status: BackupSideStatus): Finding {
  const { server, lastBackup, receiver, failedJobs = [], badPages, damage = [] } = status
  const started = status.service?.problem
  const say = verdict('backup', server)
  const toldApart = new Set([...failedJobs, ...damage, badPages?.problem, started])
  const [first, ...more] = status.problems.filter((problem) => !toldApart.has(problem))
  if (first !== undefined) {
    return say.fail({
      found: first,
      cause: more.join('; ') || 'see backstay backups and backstay wal gaps',
      remedy: 'See that backstay serve runs on the backup server.',
    })
  }
  if (lastBackup === undefined) {
    return say.warn({
      found: 'there is no backup yet',
      cause: 'none was taken since the cluster was built',
      remedy: 'Run: backstay backup',
    })
  }
  const lag = receiver?.lagBytes
  return say.ok(`last backup ${lastBackup.id}`, lag === undefined ? {} : { receiverLagBytes: lag })
}

function service({ server, service: seen }: BackupSideStatus): readonly Finding[] {
  if (seen === undefined) return []
  const say = verdict('backup.service', server)
  if (seen.problem === undefined) {
    const { unit } = seen
    const found = unit === undefined ? 'backstay serve runs, started by somebody' : `${unit} runs`
    return [say.ok(found)]
  }
  return [
    say.fail({
      found: seen.problem,
      cause: 'whoever starts backstay serve on this machine is not there, or has given up',
      remedy: 'Do as it says: until it runs WAL piles up and no scheduled backup is taken.',
    }),
  ]
}

function jobs({ server, failedJobs }: BackupSideStatus): readonly Finding[] {
  if (failedJobs === undefined) return []
  const say = verdict('backup.jobs', server)
  const [first, ...more] = failedJobs
  const metrics = { failedJobs: failedJobs.length }
  if (first === undefined) return [say.ok('no scheduled work has failed', metrics)]
  return [
    say.fail({
      found: first,
      cause: more.join('; ') || 'the log of backstay serve on the backup server says why',
      remedy: 'Mend what it names, then run it by hand: backstay backup, expire or verify-backup.',
      metrics,
    }),
  ]
}

function pages({ server, badPages }: BackupSideStatus): readonly Finding[] {
  if (badPages === undefined) return []
  const say = verdict('backup.pages', server)
  const metrics = { badPages: badPages.count }
  if (badPages.problem === undefined) return [say.ok('no damaged pages', metrics)]
  return [
    say.fail({
      found: badPages.problem,
      cause:
        'they are damaged on the server itself: storage, memory, or a crash without full_page_writes',
      remedy: 'Repair the tables, or restore them from an older backup; see backstay show.',
      metrics,
    }),
  ]
}

function damaged({ server, damage }: BackupSideStatus): readonly Finding[] {
  if (damage === undefined) return []
  const say = verdict('backup.damage', server)
  const metrics = { damagedInRepository: damage.length }
  const [first, ...more] = damage
  if (first === undefined)
    return [say.ok('nothing is known to be damaged in the repository', metrics)]
  return [
    say.fail({
      found: first,
      cause: more.join('; ') || 'storage or memory of the backup server, or somebody else’s hand',
      remedy:
        'Check the disks of the backup server, run backstay verify-backup, take a backup, then delete what is damaged.',
      metrics,
    }),
  ]
}
