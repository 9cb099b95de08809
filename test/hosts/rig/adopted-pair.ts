/**
 * What holds for a pair of servers that was adopted, whoever's tools made it.
 */
import assert from 'node:assert/strict'
import { said, serversBecome } from './answers.ts'
import type { TestHosts } from './hosts.ts'

/** What is particular to the family of distributions. */
export interface AdoptedPair {
  readonly planSays: RegExp
  readonly planNeverSays: RegExp
  /** When each server was started. */
  readonly startedAt: (hosts: TestHosts) => readonly string[]
}

/** The plan tells what becomes of the package's unit; the first `up` restarts nobody, and the second has nothing to do. */
export async function upRestartsNobody(hosts: TestHosts, pair: AdoptedPair): Promise<void> {
  const plan = await hosts.backstay('plan')
  assert.equal(plan.code, 0, said(plan))
  assert.match(plan.stdout, pair.planSays)
  assert.doesNotMatch(plan.stdout, pair.planNeverSays)
  const before = pair.startedAt(hosts)
  const up = await hosts.backstay('up')
  assert.equal(up.code, 0, said(up))
  assert.deepEqual(pair.startedAt(hosts), before)
  await serversBecome(hosts, 'running,streaming')
  const again = await hosts.backstay('up')
  assert.equal(again.stdout, 'nothing to do\n', said(again))
}
