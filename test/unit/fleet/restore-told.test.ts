/**
 * What a Backstay on another machine tells of a restore or a repository: that machine may be in other hands.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseBackupStatus } from '../../../src/report/ask-backup-status.ts'
import type { ClusterContext } from '../../../src/cluster/context.ts'
import { parseProgress } from '../../../src/build/clone/remote-order.ts'
import { giveRestoreOrder } from '../../../src/fleet/give-order.ts'
import {
  parseRestoreOrder,
  parseRestoreTold,
  type RestoreThereOrder,
  type RestoreTold,
} from '../../../src/fleet/restore-order.ts'
import { decodePlan } from '../../../src/fleet/told-plan.ts'
import type { ServerWanted } from '../../../src/cluster/wanted.ts'
import { LocalHost } from '../../../src/host/local-host.ts'

const PLAN: RestoreTold = {
  told: 'plan',
  plan: '{}',
  osUser: 'postgres',
  bytesToWrite: 5,
  warnings: ['w'],
}
const DONE: RestoreTold = {
  told: 'done',
  restored: { files: 1, bytes: 2, writtenBytes: 2, elapsedMs: 3.5 },
  opened: null,
}
const HOSTILE = [
  '{ no json',
  '{}',
  '{"told":"progress","bytes":"many"}',
  '{"told":"progress","bytes":-1}',
  '{"told":"plan","plan":5,"osUser":"u","bytesToWrite":1,"warnings":[]}',
  '{"told":"plan","plan":"{}","osUser":"u","bytesToWrite":1,"warnings":"w"}',
  '{"told":"done","restored":null,"opened":null}',
  '{"told":"done","restored":{"files":1,"bytes":1,"writtenBytes":1,"elapsedMs":{}},"opened":null}',
  '[1]',
  'null',
]

test('what a restore tells is read as it was told', () => {
  for (const told of [PLAN, DONE, { told: 'phase', text: 'Open it' } as const]) {
    assert.deepEqual(parseRestoreTold(JSON.stringify(told)), told)
  }
})

test('no line of a machine in other hands ends this process, and none of them is believed', async () => {
  const host = new LocalHost('db2')
  const machineOf = async () => ({ host, osUser: host.user })
  const context = { machineOf, signal: new AbortController().signal } as unknown as ClusterContext
  const heard: RestoreTold[] = []
  const lines = [...HOSTILE, JSON.stringify(DONE)]
  await giveRestoreOrder(context, {} as ServerWanted, {
    program: ['sh', '-c', `printf '%s\\n' "$0"`, lines.join('\n')],
    order: {} as RestoreThereOrder,
    hear: (told) => heard.push(told),
  })
  assert.deepEqual(heard, [DONE])
})

test('a plan that is none, or whose backup is none, is no plan', () => {
  for (const text of [...HOSTILE, '', '{"backup":{"id":"../x"},"path":[]}', '{"$map":5}']) {
    assert.equal(decodePlan(text), undefined, text)
  }
})

test('an order that is none is an error of its own', () => {
  for (const line of HOSTILE) assert.throws(() => parseRestoreOrder(line), { code: 'USAGE' })
})

test('progress without a number is none, and a total that is no number is left out', () => {
  assert.equal(parseProgress('{"doneBytes":"1"}'), undefined)
  assert.deepEqual(parseProgress('{"doneBytes":1,"totalBytes":"\\u001b[2J"}'), {
    doneBytes: 1,
    totalBytes: undefined,
  })
})

test('the status of a repository is read, and what is none is not', () => {
  const status = { server: 'backup', problems: ['p'], window: { from: 'a', fromTime: '', to: 'b' } }
  assert.deepEqual(parseBackupStatus(JSON.stringify({ ...status, news: 1 })), status)
  for (const text of [...HOSTILE, '{"server":"b","problems":[{}]}', '']) {
    assert.equal(parseBackupStatus(text), undefined, text)
  }
})
