/**
 * Bad input: each gets its own error, and nothing is changed anywhere.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chownSync, cpSync, existsSync, lstatSync, readdirSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { takeDown } from '../../../src/build/down.ts'
import { lockCluster } from '../../../src/cluster/lock.ts'
import { recloneStandby } from '../../../src/failover/reclone.ts'
import { rejoinServer } from '../../../src/failover/rejoin.ts'
import { step } from '../../../src/build/plan/step.ts'
import { startStep } from '../../../src/build/steps/control.ts'
import { bringUp, planCluster } from '../../../src/build/up.ts'
import { verifyCluster } from '../../../src/build/verify.ts'
import type { ClusterWanted } from '../../../src/cluster/wanted.ts'
import type { ErrorCode } from '../../../src/errors/codes.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { roleConnection } from '../../../src/cluster/look/connect.ts'
import { availableMajors, embeddedBinaries } from '../../harness/binaries.ts'
import { copyTemplate, initdbArgumentsOf } from '../../harness/template.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { type House, makeHouse } from './house.ts'

const [newest] = [...availableMajors()].reverse()
const major = newest ?? 18

/** Every file below the house but those a running server writes by itself: path, size, mode, time. */
function inventory(house: House): string[] {
  const lines: string[] = []
  const walk = (path: string): void => {
    for (const name of readdirSync(path)) {
      const inside = join(path, name)
      const info = lstatSync(inside)
      if (name === 'lock' || OWN_BUSINESS.test(inside)) continue
      lines.push(
        `${inside} ${info.mode} ${info.uid} ${info.isFile() ? `${info.size} ${info.mtimeMs}` : ''}`,
      )
      if (info.isDirectory()) walk(inside)
    }
  }
  walk(house.path)
  return lines
}

const OWN_BUSINESS = /\/(base|global|pg_\w+|log|postmaster\.\w+|current_logfiles)(\/|$)|\.log$/

/** `up` is refused with `code`, and afterwards everything is as before. */
async function refused(
  house: House,
  code: ErrorCode,
  change: { wanted?: ClusterWanted } = {},
): Promise<string> {
  await mkdir(house.wanted.stateDirectory, { recursive: true, mode: 0o700 })
  const before = inventory(house)
  let message = ''
  await assert.rejects(bringUp(house.context(change)), (error) => {
    assert.ok(isBackstayError(error), String(error))
    assert.equal(error.code, code, error.message)
    message = `${error.message}\n${error.hint}`
    return true
  })
  assert.deepEqual(inventory(house), before)
  return message
}

async function foreignCluster(directory: string): Promise<void> {
  await copyTemplate(directory, embeddedBinaries(major), initdbArgumentsOf(major, []))
}

const directoryOf = (house: House, name: string): string =>
  house.wanted.servers.find((server) => server.name === name)?.directory ?? ''

describe('up on a fresh machine refuses', () => {
  test('a port in use, and says by whom', async () => {
    await using house = await makeHouse({ major })
    const port = house.wanted.servers[0]?.port
    const squatter = createServer()
    await new Promise<void>((resolve) => void squatter.listen(port, '127.0.0.1', () => resolve()))
    try {
      assert.match(await refused(house, 'PORT_IN_USE'), /\(pid \d+\) on 127\.0\.0\.1/)
    } finally {
      squatter.close()
    }
  })

  test('a directory that is not empty', async () => {
    await using house = await makeHouse({ major })
    await mkdir(directoryOf(house, 'db2'))
    await writeFile(join(directoryOf(house, 'db2'), 'letters'), 'dear')
    assert.match(await refused(house, 'DIRECTORY_FOREIGN'), /"letters"/)
  })

  test('a cluster that it did not build', async () => {
    await using house = await makeHouse({ major })
    await foreignCluster(directoryOf(house, 'db1'))
    assert.match(await refused(house, 'DIRECTORY_FOREIGN'), /system identifier \d+/)
  })

  test('a directory of another owner', { skip: !isRoot && 'needs root' }, async () => {
    await using house = await makeHouse({ major })
    await mkdir(directoryOf(house, 'db1'), { mode: 0o700 })
    assert.match(await refused(house, 'DIRECTORY_OWNER'), /chown/)
  })

  test('a version that is not installed', async () => {
    await using house = await makeHouse({ major })
    const { postgres } = house.wanted
    const wanted = { ...house.wanted, postgres: { ...postgres, binaries: '/usr/bin' } }
    await refused(house, 'BINARIES_MISSING', { wanted })
  })

  test('a setting PostgreSQL does not know, and leaves no half-made cluster that goes on wrong', async () => {
    await using house = await makeHouse({ major, parameters: { work_memory: '4MB' } })
    await assert.rejects(bringUp(house.context()), (error) => {
      assert.ok(isBackstayError(error, 'CONFIG_INVALID'), String(error))
      assert.match(error.message, /work_memory/)
      return true
    })
    const { postgres } = house.wanted
    const wanted = { ...house.wanted, postgres: { ...postgres, parameters: {} } }
    await bringUp(house.context({ wanted }))
    assert.ok((await verifyCluster(house.context({ wanted }))).isProved)
  })
})

