/**
 * A standby that finds no room for WAL keeps nobody waiting: while it follows, and while it starts.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chownSync, cpSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { step } from '../../src/build/plan/step.ts'
import { clusterStatus } from '../../src/report/status.ts'
import { stopStep } from '../../src/build/steps/control.ts'
import { bringUp } from '../../src/build/up.ts'
import { verifyCluster } from '../../src/build/verify.ts'
import { type BackstayError, isBackstayError } from '../../src/errors/backstay-error.ts'
import { type House, makeHouse } from '../integration/cluster/house.ts'
import { matrixMajors } from '../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../harness/unprivileged-user.ts'

/** pg_ctl alone would wait for 30 minutes. */
const SOON_MS = 90_000

for (const major of matrixMajors()) {
  test(
    `a standby of PostgreSQL ${major} without room for WAL: up ends soon with directory and free bytes, and brings it back once there is room`,
    { skip: !isRoot && 'needs root' },
    async () => {
      await using house = await makeHouse({ major })
      await bringUp(house.context())
      const wal = join(house.path, 'wal2')
      await stopStandby(house)
      using _small = await moveWal(house, wal)
      await bringUp(house.context())

      fill(wal)
      await house.query('db1', 'CREATE TABLE much AS SELECT g FROM generate_series(1, 1000000) g')
      await house.query('db1', 'SELECT pg_switch_wal()')
      const behind = await refusedUp(house)
      assert.match(behind.message, /Standby "db2" cannot follow "db1": there is no room/)
      assert.ok(behind.message.includes(`free in "${wal}"`), behind.message)
      assert.match(behind.hint, /^Free space in/)
      const [, seen] = (await clusterStatus(house.context())).servers
      assert.match(seen?.reason ?? '', /no room for WAL/)

      await stopStandby(house)
      for (const name of readdirSync(wal).filter((file) => /^\d/.test(file))) {
        rmSync(join(wal, name))
      }
      fill(wal)
      const down = await refusedUp(house)
      assert.match(
        down.message,
        /"db2" does not come up: there is no room.*No space left on device/,
      )
      assert.ok(down.message.includes(`free in "${wal}"`), down.message)

      for (const name of readdirSync(wal).filter((file) => file.startsWith('full'))) {
        rmSync(join(wal, name))
      }
      await bringUp(house.context())
      assert.ok((await verifyCluster(house.context())).isProved)
    },
  )
}

async function stopStandby(house: House): Promise<void> {
  const stop = step('db2', { action: 'stop' }, { title: '', reason: '' })
  await stopStep(house.context(), stop as never)
}

/** Onto a small file system of its own. */
async function moveWal(house: House, to: string): Promise<Disposable> {
  const from = join(house.wanted.servers[1]?.directory ?? '', 'pg_wal')
  mkdirSync(to)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=160m,mode=700', 'tmpfs', to])
  cpSync(from, to, { recursive: true })
  spawnSync('chown', ['-R', `${unprivilegedUser.uid}:${unprivilegedUser.gid}`, to])
  rmSync(from, { recursive: true })
  symlinkSync(to, from)
  chownSync(to, unprivilegedUser.uid, unprivilegedUser.gid)
  return { [Symbol.dispose]: () => void execFileSync('umount', ['-l', to]) }
}

let fills = 0

/** To the last byte. */
function fill(directory: string): void {
  const file = join(directory, `full.${fills++}`)
  spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=64k'])
}

async function refusedUp(house: House): Promise<BackstayError> {
  const startedAtMs = performance.now()
  const error: unknown = await bringUp(house.context()).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(isBackstayError(error), String(error))
  assert.equal(error.code, 'DISK_SPACE', error.message)
  const elapsedMs = performance.now() - startedAtMs
  assert.ok(elapsedMs < SOON_MS, `after ${elapsedMs} ms`)
  return error
}
