/**
 * Whose backups may lie under the cluster's name.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterFound } from '../../../../src/cluster/found.ts'
import { makePlan } from '../../../../src/cluster/plan/plan.ts'
import { healthy, nothing, SYSTEM_IDENTIFIER, wish } from '../builders.ts'

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
