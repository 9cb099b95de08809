/**
 * Checks of each server by itself: it answers, it is the right one, its clock, its disk, its
 * limits.
 */
import { describeTightDisk, roomRemedy } from '../../host/full-disk.ts'
import { formatDuration } from '../../util/duration.ts'
import { formatSize } from '../../util/size.ts'
import { isAnswering } from '../../cluster/replication.ts'
import { serverStatus } from '../server-status.ts'
import { type Check, grade, pairsOf, verdict } from './finding.ts'
import { wantedServer } from '../../cluster/wanted-server.ts'

const FREE_WARN_BYTES = 2 * 1024 ** 3
const FREE_FAIL_BYTES = 512 * 1024 ** 2
const SKEW_LIMITS_MS = { warn: 5000, fail: 60_000 }
const CONNECTION_WARN = 0.9

/** Exactly one primary answers. */
export const onePrimary: Check = (facts) => {
  const { found, plan } = facts
  const say = verdict('cluster.primary', undefined)
  const primaries = found.servers.filter(isAnswering).filter(({ sql }) => !sql.inRecovery)
  const [only] = primaries
  if (only !== undefined && primaries.length === 1) return [say.ok(`"${only.name}" is the primary`)]
  const problem = plan.problems.find(
    ({ code }) => code === 'SPLIT_BRAIN' || code === 'PRIMARY_MISSING',
  )
  const names = primaries.map((server) => `"${server.name}"`).join(', ')
  return [
    say.fail({
      found: primaries.length === 0 ? 'no server answers as the primary' : `primaries: ${names}`,
      cause: problem?.message ?? 'the primary is stopped or does not answer',
      remedy: problem?.hint ?? 'Run: backstay up',
    }),
  ]
}

/** Every server runs and answers over SQL. */
export const serversAnswer: Check = (facts) =>
  facts.found.servers.map((server) => {
    const say = verdict('server.answers', server.name)
    if (isAnswering(server)) return say.ok(`PostgreSQL ${server.sql.version} answers`)
    const { state, reason } = serverStatus(facts.wanted, facts.found, server)
    return say.fail({
      found: `it is ${state}`,
      cause: reason ?? 'unknown',
      remedy:
        server.hostError?.hint ??
        (server.tightDisk && roomRemedy(server.tightDisk)) ??
        server.sqlError?.hint ??
        'Run: backstay up',
    })
  })

/** Every server is of this cluster and of the wanted major version. */
export const sameCluster: Check = (facts) => {
  const { found, wanted } = facts
  return found.servers.filter(isAnswering).map((server) => {
    const say = verdict('server.identity', server.name)
    const { systemIdentifier, versionNumber, version } = server.sql
    const major = Math.floor(versionNumber / 10_000)
    if (systemIdentifier !== found.identity?.systemIdentifier) {
      return say.fail({
        found: `system identifier ${systemIdentifier}`,
        cause: `the cluster's is ${found.identity?.systemIdentifier ?? 'not known'}`,
        remedy: 'Another cluster answers at this address: correct the cluster file.',
      })
    }
    if (major !== wanted.postgres.version) {
      return say.fail({
        found: `PostgreSQL ${version}`,
        cause: `the cluster file says ${wanted.postgres.version}`,
        remedy: 'Set postgres.version in the cluster file.',
      })
    }
    return say.ok(`system identifier ${systemIdentifier}`)
  })
}

/**
 * Clocks that differ make every time in logs, lags and restore targets a lie, and certificates
 * invalid.
 */
export const clocks: Check = (facts) =>
  facts.found.servers.filter(isAnswering).map((server) => {
    const say = verdict('server.clock', server.name)
    const skewMs = Math.round(server.sql.position.clockSkewMs)
    const metrics = { skewMs }
    const level = grade(Math.abs(skewMs), SKEW_LIMITS_MS)
    if (level === undefined) return say.ok('its clock agrees with this machine’s', metrics)
    const host = wantedServer(facts.wanted, server.name).host.address
    const way = skewMs > 0 ? 'ahead of' : 'behind'
    return say[level]({
      found: `the clock of "${host}" is ${formatDuration(Math.abs(skewMs))} ${way} this machine’s`,
      cause: 'no time synchronisation on one of the two',
      remedy:
        'Set up chrony or systemd-timesyncd on both. Until then certificates may count as expired, and a restore to a time meets another moment than was meant.',
      metrics,
    })
  })

/** Room on the file system of the data directory. */
export const diskSpace: Check = (facts) =>
  [...facts.freeBytes].map(([name, ofDirectory]) => {
    const say = verdict('server.disk', name)
    const tight = facts.found.servers.find((server) => server.name === name)?.tightDisk
    const freeBytes = Math.min(ofDirectory, tight?.freeBytes ?? ofDirectory)
    const metrics = { freeBytes }
    if (freeBytes >= FREE_WARN_BYTES) return say.ok(`${formatSize(freeBytes)} free`, metrics)
    return say[freeBytes < FREE_FAIL_BYTES ? 'fail' : 'warn']({
      found: tight === undefined ? `${formatSize(freeBytes)} free` : describeTightDisk(tight),
      cause: 'data, WAL kept by slots, or other files of the same file system',
      remedy: 'Free space; see what backstay status says slots retain.',
      metrics,
    })
  })

/** Connections left for clients. */
export const connectionsLeft: Check = (facts) =>
  facts.found.servers.filter(isAnswering).map(({ name, sql }) => {
    const say = verdict('server.connections', name)
    const limit = Number(sql.settings.get('max_connections')?.value ?? 0)
    const metrics = { connections: sql.connections }
    const text = `${sql.connections} of ${limit} connections in use`
    if (sql.connections < limit * CONNECTION_WARN) return say.ok(text, metrics)
    return say.warn({
      found: text,
      cause: 'clients open more than expected, or do not close',
      remedy: 'Raise max_connections, or put a pooler before the server.',
      metrics,
    })
  })

/** WAL senders and slots left on the primary for a clone, a backup, a receiver. */
export const limitsLeft: Check = (facts) => {
  const { primary } = pairsOf(facts)
  if (primary === undefined) return []
  const { sql, name } = primary
  const limits = [
    { setting: 'max_wal_senders', used: sql.senders.length },
    { setting: 'max_replication_slots', used: sql.slots.length },
  ]
  return limits.map(({ setting, used }) => {
    const say = verdict(`limits.${setting}`, name)
    const limit = Number(sql.settings.get(setting)?.value ?? 0)
    const text = `${used} of ${limit} in use`
    if (used < limit) return say.ok(text, { used, limit })
    return say.warn({
      found: text,
      cause: 'nothing is left for a clone, a backup or a new standby',
      remedy: `Raise ${setting} in postgres.parameters.`,
      metrics: { used, limit },
    })
  })
}
