/**
 * initdb, start, stop, reload, promote on real servers of every major of the matrix, and what goes wrong there.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { describe, test } from 'node:test'
import { Client } from 'pg'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { initializeCluster } from '../../../src/host/initdb.ts'
import {
  promoteServer,
  reloadServer,
  restartServer,
  startServer,
  stopServer,
} from '../../../src/host/postgres-control.ts'
import type { PostgresInstance } from '../../../src/host/postgres-instance.ts'
import { findPostmaster } from '../../../src/host/postmaster.ts'
import type { PostgresMajor } from '../../../src/postgres/version.ts'
import { versionFacts } from '../../../src/postgres/version.ts'
import { claimPort } from '../../harness/ports.ts'
import { makeCluster, testInstance } from '../../harness/postgres-instance.ts'
import { matrixMajors, temporaryDirectory } from '../../harness/postgres.ts'
import { TEST_PASSWORD } from '../../harness/template.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'

const EVIL_PASSWORD = "it's a \\ secret $(id)"

interface Lab extends AsyncDisposable {
  readonly instance: PostgresInstance
  readonly port: number
  readonly logFile: string
  readonly timeoutMs: number
  ask(sql: string): Promise<string | undefined>
}

/** A cluster in a place with an evil name: made by initdb with `password` when given, else copied from a template. */
async function lab(major: PostgresMajor, password?: string): Promise<Lab> {
  const base = temporaryDirectory()
  const instance = await testInstance(major, `${base.path}/data 'of' $db1`)
  const port = await claimPort()
  const place = { port, socketDirectory: `${base.path}/s`, password }
  await makeCluster(instance, place)
  return {
    instance,
    port,
    logFile: `${base.path}/the "logs" of $db1/db1.log`,
    timeoutMs: 30_000,
    ask: (sql) => ask({ port, password: password ?? TEST_PASSWORD }, sql),
    async [Symbol.asyncDispose]() {
      await stopServer(instance, { timeoutMs: 10_000, mode: 'immediate' })
      await base[Symbol.asyncDispose]()
    },
  }
}

async function ask(
  where: { port: number; password: string },
  sql: string,
): Promise<string | undefined> {
  const options = {
    host: '127.0.0.1',
    ...where,
    user: 'postgres',
    database: 'postgres',
  }
  const client = new Client({ ...options, connectionTimeoutMillis: 5000 })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, string>>(sql)
    return Object.values(rows[0] ?? {})[0]
  } finally {
    await client.end()
  }
}

