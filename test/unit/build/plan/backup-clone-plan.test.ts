/**
 * Where the plan takes a standby from.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterFound } from '../../../../src/cluster/found.ts'
import { makePlan } from '../../../../src/build/plan/plan.ts'
import { standbyFileWanted } from '../../../../src/build/plan/standby-settings.ts'
import { bareServer, healthy, server, wish } from '../../cluster/builders.ts'
import { wantedServer } from '../../../../src/cluster/wanted-server.ts'

const WANTED = wish({
  servers: [server('db1', { role: 'primary' }), server('db2', { clonesFromBackup: true })],
})

function withoutStandby(newestBackup: string | undefined): ClusterFound {
  const found = healthy(WANTED)
  const servers = found.servers.map((one) =>
    one.name === 'db2' ? bareServer('db2', { state: 'missing' }) : one,
  )
  return { ...found, servers, newestBackup }
}

test('a standby that is to come from a backup does, and from the primary while there is none', () => {
  const steps = (id: string | undefined) => makePlan(WANTED, withoutStandby(id)).steps
  const from = steps('20261122T101926').find(({ action }) => action === 'clone-from-backup')
  assert.match(from?.title ?? '', /clone the newest backup \(20261122T101926\) into \/data\/db2/)
  assert.ok(!steps('20261122T101926').some(({ action }) => action === 'clone'))
  const clone = steps(undefined).find(({ action }) => action === 'clone')
  assert.match(clone?.reason ?? '', /from the primary: there is no backup yet/)
})

test('it fetches from the repository what the primary has no more, and takes every failure for «not there»', () => {
  const file = (name: string): string =>
    standbyFileWanted(WANTED, wantedServer(WANTED, name), wantedServer(WANTED, 'db1'))
  assert.match(
    file('db2'),
    /restore_command = .*wal get --way \/data\/db2\.ssh --cluster shop --standby/,
  )
  assert.doesNotMatch(file('db1'), /restore_command/)
})
