/**
 * What was made of a cluster file and stands in it no more is remembered, and said by the plan until it is forgotten.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  leftOf,
  NOTHING_MADE,
  withEarlierNames,
  without,
  withWanted,
} from '../../../src/cluster/made.ts'
import { makePlan } from '../../../src/build/plan/plan.ts'
import { type ClusterWanted } from '../../../src/cluster/wanted.ts'
import { healthy, wish } from './builders.ts'

const FULL = wish()
const SMALL: ClusterWanted = {
  ...FULL,
  servers: FULL.servers.filter(({ name }) => name !== 'db2'),
  backup: undefined,
}
const names = ({ servers, backup }: ReturnType<typeof leftOf>): string[] => [
  ...servers.map(({ name }) => name),
  ...(backup === undefined ? [] : [backup.name]),
]

test('what the file has no more is left until it is forgotten, whatever is made meanwhile', () => {
  const made = withWanted(NOTHING_MADE, FULL)
  assert.deepEqual(names(leftOf(made, FULL)), [])
  assert.deepEqual(names(leftOf(made, SMALL)), ['db2', 'vault'])
  const later = withWanted(made, SMALL)
  assert.deepEqual(names(leftOf(later, SMALL)), ['db2', 'vault'])
  assert.deepEqual(names(leftOf(without(later, 'db2'), SMALL)), ['vault'])
  assert.deepEqual(names(leftOf(without(later, 'vault'), SMALL)), ['db2'])
  assert.deepEqual(names(leftOf(later, FULL)), [], 'it was put back')
})

test('a backup server that has another name on the same machine is not left: its service is the one that runs', () => {
  const { backup } = FULL
  assert.ok(backup !== undefined)
  const renamed = { ...FULL, backup: { ...backup, name: 'vault2' } }
  const made = withWanted(withWanted(NOTHING_MADE, FULL), renamed)
  assert.deepEqual(names(leftOf(made, renamed)), [])
  const elsewhere = { ...backup, name: 'vault3', repository: '/srv/other' }
  const moved = { ...FULL, backup: elsewhere }
  assert.deepEqual(names(leftOf(withWanted(made, moved), moved)), ['vault2'])
})

test('settings, which may hold secrets, are not remembered', () => {
  const servers = FULL.servers.map((server) => ({ ...server, parameters: { x: 'secret' } }))
  assert.doesNotMatch(JSON.stringify(withWanted(NOTHING_MADE, { ...FULL, servers })), /secret/)
})

test('the plan names what is left and the command that ends it: forget, or rename for the same directory', () => {
  const left = leftOf(withWanted(NOTHING_MADE, FULL), SMALL)
  const found = healthy(FULL)
  const small = { ...found, servers: found.servers.filter(({ name }) => name !== 'db2'), left }
  const problems = makePlan(SMALL, small).problems.filter(({ code }) => code === 'DRIFT')
  const text = problems.map(({ message, hint }) => `${message} ${hint}`).join('\n')
  assert.match(text, /"db2" is not in the cluster file any more.*backstay forget db2/)
  assert.match(text, /backup server "vault".*backstay forget vault/i)
  const servers = FULL.servers.map((server) =>
    server.name === 'db2' ? { ...server, name: 'berlin' } : server,
  )
  const renamed = { ...FULL, servers }
  const now = leftOf(withWanted(NOTHING_MADE, FULL), renamed)
  const planned = makePlan(renamed, {
    ...found,
    servers: found.servers.map((each) =>
      each.name === 'db2' ? { ...each, name: 'berlin' } : each,
    ),
    left: now,
  })
  assert.match(planned.problems.map(({ hint }) => hint).join('\n'), /backstay rename db2 berlin/)
})

test('a server is forgotten with its earlier names, and with no other server', () => {
  const rename = (name: string): ClusterWanted => ({
    ...FULL,
    servers: FULL.servers.map((server) => (server.name === 'db2' ? { ...server, name } : server)),
  })
  const made = withWanted(withWanted(NOTHING_MADE, FULL), rename('berlin'))
  const left = leftOf(made, SMALL)
  const berlin = left.servers.find(({ name }) => name === 'berlin')
  assert.ok(berlin !== undefined)
  assert.deepEqual(
    withEarlierNames(berlin, left).map(({ name }) => name),
    ['berlin', 'db2'],
  )
})
