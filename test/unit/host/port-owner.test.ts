/**
 * Reading ss and /proc/net/tcp.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describePortOwner, parseProcNet, parseSs } from '../../../src/host/port-owner.ts'

test('ss is read with and without the owner', () => {
  const output = [
    'LISTEN 0      244        127.0.0.1:5432      0.0.0.0:*    users:(("postgres",pid=12,fd=7))',
    'LISTEN 0      244            [::1]:5432         [::]:*    ',
    'LISTEN 0      511                *:5432            *:*    users:(("node",pid=9,fd=2),("node",pid=8,fd=2))',
    '',
  ].join('\n')
  assert.deepEqual(parseSs(output), [
    { address: '127.0.0.1', pid: 12, program: 'postgres' },
    { address: '::1', pid: undefined, program: undefined },
    { address: '*', pid: 9, program: 'node' },
  ])
})

test('listening sockets are found in /proc/net/tcp and tcp6, connected ones are not', () => {
  const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1538 0100007F:C350 01 00000000:00000000 00:00000000 00000000   101        0 4712 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:1539 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 4713 1 0000000000000000 100 0 0 10 0
   0: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 4714 1 0000000000000000 100 0 0 10 0`
  assert.deepEqual(parseProcNet(text, 5432), [
    { address: '127.0.0.1', inode: '4711' },
    { address: '::1', inode: '4714' },
  ])
})

test('an owner is one phrase', () => {
  const owner = { address: '127.0.0.1', pid: 12, program: 'postgres' }
  assert.equal(describePortOwner(owner), '"postgres" (pid 12) on 127.0.0.1')
  const hidden = { address: '*', pid: undefined, program: undefined }
  assert.equal(describePortOwner(hidden), 'a program of another OS user on *')
})
