/**
 * The guard of a server that systemd starts, as the shell of this machine runs it. The other servers are played by a psql that
 * answers what the test says, or by somebody hostile whom a real psql asks; on real hosts test/hosts asks it.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { fenceServer, GUARD_TEXT, liftFence, readFence } from '../../../src/host/boot-guard.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { debianBinaries, embeddedBinaries } from '../../harness/binaries.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { makeCertificates } from '../wire/certificates.ts'
import { type Asks, flood, type HostilePeer, startHostilePeer } from './hostile-peer.ts'

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

  test('what is no timeline is no answer, and is not repeated', () => {
    for (const answer of ['3 or so', '99999999999', '-1', '03', '00', 'x'.repeat(5000)]) {
      const { isStarted, said } = guard(answer)
      assert.ok(!isStarted)
      assert.match(said, /no other server answers/)
      assert.ok(said.length < 500)
    }
  })

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

  const tools = debianBinaries()
  describe('with a hostile peer', { skip: tools === undefined && 'no psql is installed' }, () => {
    let tls: { cert: Buffer; key: Buffer }
    before(() => {
      const { serverCertificate, serverKey } = makeCertificates(base.path)
      tls = { cert: readFileSync(serverCertificate), key: readFileSync(serverKey) }
    })
    /** Debian's psql, on the libpq of that major. */
    const installPsql = (major: 15 | 18): void => {
      const library = major === 18 ? join(embeddedBinaries(18).directory, '../lib') : ''
      const psql = `#!/bin/sh\nLD_LIBRARY_PATH=${library} exec ${tools ?? ''}/psql "$@"\n`
      writeFileSync(join(base.path, 'bin/psql'), psql, { mode: 0o755 })
    }
    const guardAgainst = async ({ port }: HostilePeer, protection: string[]): Promise<number> => {
      writeFileSync(`${directory}.pgpass`, '*:*:*:role:the-secret\n', { mode: 0o600 })
      const place = [directory, permit, join(base.path, 'bin'), 'role']
      const env = { PATH: '/usr/bin:/bin', BACKSTAY_GUARD_SECONDS: '0' }
      const words = [...place, ...protection, `127.0.0.1 ${port}`]
      const child = spawn(join(base.path, 'guard'), words, { env, stdio: 'ignore' })
      const [exitCode] = (await once(child, 'exit')) as [number]
      return exitCode
    }
    const ways: readonly (readonly [15 | 18, string[]])[] = [
      [18, ['PGREQUIREAUTH=scram-sha-256']],
      [15, ['PGSSLMODE=require', 'PGCHANNELBINDING=require']],
      [15, ['PGSSLMODE=verify-full', 'PGSSLROOTCERT=/etc/ssl/certs/ca-certificates.crt']],
    ]
    const wishes: readonly Asks[] = ['clear text', 'nothing']
    for (const [major, protection] of ways) {
      for (const asks of wishes) {
        const how = `libpq ${major} with ${protection.join(' ')}`
        test(`one that asks for ${asks} is told nothing and not believed: ${how}`, async () => {
          installPsql(major)
          for (const identity of [undefined, tls]) {
            using peer = await startHostilePeer(asks, identity)
            assert.equal(await guardAgainst(peer, protection), 1)
            assert.ok(peer.visits > 0)
            assert.deepEqual(peer.told, [])
          }
        })
      }
    }

    for (const rows of [200, Number.POSITIVE_INFINITY]) {
      const much = rows === 200 ? 'a long answer' : 'one without end'
      test(`${much} is no answer: it fills neither memory nor the journal`, async () => {
        installPsql(15)
        writeFileSync(`${directory}.pgpass`, '*:*:*:role:x\n', { mode: 0o600 })
        using peer = await startHostilePeer('nothing', undefined, flood(rows))
        const words = [directory, permit, join(base.path, 'bin'), 'role', `127.0.0.1 ${peer.port}`]
        const env = { PATH: '/usr/bin:/bin', BACKSTAY_GUARD_SECONDS: '0' }
        const child = spawn(join(base.path, 'guard'), words, { env })
        let said = ''
        child.stderr.on('data', (bytes: Buffer) => void (said += bytes.toString()))
        const watch = watchMemory(child.pid ?? 0)
        const [exitCode] = (await once(child, 'close')) as [number]
        assert.equal(exitCode, 1)
        assert.equal(peer.visits > 0, true)
        assert.match(said, /^backstay: PostgreSQL in \S+ is not started: no other server answers/)
        assert.ok(said.length < 500, said.slice(0, 500))
        assert.ok(watch.peakMb() < 550, `${watch.peakMb()} MB`)
      })
    }

    test('without protection it would be believed, over TLS as well', async () => {
      installPsql(15)
      for (const identity of [undefined, tls]) {
        using peer = await startHostilePeer('clear text', identity)
        assert.equal(await guardAgainst(peer, []), 0)
        assert.deepEqual(peer.told, ['the-secret'])
      }
    })
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

  test('a fence that PostgreSQL’s user wrote holds, and says nothing that a terminal obeys', async () => {
    const place = { host: new LocalHost('localhost'), directory }
    const hostile = '\u001b[2K\rAll is well\nError: none'
    const write = (content: string): void => writeFileSync(`${directory}.fenced`, content)
    write(JSON.stringify({ by: hostile, at: ['2026'], reason: hostile }))
    assert.deepEqual(await readFence(place), {
      by: String.raw`\x1b[2K\x0dAll is well\x0aError: none`,
      at: '',
      reason: String.raw`\x1b[2K\x0dAll is well\x0aError: none`,
    })
    write(hostile)
    const { isStarted, said } = guard('3')
    assert.ok(!isStarted)
    assert.match(said, /^backstay: PostgreSQL in \S+ is not started: it is fenced: [ -~]+\n$/)
    const nothing = { by: 'somebody', at: '', reason: 'the fence says no more' }
    for (const content of ['null', '5', 'x'.repeat(100_000)]) {
      write(content)
      assert.deepEqual(await readFence(place), nothing)
      assert.ok(guard('3').said.length < 5000)
    }
  })
})

/** The most that a process or one of its descendants had in memory, looked at again and again. */
function watchMemory(pid: number): { peakMb(): number } {
  let peak = 0
  const look = (at: number): void => {
    try {
      const status = readFileSync(`/proc/${at}/status`, 'utf8')
      peak = Math.max(peak, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024)
      const children = readFileSync(`/proc/${at}/task/${at}/children`, 'utf8').split(' ')
      for (const child of children.filter((word) => word !== '')) look(Number(child))
    } catch {
      // It has ended.
    }
  }
  const timer = setInterval(() => look(pid), 20).unref()
  return {
    peakMb: () => {
      clearInterval(timer)
      return peak
    },
  }
}
