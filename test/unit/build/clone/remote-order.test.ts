/**
 * What two Backstays say to each other about a clone.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseProgress, parseRemoteOrder } from '../../../../src/build/clone/remote-order.ts'
import { wish } from '../../cluster/builders.ts'

const ORDER = {
  machine: '192.168.100.11',
  wanted: wish(),
  server: 'db2',
  primary: 'db1',
  owner: 'postgres',
  password: 'secret',
}

test('an order is read with the servers it names', () => {
  const { clone, password } = parseRemoteOrder(JSON.stringify(ORDER))
  assert.equal(password, 'secret')
  assert.equal(clone.server.directory, '/data/db2')
  assert.equal(clone.primary.name, 'db1')
  assert.equal(clone.owner, 'postgres')
})

test('what is no order is refused', () => {
  const others = ['', 'null', '[]', '{}', '7', '{', JSON.stringify({ ...ORDER, server: 'db9' })]
  for (const line of others) assert.throws(() => parseRemoteOrder(line), { code: 'USAGE' }, line)
})

test('progress is told from everything else a process may print', () => {
  assert.deepEqual(parseProgress('{"doneBytes":5,"totalBytes":9}'), { doneBytes: 5, totalBytes: 9 })
  assert.deepEqual(parseProgress('{"doneBytes":5}'), { doneBytes: 5, totalBytes: undefined })
  for (const line of ['', '{"isDone":true}', '(node:1) Warning', '{"doneBytes":"5"}', 'null']) {
    assert.equal(parseProgress(line), undefined, line)
  }
})
