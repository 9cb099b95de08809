/**
 * What Barman's programs do when they are asked for what cannot be: at once, with Barman's exit codes.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { claimCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { barmanHouse } from './barman-house.ts'

const DOWN = 'conninfo = host=127.0.0.1 port=1\nbackup_method = postgres\n'
const SEGMENT = '000000010000000000000001'

test('receive-wal ends when its server is down', { timeout: 60_000 }, async () => {
  await using house = await barmanHouse(
    `[pg]\n${DOWN}streaming_archiver = on\nslot_name = barman\ncreate_slot = auto\n`,
  )
  // The repository is there already, so that nothing but the receiver has to ask the server.
  const server = { systemIdentifier: '7', major: 18, segmentBytes: 16 * 1024 * 1024 }
  const store = new DiskStore(join(house.home, 'backstay'))
  await claimCluster({ store, name: 'pg', server, clock: systemClock })
  const ran = await house.run([
    'timeout',
    '30',
    join(house.binaries, 'barman'),
    'receive-wal',
    'pg',
  ])
  assert.equal(ran.exitCode, 1)
  assert.match(ran.stderr, /^ERROR: Cannot connect to /m)
})

test('what a client complains of is spelled out where a terminal would obey it', async () => {
  await using house = await barmanHouse('')
  const directory = join(house.directory, '\u001b]0;title\u0007')
  await mkdir(directory)
  const client = join(house.binaries, 'barman-wal-archive')
  const { exitCode, stderr } = await house.run([client, 'vault', 'pg', directory])
  assert.notEqual(exitCode, 0)
  assert.ok(stderr.includes(String.raw`\x1b]0;title\x07`), stderr)
  assert.ok(!stderr.includes('\u0007'))
})

test('barman-wal-restore looks at its destination before it asks the Barman host', async () => {
  await using house = await barmanHouse('')
  const asked = join(house.directory, 'asked')
  await writeFile(join(house.binaries, 'ssh'), `#!/bin/sh\ntouch '${asked}'\nexit 255\n`, {
    mode: 0o755,
  })
  const fetch = async (destination: string, ...options: string[]): Promise<number> => {
    const client = join(house.binaries, 'barman-wal-restore')
    const ran = await house.run([client, ...options, 'vault', 'pg', SEGMENT, destination])
    return ran.exitCode
  }
  await mkdir(join(house.directory, 'folder'))
  assert.equal(await fetch(join(house.directory, 'nowhere', SEGMENT)), 3)
  assert.equal(await fetch(join(house.directory, 'folder')), 3)
  assert.equal(await fetch(join(house.directory, SEGMENT), '--parallel', 'x'), 2)
  assert.equal(await fetch(join(house.directory, SEGMENT), '--sleep', '-1'), 2)
  assert.equal(existsSync(asked), false)
  assert.equal(await fetch(join(house.directory, SEGMENT)), 2, 'ssh failed')
  assert.equal(existsSync(asked), true)
})

test('config-switch --reset takes the model away, whichever is named beside it', async () => {
  await using house = await barmanHouse(
    `[pg]\n${DOWN}[standby]\nmodel = true\ncluster = pg\ndescription = from model\n`,
  )
  assert.equal((await house.barman(['config-switch', 'pg', 'standby'])).exitCode, 0)
  const ran = await house.barman(['config-switch', 'pg', 'standby', '--reset'])
  assert.equal(ran.stdout.toString(), 'Resetting the active model for the server pg\n')
  assert.equal(ran.exitCode, 0)
  assert.match((await house.barman(['status', 'pg'])).stdout.toString(), /model: None\n/)
})