for (const major of matrixMajors()) {
  describe(`PostgreSQL ${major}`, () => {
    test('a cluster is made, started, reloaded, restarted and stopped', async () => {
      await using server = await lab(major, EVIL_PASSWORD)
      const { instance } = server
      assert.equal(await findPostmaster(instance.host, instance.directory), undefined)
      assert.equal(await stopServer(instance, server), false)
      assert.equal(await reloadServer(instance), false)

      const started = await startServer(instance, server)
      assert.equal(started.state, 'ready')
      assert.equal(started.port, server.port)
      assert.deepEqual(await startServer(instance, server), started)
      assert.equal(await server.ask('SHOW data_checksums'), 'on')
      assert.equal(
        await server.ask('SELECT pg_encoding_to_char(encoding) FROM pg_database LIMIT 1'),
        'UTF8',
      )

      await appendFile(`${instance.directory}/postgresql.conf`, "work_mem = '7MB'\n")
      assert.equal(await reloadServer(instance), true)
      await until('the reload', async () => (await server.ask('SHOW work_mem')) === '7MB')

      const restarted = await restartServer(instance, server)
      assert.notEqual(restarted.pid, started.pid)
      assert.equal(await stopServer(instance, server), true)
      assert.equal(await findPostmaster(instance.host, instance.directory), undefined)
    })

    test('a standby is promoted; what is no standby is not', async () => {
      await using server = await lab(major)
      const { instance, timeoutMs } = server
      const signal = versionFacts(major).recoveryConf ? 'recovery.conf' : 'standby.signal'
      const content = versionFacts(major).recoveryConf ? "standby_mode = 'on'\n" : ''
      const owner = { owner: instance.user, mode: 0o600 }
      await instance.host.writeFile(`${instance.directory}/${signal}`, content, owner)
      assert.equal((await startServer(instance, server)).state, 'ready')
      assert.equal(await server.ask('SELECT pg_is_in_recovery()::text'), 'true')
      await promoteServer(instance, { timeoutMs })
      assert.equal(await server.ask('SELECT pg_is_in_recovery()::text'), 'false')
      await refuses('HOST_COMMAND', promoteServer(instance, { timeoutMs }), /not in standby mode/)
    })

    test('a server starts by itself after its postmaster was killed', async () => {
      await using server = await lab(major)
      const { instance } = server
      const { pid } = await startServer(instance, server)
      process.kill(pid, 'SIGKILL')
      await until('the postmaster to be gone', async () => {
        return (await findPostmaster(instance.host, instance.directory)) === undefined
      })
      assert.equal((await startServer(instance, server)).state, 'ready')
    })

    test('a taken port is reported with the pid and program that has it', async () => {
      await using server = await lab(major)
      const holder = createServer().unref()
      await new Promise<void>((resolve) => void holder.listen(server.port, '127.0.0.1', resolve))
      const start = startServer(server.instance, server)
      await refuses('PORT_IN_USE', start, new RegExp(`port ${server.port} .*pid ${process.pid}\\b`))
      await new Promise((resolve) => holder.close(resolve))
    })

    test('a server that cannot start says why', async () => {
      await using server = await lab(major)
      await appendFile(`${server.instance.directory}/postgresql.conf`, 'work_mem = lots\n')
      await refuses('HOST_COMMAND', startServer(server.instance, server), /work_mem/)
      const log = await readFile(server.logFile, 'utf8')
      assert.match(log, /work_mem/)
    })
  })
}