describe('up on a built cluster refuses', () => {
  test('what would harm it, and goes on when it is put right', async (t) => {
    await using house = await makeHouse({ major, standbys: 1 })
    const { wanted } = house
    const db2 = directoryOf(house, 'db2')
    await bringUp(house.context())

    await t.test('another major version', async () => {
      const other = availableMajors().find((candidate) => candidate !== major)
      if (other === undefined) return
      const { directory: binaries } = embeddedBinaries(other)
      const postgres = { ...wanted.postgres, version: other, binaries }
      assert.match(
        await refused(house, 'POSTGRES_VERSION', { wanted: { ...wanted, postgres } }),
        new RegExp(`PostgreSQL ${major}`),
      )
    })

    await t.test('a wrong superuser password', async () => {
      const path = join(wanted.stateDirectory, 'passwords')
      const text = await readFile(path, 'utf8')
      await writeFile(path, text.replace(/^(\*:\*:\*:postgres:).*$/m, '$1wrong'))
      assert.doesNotMatch(await refused(house, 'POSTGRES_AUTH'), /wrong/)
      await writeFile(path, text)
    })

    await t.test('passwords that others may read', async () => {
      const path = join(wanted.stateDirectory, 'passwords')
      execFileSync('chmod', ['644', path])
      await refused(house, 'HOST_PRIVILEGE')
      execFileSync('chmod', ['600', path])
    })

    await t.test('a setting PostgreSQL refuses, and puts the old file back', async () => {
      const parameters = { ...wanted.postgres.parameters, work_mem: 'plenty' }
      const changed = { ...wanted, postgres: { ...wanted.postgres, parameters } }
      const conf = join(directoryOf(house, 'db1'), 'backstay.conf')
      const before = await readFile(conf, 'utf8')
      await assert.rejects(bringUp(house.context({ wanted: changed })), { code: 'CONFIG_INVALID' })
      assert.equal(await readFile(conf, 'utf8'), before)
    })

    await t.test('two at once', async () => {
      await using lock = await lockCluster(house.context(), 'up')
      void lock
      assert.match(await refused(house, 'REPOSITORY_LOCKED'), new RegExp(`pid ${process.pid}`))
    })

    await t.test('a standby of another system identifier, until it is recloned', async () => {
      await takeDown(house.context())
      await rm(db2, { recursive: true })
      await foreignCluster(db2)
      assert.match(await refused(house, 'POSTGRES_IDENTITY'), /reclone db2/)
      await assert.rejects(recloneStandby(house.context(), 'db2', { discardOld: true }), {
        code: 'DIRECTORY_FOREIGN',
      })
      const { keptAside } = await recloneStandby(house.context(), 'db2', { discardOld: false })
      assert.equal(keptAside.length, 1)
      assert.ok(existsSync(join(keptAside[0] ?? '', 'PG_VERSION')))
      assert.ok((await verifyCluster(house.context())).isProved)
      await rm(keptAside[0] ?? '', { recursive: true })
    })

    await t.test(
      'nothing when its own standby is recloned: the old one goes once the new streams',
      async () => {
        const { done } = await recloneStandby(house.context(), 'db2', { discardOld: false })
        const ids = done.map(({ id }) => id)
        assert.ok(ids.indexOf('db2.remove-aside') > ids.indexOf('db2.attach'), ids.join())
        assert.deepEqual(
          readdirSync(house.path).filter((name) => name.includes('.old-')),
          [],
        )
      },
    )

    await t.test('to choose between the last primary and who was promoted beside it', async () => {
      await promote(house, 'db2')
      await takeDown(house.context())
      const { problems } = (await planCluster(house.context())).plan
      assert.deepEqual(
        problems.map(({ code, server }) => `${code} ${server ?? ''}`),
        ['SPLIT_BRAIN '],
      )
      assert.match(problems[0]?.hint ?? '', /start "db2" by hand, then: backstay rejoin db1/)
      await startAlone(house, 'db2')
      for (const discardOld of [true, false]) {
        await assert.rejects(recloneStandby(house.context(), 'db1', { discardOld }), {
          code: 'SPLIT_BRAIN',
        })
      }
      const { keptAside, primary, way } = await rejoinServer(house.context(), 'db1')
      assert.deepEqual([primary, way], ['db2', 'clone'])
      assert.ok(existsSync(join(keptAside[0] ?? '', 'global/pg_control')))
      await isInOrder(house, keptAside)
    })

    await t.test(
      'nothing when roles have been switched: what is found wins over the file',
      async () => {
        await takeDown(house.context())
        const { done, primary } = await bringUp(house.context())
        assert.equal(primary, 'db2')
        assert.deepEqual(
          done.map(({ id }) => id),
          ['db2.start', 'db1.start', 'db1.attach'],
        )
        await takeDown(house.context())
        await makePrimary(house, 'db1')
        const { keptAside } = await rejoinServer(house.context(), 'db2')
        await isInOrder(house, keptAside)
      },
    )

    await t.test('to discard a former primary, and keeps it when it is recloned', async () => {
      await promote(house, 'db2')
      await takeDown(house.context())
      await startAlone(house, 'db1')
      await assert.rejects(recloneStandby(house.context(), 'db2', { discardOld: true }), {
        code: 'DATA_LOSS',
      })
      const { keptAside, primary } = await recloneStandby(house.context(), 'db2', {
        discardOld: false,
      })
      assert.equal(primary, 'db1')
      assert.ok(existsSync(join(keptAside[0] ?? '', 'global/pg_control')))
      await isInOrder(house, keptAside)
    })

    await t.test('to reclone the primary', async () => {
      await assert.rejects(recloneStandby(house.context(), 'db1', { discardOld: true }), {
        code: 'SPLIT_BRAIN',
      })
    })

    await t.test('an exhausted max_wal_senders', async () => {
      const parameters = { ...wanted.postgres.parameters, max_wal_senders: '4' }
      const few = { ...wanted, postgres: { ...wanted.postgres, parameters } }
      await bringUp(house.context({ wanted: few }))
      await stopAndRemove(house, 'db2')
      const [primary] = wanted.servers
      assert.ok(primary !== undefined)
      const options = roleConnection(house.context(), primary, 'backstay_stream')
      const connections = []
      for (let index = 0; index < 4; index += 1) {
        connections.push(await ReplicationConnection.connect(options))
      }
      assert.match(await refused(house, 'POSTGRES_LIMIT', { wanted: few }), /max_wal_senders is 4/)
      for (const connection of connections) await connection.close()
      await bringUp(house.context({ wanted: few }))
      await bringUp(house.context())
    })

    await t.test('exhausted replication slots', async () => {
      await house.query('db1', "SELECT pg_drop_replication_slot('backstay_vault')")
      for (let index = 0; index < 9; index += 1) {
        await house.query('db1', `SELECT pg_create_physical_replication_slot('x${index}')`)
      }
      assert.match(await refused(house, 'POSTGRES_LIMIT'), /max_replication_slots is 10/)
      await house.query(
        'db1',
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'x%'",
      )
      await bringUp(house.context())
    })

    await t.test(
      'nothing when pg_hba.conf refused replication: its own lines come first',
      async () => {
        await stopAndRemove(house, 'db2')
        const path = join(directoryOf(house, 'db1'), 'pg_hba.conf')
        const text = await readFile(path, 'utf8')
        await writeFile(path, `host replication all all reject\n${text}`)
        await house.query('db1', 'SELECT pg_reload_conf()')
        await bringUp(house.context())
        const lines = (await readFile(path, 'utf8')).split('\n')
        const refusing = lines.indexOf('host replication all all reject')
        assert.ok(refusing > lines.findLastIndex((line) => line.includes('backstay_stream')))
        assert.ok((await verifyCluster(house.context())).isProved)
      },
    )

    await t.test(
      'to clone where there is no room',
      { skip: !isRoot && 'needs root' },
      async (t) => {
        await stopAndRemove(house, 'db2')
        await mkdir(db2)
        try {
          execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m,mode=700', 'tmpfs', db2], {
            stdio: 'pipe',
          })
        } catch {
          return t.skip('tmpfs cannot be mounted here')
        }
        try {
          chownSync(db2, unprivilegedUser.uid, unprivilegedUser.gid)
          assert.match(await refused(house, 'DISK_SPACE'), /32\.0 MB free/)
          assert.deepEqual(readdirSync(db2), [])
        } finally {
          execFileSync('umount', [db2])
        }
        await rm(db2, { recursive: true })
        await bringUp(house.context())
        return undefined
      },
    )

    await t.test('to build anew over data that is gone', async () => {
      await takeDown(house.context())
      for (const { directory } of wanted.servers)
        cpSync(directory, `${directory}.safe`, { recursive: true })
      for (const { directory } of wanted.servers) await rm(directory, { recursive: true })
      assert.match(await refused(house, 'DIRECTORY_GONE'), /restore/)
    })
  })
})

