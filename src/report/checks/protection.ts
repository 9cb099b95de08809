/**
 * Checks of what protects commits: confirmations they wait for, and standbys that could take over.
 */
import { formatSize } from '../../util/size.ts'
import { synchronousWanted } from '../../cluster/settings.ts'
import { candidates } from '../../cluster/takeover.ts'
import { type Check, pairsOf, verdict } from './finding.ts'
import { wantedServer } from '../../cluster/wanted-server.ts'

/** As many standbys confirm as commits wait for, and none waits long. */
export const synchronous: Check = (facts) => {
  const { primary } = pairsOf(facts)
  if (primary === undefined) return []
  const wanted = synchronousWanted(facts.wanted, wantedServer(facts.wanted, primary.name))
  if (wanted === undefined) return []
  const say = verdict('replication.synchronous', primary.name)
  const isOn = (primary.sql.settings.get('synchronous_standby_names')?.value ?? '') !== ''
  const confirming = primary.sql.senders.filter(({ syncState }) =>
    ['sync', 'quorum'].includes(syncState),
  )
  const metrics = { confirming: confirming.length, waiting: primary.sql.syncWaiters }
  if (!isOn) {
    return [
      say.warn({
        found: 'commits do not wait for standbys yet',
        cause: 'not enough of them stream since the cluster was built',
        remedy: 'Run: backstay up',
        metrics,
      }),
    ]
  }
  if (confirming.length >= wanted.count && primary.sql.syncWaiters === 0) {
    return [say.ok(`${confirming.length} confirm, ${wanted.count} are needed`, metrics)]
  }
  return [
    say.fail({
      found: `${confirming.length} confirm, ${wanted.count} are needed; ${primary.sql.syncWaiters} commits wait longer than 5 s`,
      cause: 'synchronous standbys are away or slow: commits wait for them',
      remedy:
        'Bring them back. Cancelling a waiting commit does not undo it: it stays, unprotected.',
      metrics,
    }),
  ]
}

/** Whether each standby could take over. */
export const takeover: Check = (facts) =>
  candidates(facts.wanted, facts.found).map((candidate) => {
    const say = verdict('takeover.ready', candidate.server)
    const login = facts.logins.find(
      ({ server, role }) => server === candidate.server && role === facts.wanted.replication.role,
    )
    const obstacles = [
      ...candidate.obstacles,
      ...(login?.error === undefined
        ? []
        : [`others could not stream from it: ${login.error.message}`]),
    ]
    const missing = candidate.missingBytes ?? 0
    if (obstacles.length === 0) {
      return say.ok(`could take over; ${formatSize(missing)} of WAL not received yet`, {
        missingBytes: missing,
      })
    }
    return say.warn({
      found: 'could not take over',
      cause: obstacles.join('; '),
      remedy: 'Run backstay up; see the other findings about this standby.',
    })
  })