describe('what goes wrong', () => {
  const major = matrixMajors().at(-1)
  const options = major === undefined ? { skip: 'no PostgreSQL is installed for tests' } : {}
  const newest = major as PostgresMajor

  test(
    'initdb refuses a directory with something in it and leaves that alone',
    options,
    async () => {
      await using base = temporaryDirectory()
      const instance = await testInstance(newest, `${base.path}/data`)
      await instance.host.writeFile(`${base.path}/data2`, 'x')
      await instance.host.makeDirectory(instance.directory)
      await writeFile(`${instance.directory}/precious`, 'x')
      const place = { port: 1, socketDirectory: base.path, password: 'x' }
      await refuses('DIRECTORY_FOREIGN', makeCluster(instance, place), /precious/)
      assert.deepEqual(await instance.host.list(instance.directory), ['precious'])
    },
  )

  test('initdb says what it did not like', options, async () => {
    await using base = temporaryDirectory()
    const instance = await testInstance(newest, `${base.path}/data`)
    const wish = {
      superuser: 'postgres',
      password: 'x',
      encoding: 'UTF8',
      locale: 'xx_NOWHERE',
      checksums: true,
      segmentBytes: 16 * 1024 * 1024,
      authentication: 'md5',
    } as const
    await refuses('HOST_COMMAND', initializeCluster(instance, wish), /xx_NOWHERE/)
  })

  test(
    'a server that something else has just started is waited for until it takes connections',
    options,
    async () => {
      await using server = await lab(newest)
      const { host, directory, user, binaries } = server.instance
      await startServer(server.instance, server)
      await stopServer(server.instance, server)
      // A standby that has to ask for its WAL, and gets no answer for a second each time.
      const slow = "restore_command = 'sleep 1; false'\nhot_standby = on\n"
      await appendFile(`${directory}/postgresql.conf`, slow)
      await host.writeFile(`${directory}/standby.signal`, '', { owner: user })
      const owner = isRoot ? { uid: unprivilegedUser.uid, gid: unprivilegedUser.gid } : {}
      const { directory: programs } = binaries
      spawn(`${programs}/postgres`, ['-D', directory], { ...owner, stdio: 'ignore' }).unref()
      await until('its postmaster', async () => findPostmaster(host, directory))
      await startServer(server.instance, server)
      assert.equal(await server.ask('SELECT pg_is_in_recovery()::text'), 'true')
    },
  )

  test(
    'a stale postmaster.pid that names another living process is no running server',
    options,
    async () => {
      await using server = await lab(newest)
      const { host, directory, user } = server.instance
      const write = async (pid: number): Promise<void> =>
        host.writeFile(`${directory}/postmaster.pid`, `${pid}\n${directory}\n1\n`, { owner: user })
      await write(process.pid)
      assert.equal(await findPostmaster(host, directory), undefined)
      assert.equal(await stopServer(server.instance, server), false)
      await write(2 ** 22 - 1)
      assert.equal(await findPostmaster(host, directory), undefined)
      await host.writeFile(`${directory}/postmaster.pid`, '', { owner: user })
      assert.equal(await findPostmaster(host, directory), undefined)
    },
  )

  test("another server's postmaster does not count for this directory", options, async () => {
    await using one = await lab(newest)
    await using two = await lab(newest)
    await startServer(one.instance, one)
    const pidFile = await readFile(`${one.instance.directory}/postmaster.pid`, 'utf8')
    const { host, directory, user } = two.instance
    await host.writeFile(`${directory}/postmaster.pid`, pidFile, { owner: user })
    assert.equal(await findPostmaster(host, directory), undefined)
    assert.equal(await stopServer(two.instance, two), false)
    assert.equal(await one.ask('SELECT 1::text'), '1')
  })

  test(
    'a server that goes on recovering past the time is reported as still starting',
    options,
    async () => {
      await using server = await lab(newest)
      const { instance } = server
      await startServer(instance, server)
      await stopServer(instance, { timeoutMs: 10_000, mode: 'immediate' })
      const conf = `${instance.directory}/postgresql.conf`
      await appendFile(conf, "restore_command = 'sleep 600'\n")
      const owner = { owner: instance.user, mode: 0o600 }
      await instance.host.writeFile(`${instance.directory}/recovery.signal`, '', owner)
      const start = startServer(instance, { ...server, timeoutMs: 2000 })
      await refuses('TIMEOUT', start, /still starting with pid \d+/)
      await stopServer(instance, { timeoutMs: 10_000, mode: 'immediate' })
    },
  )

  test('a stop that takes too long says that it goes on', options, async () => {
    await using server = await lab(newest)
    await startServer(server.instance, server)
    const client = new Client({
      host: '127.0.0.1',
      port: server.port,
      user: 'postgres',
      password: TEST_PASSWORD,
      database: 'postgres',
    })
    client.on('error', () => undefined)
    await client.connect()
    const stop = stopServer(server.instance, { mode: 'smart', timeoutMs: 1000 })
    await refuses('TIMEOUT', stop, /still shutting down/)
    await client.end()
    await until('the smart stop to end', async () => {
      return (await findPostmaster(server.instance.host, server.instance.directory)) === undefined
    })
  })

  test('a log that the collector took over is followed', options, async () => {
    await using server = await lab(newest)
    const { instance } = server
    const lines = "logging_collector = on\nlog_directory = 'log'\nrestore_command = 'true'\n"
    await appendFile(`${instance.directory}/postgresql.conf`, lines)
    await rm(`${instance.directory}/global/pg_control`)
    await assert.rejects(startServer(instance, server), /pg_control/)
  })

  test('an abort ends the wait for a start', options, async () => {
    await using server = await lab(newest)
    const controller = new AbortController()
    controller.abort(new Error('interrupted'))
    const start = startServer(server.instance, { ...server, signal: controller.signal })
    await assert.rejects(start, /interrupted/)
  })
})

async function refuses(code: string, work: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    if (!isBackstayError(error) || error.code !== code) throw error
    assert.match(error.message, message)
    assert.ok(!error.message.includes(EVIL_PASSWORD))
    return true
  })
}