/** Nothing is left to do, and replication is proved. What was kept goes. */
async function isInOrder(house: House, keptAside: readonly string[]): Promise<void> {
  assert.ok((await verifyCluster(house.context())).isProved)
  assert.deepEqual((await planCluster(house.context())).plan.steps, [])
  for (const path of keptAside) await rm(path, { recursive: true })
}

/** Promotes a running standby behind Backstay's back. */
async function promote(house: House, name: string): Promise<void> {
  await house.query(name, 'SELECT pg_promote(true, 60)')
}

/** Starts a stopped standby alone and promotes it. */
async function makePrimary(house: House, name: string): Promise<void> {
  await startAlone(house, name)
  await promote(house, name)
}

async function startAlone(house: House, name: string): Promise<void> {
  await startStep(
    house.context(),
    step(name, { action: 'start' }, { title: '', reason: '' }) as never,
  )
}

async function stopAndRemove(house: House, name: string): Promise<void> {
  const directory = directoryOf(house, name)
  const pid = Number((await readFile(join(directory, 'postmaster.pid'), 'utf8')).split('\n')[0])
  process.kill(pid, 'SIGQUIT')
  while (existsSync(`/proc/${pid}/cwd`))
    await new Promise((resolve) => void setTimeout(resolve, 20))
  await rm(directory, { recursive: true })
}

test('up that is interrupted at any point is gone on with', async () => {
  await using pattern = await makeHouse({ major })
  const points: string[] = []
  await bringUp(
    pattern.context({
      crashPoint: async (name) => void points.push(name.replaceAll(pattern.path, '~')),
    }),
  )
  await using house = await makeHouse({ major })
  for (const point of points.filter((_, index) => index % 2 === 0)) {
    const control = new AbortController()
    const reason = new Error(`interrupted at ${point}`)
    const crashPoint = async (name: string): Promise<void> => {
      if (name.replaceAll(house.path, '~') === point) control.abort(reason)
    }
    // A point whose step was done before is not passed again: then the run ends well.
    await bringUp(house.context({ signal: control.signal, crashPoint })).catch((error: unknown) => {
      assert.equal(error, reason)
    })
  }
  assert.ok((await verifyCluster(house.context())).isProved)
  assert.deepEqual((await planCluster(house.context())).plan.steps, [])
})
