/**
 * The lock file under processes that fight for it and die with it.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { acquireProcessLock, type LockHolder } from '../../../src/host/process-lock.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

const request = { purpose: 'backstay up', clock: systemClock }

test('a lock is held by one, named to the other, and free after dispose', async () => {
  await using base = temporaryDirectory()
  const path = `${base.path}/lock`
  {
    await using first = await acquireProcessLock(path, request)
    assert.equal(first.path, path)
    await assert.rejects(acquireProcessLock(path, request), (error) => {
      assert.ok(isBackstayError(error, 'REPOSITORY_LOCKED'))
      assert.match(error.message, new RegExp(`"backstay up".*pid ${process.pid} on ".+", since 20`))
      return true
    })
  }
  assert.deepEqual(await readdir(base.path), [])
  await using again = await acquireProcessLock(path, request)
  assert.notEqual(again.holder.token, '')
})

test('a lock of another host, container or unknown boot is never taken over', async () => {
  await using base = temporaryDirectory()
  const path = `${base.path}/lock`
  let holder: LockHolder
  {
    await using lock = await acquireProcessLock(path, request)
    holder = lock.holder
  }
  for (const other of [{ host: 'elsewhere' }, { pidNamespace: 'pid:[1]' }]) {
    const identity = { ...holder.identity, ...other, pid: 1, startTicks: 1 }
    await writeFile(path, JSON.stringify({ ...holder, identity }))
    await assert.rejects(acquireProcessLock(path, request), { code: 'REPOSITORY_LOCKED' })
  }
  const identity = { ...holder.identity, bootId: 'an earlier boot' }
  await writeFile(path, JSON.stringify({ ...holder, identity }))
  await using taken = await acquireProcessLock(path, request)
  assert.equal(taken.holder.identity.bootId, holder.identity.bootId)
})

test('nobody else can hold up a take-over', { skip: !isRoot && 'needs root' }, async () => {
  await using base = temporaryDirectory()
  const path = join(base.path, 'lock')
  const { identity } = (await acquireProcessLock(path, { purpose: 'x', clock: systemClock })).holder
  const dead = { ...identity, startTicks: identity.startTicks - 1 }
  await writeFile(path, JSON.stringify({ identity: dead, purpose: 'x', since: '', token: 'x' }))
  const name = createHash('sha256').update(path).digest('hex').slice(0, 32)
  const squatter = createServer().listen(`\0backstay-lock-${name}`)
  await once(squatter, 'listening')
  const { uid, gid } = unprivilegedUser
  const drop = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--']
  await writeFile(`${path}.takeover`, '', { mode: 0o600 })
  const flock = spawnSync('setpriv', [...drop, 'flock', '-n', `${path}.takeover`, 'true'])
  assert.notEqual(flock.status, 0)
  await using lock = await acquireProcessLock(path, { purpose: 'y', clock: systemClock })
  assert.equal(lock.holder.purpose, 'y')
  squatter.close()
})

test('a file that is no lock is left alone', async () => {
  await using base = temporaryDirectory()
  const path = `${base.path}/lock`
  await writeFile(path, 'precious')
  await assert.rejects(acquireProcessLock(path, request), { code: 'FAILED' })
  assert.equal(await readFile(path, 'utf8'), 'precious')
})

test('of many processes never two are inside at once, though holders are killed inside', async () => {
  await using base = temporaryDirectory()
  const script = `
    import { writeFile, readFile, rm } from 'node:fs/promises'
    import { acquireProcessLock } from ${JSON.stringify(import.meta.resolve('../../../src/host/process-lock.ts'))}
    import { systemClock } from ${JSON.stringify(import.meta.resolve('../../../src/util/clock.ts'))}
    import { thisProcess, livenessOf } from ${JSON.stringify(import.meta.resolve('../../../src/util/process-identity.ts'))}
    const base = process.argv[1]
    const inside = base + '/inside'
    for (let taken = 0; taken < 8; ) {
      try {
        const lock = await acquireProcessLock(base + '/lock', { purpose: 'test', clock: systemClock })
        taken++
        const other = await readFile(inside, 'utf8').catch(() => undefined)
        if (other && livenessOf(JSON.parse(other), thisProcess()) !== 'dead') {
          console.log('TWO INSIDE')
          process.exit(3)
        }
        await writeFile(inside, JSON.stringify(thisProcess()))
        await systemClock.sleep(Math.random() * 4)
        if (Math.random() < 0.15) process.kill(process.pid, 'SIGKILL')
        await rm(inside)
        await lock[Symbol.asyncDispose]()
      } catch (error) {
        if (error.code !== 'REPOSITORY_LOCKED') throw error
        await systemClock.sleep(Math.random() * 3)
      }
    }`
  const children = Array.from({ length: 10 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', script, base.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  )
  const outcomes = await Promise.all(
    children.map(async (child) => {
      let output = ''
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
      const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
      return { output, code, signal }
    }),
  )
  assert.ok(
    outcomes.some(({ signal }) => signal === 'SIGKILL'),
    'no holder was killed',
  )
  for (const { output, code, signal } of outcomes) {
    assert.equal(output, '')
    assert.ok(code === 0 || signal === 'SIGKILL', `exit ${code}`)
  }
  await using last = await acquireProcessLock(`${base.path}/lock`, request)
  assert.ok(last)
})

test('a lock file of another shape is named, and lets nobody pass', async () => {
  await using base = temporaryDirectory()
  const path = `${base.path}/lock`
  for (const text of ['', 'null', '{}', '[]', '4711', '{"identity":{"host":"a"},"token":"t"}']) {
    await writeFile(path, text)
    await assert.rejects(acquireProcessLock(path, request), {
      code: 'FAILED',
      message: `"${path}" is not a lock file`,
    })
    assert.equal(await readFile(path, 'utf8'), text)
  }
})
