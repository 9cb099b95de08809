/**
 * Whose backups may lie under the cluster's name.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterFound } from '../../../../src/cluster/found.ts'
import { makePlan } from '../../../../src/build/plan/plan.ts'
import type { ClusterWanted } from '../../../../src/cluster/wanted.ts'
import { healthy, nothing, SYSTEM_IDENTIFIER, wish } from '../../cluster/builders.ts'

const WANTED = wish()

function holding(found: ClusterFound, systemIdentifier: string | undefined): ClusterFound {
  const repository = {
    state: 'there',
    osUser: 'backstay',
    owner: 'backstay',
    passfile: 'ours',
    systemIdentifier,
  } as const
  return { ...found, repository }
}

test('the cluster’s own backups, or none yet, are in nobody’s way', () => {
  for (const held of [SYSTEM_IDENTIFIER, undefined]) {
    assert.deepEqual(makePlan(WANTED, holding(healthy(WANTED), held)).problems, [])
  }
  assert.deepEqual(makePlan(WANTED, holding(nothing(WANTED), undefined)).problems, [])
})

test('another cluster’s backups block everything, and both identifiers are named', () => {
  const { steps, problems } = makePlan(WANTED, holding(healthy(WANTED), '42'))
  assert.deepEqual(steps, [])
  assert.equal(problems[0]?.code, 'POSTGRES_IDENTITY')
  assert.match(problems[0]?.message ?? '', new RegExp(`is 42, this one's is ${SYSTEM_IDENTIFIER}`))
})

test('no empty cluster is built over the backups of one that is gone', () => {
  const { steps, problems } = makePlan(WANTED, holding(nothing(WANTED), '42'))
  assert.deepEqual(steps, [])
  assert.match(problems[0]?.message ?? '', /is 42, this one's is not built yet/)
  assert.match(problems[0]?.hint ?? '', /backstay restore.*\/vault\/shop aside/)
})

test('a repository stays with its owner: the key to write is named', () => {
  const backup = { ...backupOf(WANTED), osUser: 'postgres' }
  const wanted = { ...WANTED, backup }
  const hint = (owner: string, osUser = 'postgres', wish = wanted): string => {
    const facts = { passfile: 'ours', systemIdentifier: undefined } as const
    const repository = { state: 'there', owner, osUser, ...facts } as const
    const { steps, problems } = makePlan(wish, { ...healthy(wish), repository })
    assert.deepEqual(steps, [])
    assert.equal(problems[0]?.code, 'DIRECTORY_OWNER')
    assert.match(
      problems[0].message,
      new RegExp(`belongs to OS user "${owner}", not to "${osUser}"`),
    )
    return problems[0].hint
  }
  assert.match(hint('backstay'), /write "osUser: backstay" in the backup part .*backup\.osUser/)
  assert.doesNotMatch(hint('backstay'), /chown/)
  // Nobody's yet: a directory or mount point that root made.
  assert.match(hint('root'), /chown -R postgres \/vault/)
  assert.equal(hint('backstay', 'me'), 'Run Backstay as root or as "backstay".')
  const replication = { ...wanted.replication, archivesToRepository: true }
  const [server] = wanted.servers
  assert.ok(server !== undefined)
  const beside = { ...backup, host: server.host }
  const stored = hint('backstay', 'postgres', { ...wanted, replication, backup: beside })
  assert.match(stored, /archive_command there stores as "postgres"/)
})

function backupOf({ backup }: ClusterWanted): NonNullable<ClusterWanted['backup']> {
  assert.ok(backup !== undefined)
  return backup
}
