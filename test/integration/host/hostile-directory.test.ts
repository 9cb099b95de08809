/**
 * Root works in directories of PostgreSQL's user, who exchanges them for links while it does. Nothing outside is read, written, given away
 * or removed.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Host } from '../../../src/host/host.ts'
import { ROOT_DRIVERS } from '../../harness/root-hosts.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'

const { name: owner, uid, gid } = unprivilegedUser
/** Exchanges the first path, a directory, for a link to the second, and back, without end; two exchanges a turn. */
const EXCHANGE = `
trap 'exit 0' TERM
while :; do
  mv -T -- "$1" "$1.real" && ln -s -- "$2" "$1"
  rm -f -- "$1" && mv -T -- "$1.real" "$1"
done
`

function startExchange(path: string, target: string): ChildProcess {
  const words = ['sh', '-c', EXCHANGE, 'sh', path, target]
  const drop = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--']
  return spawn('setpriv', [...drop, ...words], { stdio: 'ignore', cwd: '/' })
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** PostgreSQL's: a directory with one inside; root's: one that nobody else may write. */
function makePlaces(base: string): { readonly data: string; readonly roots: string } {
  const [data, roots] = [join(base, 'data'), join(base, 'roots')]
  for (const path of [data, join(data, 'inner')]) {
    mkdirSync(path)
    chownSync(path, uid, gid)
  }
  mkdirSync(roots)
  return { data, roots }
}

for (const [driver, { skip, open }] of Object.entries(ROOT_DRIVERS)) {
  describe(`root ${driver}`, { skip, concurrency: false }, () => {
    let opened: Awaited<ReturnType<typeof open>>
    let host: Host
    before(async () => {
      opened = await open()
      host = opened.host
    })
    after(async () => opened?.[Symbol.asyncDispose]())
    const rounds = driver === 'here' ? 60 : 20

    test('makes over no directory through a link', async () => {
      await using base = temporaryDirectory()
      const { data, roots } = makePlaces(base.path)
      symlinkSync(roots, join(data, 'inner.ssh'))
      await assert.rejects(host.makeDirectory(join(data, 'inner.ssh'), { mode: 0o700, owner }), {
        code: 'HOST_PRIVILEGE',
      })
      await assert.rejects(host.openTree(join(data, 'inner.ssh'), { owner }))
      mkdirSync(join(roots, 'sub'))
      const below = join(data, 'inner.ssh', 'sub')
      await assert.rejects(host.makeDirectory(below, { mode: 0o777, owner }))
      for (const path of [roots, join(roots, 'sub')]) {
        const { uid: now, mode } = statSync(path)
        assert.deepEqual([now, mode & 0o777], [0, 0o755])
      }
    })

    test('fills no tree where a directory that it has seen has become a link', async () => {
      await using base = temporaryDirectory()
      const { data, roots } = makePlaces(base.path)
      const tree = await host.openTree(data, { owner })
      await tree.makeDirectory('inner', 0o700)
      await tree.makeDirectory('inner/first', 0o700)
      renameSync(join(data, 'inner'), join(data, 'inner.real'))
      symlinkSync(roots, join(data, 'inner'))
      await fill(tree, 0).catch(() => undefined)
      await tree.sync().catch(() => undefined)
      await tree.close()
      assert.deepEqual(readdirSync(roots), [])
    })

    test('writes no file where a link leads, whoever wins the race', async () => {
      await using base = temporaryDirectory()
      const { data, roots } = makePlaces(base.path)
      const racer = startExchange(join(data, 'inner'), roots)
      try {
        for (let round = 0; round < rounds; round++) {
          const path = join(data, 'inner', `file${round}`)
          await host.writeFile(path, 'x', { mode: 0o600, owner }).catch(() => undefined)
        }
      } finally {
        await stop(racer)
      }
      assert.deepEqual(readdirSync(roots), [])
    })

    test('gives away no directory, whoever wins the race', async () => {
      await using base = temporaryDirectory()
      const { data, roots } = makePlaces(base.path)
      mkdirSync(join(roots, 'sub'))
      const racer = startExchange(join(data, 'inner'), roots)
      try {
        for (let round = 0; round < rounds; round++) {
          const path = join(data, 'inner', 'sub')
          await host.makeDirectory(path, { mode: 0o777, owner }).catch(() => undefined)
        }
      } finally {
        await stop(racer)
      }
      const { uid: now, mode } = statSync(join(roots, 'sub'))
      assert.deepEqual([now, mode & 0o777], [0, 0o755])
    })

    test('fills no tree where a link leads, whoever wins the race', async () => {
      await using base = temporaryDirectory()
      const { data, roots } = makePlaces(base.path)
      const racer = startExchange(join(data, 'inner'), roots)
      try {
        for (let round = 0; round < rounds / 10; round++) {
          const tree = await host.openTree(data, { owner }).catch(() => undefined)
          if (tree === undefined) continue
          await fill(tree, round).catch(() => undefined)
          await tree.close()
        }
      } finally {
        await stop(racer)
      }
      assert.deepEqual(readdirSync(roots), [])
    })

    test('removes nothing where a link leads, whoever wins the race', async () => {
      await using base = temporaryDirectory()
      const { roots } = makePlaces(base.path)
      for (let n = 0; n < 20; n++) writeFileSync(join(roots, `kept${n}`), '')
      for (let round = 0; round < rounds / 10; round++) {
        const victim = join(base.path, `old${round}`)
        mkdirSync(join(victim, 'inner'), { recursive: true })
        for (let n = 0; n < 20; n++) writeFileSync(join(victim, 'inner', `kept${n}`), '')
        for (const path of [victim, join(victim, 'inner')]) chownSync(path, uid, gid)
        const racer = startExchange(join(victim, 'inner'), roots)
        await host.remove(victim).catch(() => undefined)
        await stop(racer)
      }
      assert.equal(readdirSync(roots).length, 20)
    })

    test('reads only what the user may read', async () => {
      await using base = temporaryDirectory()
      const { data, roots } = makePlaces(base.path)
      const secret = join(roots, 'secret')
      writeFileSync(secret, 'root’s own', { mode: 0o600 })
      symlinkSync(secret, join(data, 'postgresql.conf'))
      await assert.rejects(host.readFile(join(data, 'postgresql.conf')), {
        code: 'HOST_PRIVILEGE',
      })
      chmodSync(secret, 0o644)
      const text = (await host.readFile(join(data, 'postgresql.conf')))?.toString()
      assert.equal(text, 'root’s own')
    })

    test('works on in a directory of PostgreSQL’s as that user', async () => {
      await using base = temporaryDirectory()
      const { data } = makePlaces(base.path)
      const file = join(data, 'inner', 'file')
      await host.writeFile(file, 'one', { mode: 0o640, owner })
      await host.writeFile(file, 'two')
      assert.equal((await host.readFile(file))?.toString(), 'two')
      const { uid: has, mode } = statSync(file)
      assert.deepEqual([has, mode & 0o777], [uid, 0o640])
      await host.makeDirectory(join(data, 'new', 'deep'), { mode: 0o750, owner })
      assert.equal(statSync(join(data, 'new')).uid, uid)
      await host.rename(join(data, 'new'), join(data, 'newer'))
      await host.remove(join(data, 'newer'))
      assert.equal(existsSync(join(data, 'newer')), false)
      await assert.rejects(host.writeFile(file, 'x', { owner: 'root' }), { code: 'HOST_PRIVILEGE' })
    })
  })
}

async function fill(tree: Awaited<ReturnType<Host['openTree']>>, round: number): Promise<void> {
  for (let n = 0; n < 100; n++) {
    await tree.makeDirectory(`inner/d${round}-${n}`, 0o755)
    await tree.beginFile(`inner/f${round}-${n}`, { mode: 0o644, sizeBytes: 1 })
    await tree.write(Buffer.from('x'))
    await tree.endFile()
  }
}
