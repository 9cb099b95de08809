/**
 * When the plan opens a server's way into the repository, and when it leaves it alone.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { archiveCommandWanted } from '../../../../src/cluster/archive-command.ts'
import type { ClusterFound } from '../../../../src/cluster/found.ts'
import { makePlan } from '../../../../src/build/plan/plan.ts'
import { planWays } from '../../../../src/build/plan/way-plan.ts'
import type { BackupWanted, ClusterWanted } from '../../../../src/cluster/wanted.ts'
import type { WayFound, WaysFound } from '../../../../src/cluster/found-ways.ts'
import {
  authorizedLine,
  wayConfigText,
  wayKnownHosts,
  wayPaths,
} from '../../../../src/cluster/machine/way-files.ts'
import { bend, healthy, nothing, server, wish } from '../../cluster/builders.ts'
import { wantedServer } from '../../../../src/cluster/wanted-server.ts'

const ssh = { user: undefined, port: undefined, sudo: false }
const BACKUP: BackupWanted = {
  ...(wish().backup as BackupWanted),
  host: { address: 'vault', local: false, ssh },
}
const WANTED: ClusterWanted = wish({
  servers: [
    server('db1', { role: 'primary', host: { address: 'one', local: false, ssh } }),
    server('db2', { host: BACKUP.host }),
  ],
  backup: BACKUP,
  replication: { ...wish().replication, archivesToRepository: true },
})
const KEY = 'ssh-ed25519 AAAA'
const HOST_KEY = 'ssh-ed25519 AAAABBBB'
const RIGHT: WayFound = {
  server: 'db1',
  publicKey: KEY,
  config: wayConfigText(BACKUP, 'backstay', wayPaths('/data/db1.ssh')),
  knownHosts: wayKnownHosts([HOST_KEY]),
}
const LINE = authorizedLine('shop', BACKUP, { server: 'db1', publicKey: KEY })

function reasonFor(way: Partial<WayFound>, authorizedKeys = `# mine\n${LINE}\n`): unknown {
  const gate = { osUser: 'backstay', path: '/b/.ssh/authorized_keys', authorizedKeys }
  const ways: WaysFound = {
    gate: { ...gate, hostKeys: [HOST_KEY] },
    servers: [{ ...RIGHT, ...way }],
  }
  return planWays(WANTED, { ...nothing(WANTED), ways }).steps[0]?.reason
}

test('a way that is as it should be is left alone', () => assert.equal(reasonFor({}), undefined))

test('a way is opened again for every part that is missing or has changed', () => {
  assert.match(String(reasonFor({ publicKey: undefined })), /no key/)
  assert.match(String(reasonFor({ config: 'Host *\n' })), /configuration/)
  assert.match(String(reasonFor({ knownHosts: undefined })), /host key/)
  assert.match(String(reasonFor({ publicKey: 'ssh-ed25519 CCCC' })), /does not know its key/)
  assert.match(String(reasonFor({}, `# ${LINE}\n`)), /does not know its key/)
})

test('archive_command goes over ssh where the repository is elsewhere, and runs Backstay where it is here', () => {
  assert.equal(
    archiveCommandWanted(WANTED, wantedServer(WANTED, 'db1')),
    'ssh -F /data/db1.ssh/config repository "wal push %f $(wc -c < "%p")" < "%p" || exit 1',
  )
  assert.equal(
    archiveCommandWanted(WANTED, wantedServer(WANTED, 'db2')),
    '/opt/backstay/current/node /opt/backstay/current/bin/backstay.js wal push --repository /vault --cluster shop "%p" || exit 1',
  )
  assert.equal(archiveCommandWanted(wish(), wantedServer(wish(), 'db1')), undefined)
})

test('a standby that streams stops fetching from the repository, one that does not goes on', () => {
  const wanted = wish({
    servers: [server('db1', { role: 'primary' }), server('db2', { clonesFromBackup: true })],
  })
  const found = { ...healthy(wanted), fetching: ['db2'] }
  const actions = (one: ClusterFound): readonly string[] =>
    makePlan(wanted, one).steps.map(({ id }) => id)
  assert.ok(actions(found).includes('db2.stop-fetching'))
  const lost = bend(found, 'db1', ({ sql }) => ({ sql: { ...sql, senders: [] } }))
  assert.ok(!actions(lost).includes('db2.stop-fetching'))
})
