/**
 * How much the bearer of a database server's key can have of the backup server: room, places, time, objects. Through the gate's own process.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { type HeldLock, takeLock } from '../../../src/repository/lock.ts'
import { startPostgres, temporaryDirectory, type TestServer } from '../../harness/postgres.ts'
import { isRoot } from '../../harness/unprivileged-user.ts'
import { claimFor, LOAD, switchWal } from '../wal/support.ts'
import { gate, startGate } from './gate-process.ts'

interface Stage extends AsyncDisposable {
  readonly repository: ClusterRepository
  readonly directory: string
  readonly pg: TestServer
  readonly name: string
  readonly segment: Buffer
}

async function setStage(within = ''): Promise<Stage> {
  const folder = temporaryDirectory()
  if (within !== '') mkdirSync(join(folder.path, within))
  const directory = join(folder.path, within)
  if (within !== '') execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'none', directory])
  const pg = await startPostgres({ major: 18 })
  const repository = await claimFor(pg, directory)
  await pg.query(LOAD)
  const name = await switchWal(pg)
  const segment = readFileSync(join(pg.directory, 'pg_wal', name))
  return {
    repository,
    directory,
    pg,
    name,
    segment,
    async [Symbol.asyncDispose]() {
      await pg[Symbol.asyncDispose]()
      if (within !== '') execFileSync('umount', [directory])
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** Takes every place of a kind, as so many processes would. */
async function takeAll(
  repository: ClusterRepository,
  lock: string,
  most: number,
): Promise<readonly HeldLock[]> {
  const held: HeldLock[] = []
  for (let place = 0; place < most; place += 1) {
    const name = `${lock}-${place}`
    held.push(await takeLock(repository, { name, mode: 'exclusive', purpose: 'the test' }))
  }
  return held
}

function refused(got: ReturnType<typeof gate>, text: RegExp): void {
  assert.notEqual(got.code, 0, got.said)
  assert.match(got.said, text)
}

/** Objects of locks, in all of their folders. */
async function lockObjects({ repository }: Stage): Promise<string[]> {
  const found: string[] = []
  for await (const object of repository.store.list(repository.names.locks)) found.push(object)
  return found
}

describe('what the gate bounds', () => {
  test('room is left for the receiver and for backups', { skip: !isRoot }, async () => {
    await using stage = await setStage('small')
    const { directory, name, segment, repository } = stage
    const push = () => gate(directory, `wal push ${name} ${segment.length}`, segment)
    writeFileSync(join(directory, 'fill'), Buffer.alloc(48 * 1024 ** 2, 1))
    refused(push(), /are free in .* are kept for the receiver and for backups/)
    assert.equal(await repository.wal.hasSegment(name), false)
    writeFileSync(join(directory, 'fill'), Buffer.alloc(30 * 1024 ** 2, 1))
    assert.deepEqual(push(), { code: 0, said: '' })
  })

  test('each server has places of its own, and leaves none taken', async () => {
    await using stage = await setStage()
    const { directory, name, segment, repository } = stage
    const push = (content: Buffer, server = 'db1') =>
      gate(directory, `wal push ${name} ${segment.length}`, content, server)
    const held = [
      ...(await takeAll(repository, 'gate-read-db2', 16)),
      ...(await takeAll(repository, 'gate-get-db2', 8)),
      ...(await takeAll(repository, 'gate-push-db2', 4)),
    ]
    const free = async (): Promise<void> => {
      await Promise.all(held.map(async (lock) => lock[Symbol.asyncDispose]()))
    }
    // Whoever has the key of "db2" keeps only "db2" out with it.
    refused(push(segment, 'db2'), /"db2" pushes 4 WAL files/)
    refused(gate(directory, 'wal get 00000002.history', undefined, 'db2'), /"db2" fetches 8/)
    refused(gate(directory, 'read', undefined, 'db2'), /"db2" reads .* over 16 connections/)
    assert.equal(await repository.wal.hasSegment(name), false)
    assert.equal(gate(directory, 'read').code, 0)
    assert.match(gate(directory, 'wal get 00000002.history').said, /00000002.history/)
    refused(push(segment.subarray(100)), /bytes came/)
    assert.deepEqual(push(segment), { code: 0, said: '' })
    await free()
    assert.deepEqual(push(segment, 'db2'), { code: 0, said: '' })
    assert.deepEqual(await lockObjects(stage), [])
  })

  test('a sender that falls silent or trickles is dropped, and its place is free', async () => {
    await using stage = await setStage()
    const { directory, name, segment } = stage
    const sender = startGate(directory, `wal push ${name} ${segment.length}`)
    sender.child.stdin?.write(segment.subarray(0, 1000))
    // A byte now and then is no silence, and yet it only holds a place.
    const slow = startGate(directory, `wal push ${name}.00000028.backup 1000`)
    const trickle = setInterval(() => slow.child.stdin?.write('x'), 5000)
    slow.child.stdin?.on('error', () => undefined)
    const startedAtMs = performance.now()
    for (const { code, said } of await Promise.all([sender.ended, slow.ended])) {
      assert.equal(code, 126, said)
      assert.match(said, /in time no bytes came/)
    }
    clearInterval(trickle)
    assert.ok(performance.now() - startedAtMs < 90_000)
    assert.deepEqual(await lockObjects(stage), [])
  })

  test('files beside one segment', async () => {
    await using stage = await setStage()
    const { directory, name, segment, repository } = stage
    const label = Buffer.from('START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n')
    const folder = repository.names.walPartials(name)
    const push = (file: string, content: Buffer) =>
      gate(directory, `wal push ${file} ${content.length}`, content)
    for (let number = 0; number < 63; number += 1) {
      const offset = number.toString(16).toUpperCase().padStart(8, '0')
      await repository.wal.putBackupHistory(`${name}.${offset}.backup`, label)
    }
    assert.deepEqual(push(`${name}.000000AA.backup`, label), { code: 0, said: '' })
    refused(push(`${name}.000000AB.backup`, label), /64 backup files of that segment/)
    // What is there already may come again.
    assert.deepEqual(push(`${name}.000000AA.backup`, label), { code: 0, said: '' })
    for (let number = 1; number <= 4; number += 1) {
      await repository.wal.putPartial(name, segment.subarray(0, 8192 * number))
    }
    refused(push(`${name}.partial`, segment), /4 partial files of that segment/)
    const objects = await repository.store.listObjects(folder)
    assert.equal(objects.length, 68, objects.join(' '))
  })
})
