/**
 * The guard of a server that systemd starts, as the shell of this machine runs it. The other servers are played by a psql that
 * answers what the test says; on real hosts test/hosts asks it.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { fenceServer, GUARD_TEXT, liftFence, readFence } from '../../../src/host/boot-guard.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

describe('the boot guard', () => {
  let base: ReturnType<typeof temporaryDirectory>
  let directory: string
  let permit: string
  before(() => {
    base = temporaryDirectory()
    mkdirSync(join(base.path, 'bin'))
    writeFileSync(join(base.path, 'guard'), GUARD_TEXT, { mode: 0o755 })
    const control = '#!/bin/sh\necho "Latest checkpoint\'s TimeLineID:       3"\n'
    writeFileSync(join(base.path, 'bin/pg_controldata'), control, { mode: 0o755 })
  })
  beforeEach(() => {
    directory = join(base.path, 'data')
    permit = join(base.path, 'permit')
    for (const path of [directory, permit, `${directory}.fenced`]) {
      rmSync(path, { recursive: true, force: true })
    }
    mkdirSync(directory)
  })
  after(async () => base[Symbol.asyncDispose]())

  /** What the guard decides when the two others answer with these timelines: 0 is a primary, nothing no answer. */
  const guard = (db2 = '', db3 = ''): { readonly isStarted: boolean; readonly said: string } => {
    const psql = `#!/bin/sh\ncase "$*" in *db2*) echo "${db2}";; *) echo "${db3}";; esac\n`
    writeFileSync(join(base.path, 'bin/psql'), psql, { mode: 0o755 })
    const words = [directory, permit, join(base.path, 'bin'), 'role', 'db2 5432', 'db3 5432']
    const env = { PATH: '/usr/bin:/bin', BACKSTAY_GUARD_SECONDS: '0' }
    const { status, stderr } = spawnSync(join(base.path, 'guard'), words, { env, encoding: 'utf8' })
    return { isStarted: status === 0, said: stderr }
  }

  test('a primary starts when a standby on its timeline answers', () => {
    assert.ok(guard('3').isStarted)
    assert.ok(guard('', '2').isStarted)
  })

  test('a primary whose place was taken does not start', () => {
    const { isStarted, said } = guard('3', '0')
    assert.ok(!isStarted)
    assert.match(said, /db3 5432 is primary/)
  })

  test('a primary does not start when a standby follows a newer timeline, though the new primary is silent', () => {
    const { isStarted, said } = guard('4', '')
    assert.ok(!isStarted)
    assert.match(said, /timeline 4/)
  })

  test('a primary does not start when nobody answers, unless Backstay asked for it', () => {
    assert.match(guard().said, /no other server answers/)
    writeFileSync(permit, '')
    assert.ok(guard().isStarted)
  })

  test('a standby starts whoever is primary', () => {
    writeFileSync(join(directory, 'standby.signal'), '')
    assert.ok(guard('0').isStarted)
  })

  test('a fenced server does not start, permit or not', async () => {
    writeFileSync(permit, '')
    const place = { host: new LocalHost('localhost'), directory }
    const fence = { by: 'failover', at: '2026-11-22T12:00:00.000Z', reason: '"db2" was promoted' }
    await fenceServer(place, fence)
    assert.deepEqual(await readFence(place), fence)
    const { isStarted, said } = guard('3')
    assert.ok(!isStarted)
    assert.match(said, /it is fenced: .*was promoted/)
    await liftFence(place)
    assert.ok(guard('3').isStarted)
  })
})
