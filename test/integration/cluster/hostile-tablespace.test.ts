/**
 * What a server says of its tablespaces makes nothing on a standby's machine that the operator did not allow.
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { makeStandby } from '../../../src/build/clone/make-standby.ts'
import type { ClusterWanted } from '../../../src/cluster/wanted.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { openPostgres, startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { server, wish } from '../../unit/cluster/builders.ts'
import { type AddedTablespace, startMiddle } from './tablespace-in-the-middle.ts'

const OID = 99_999
const owner = unprivilegedUser.name

describe('a clone', { concurrency: false }, async () => {
  const primary = await startPostgres({ major: 18, settings: { allow_in_place_tablespaces: true } })
  const files = temporaryDirectory()
  const rootsOwn = mkdtempSync(join(tmpdir(), 'backstay-test-roots-'))
  chmodSync(rootsOwn, 0o755)
  after(async () => {
    await primary[Symbol.asyncDispose]()
    await files[Symbol.asyncDispose]()
    rmSync(rootsOwn, { recursive: true })
  })

  interface Wish {
    readonly roots?: readonly string[]
    readonly mapping?: Readonly<Record<string, string>>
    readonly port?: number
  }
  const clone = async (name: string, { roots, mapping, port }: Wish): Promise<string> => {
    const directory = join(files.path, name)
    const base = wish()
    const db1 = server('db1', { role: 'primary', port: primary.port })
    const db2 = server('db2', { directory, tablespaceMapping: mapping ?? {} })
    const wanted: ClusterWanted = {
      ...base,
      postgres: { ...base.postgres, tablespaceRoots: roots ?? [] },
      servers: [db1, db2],
    }
    const connection = { ...primary.connection, port: port ?? primary.port }
    await makeStandby(
      { wanted, server: db2, primary: db1, owner },
      {
        host: new LocalHost('localhost'),
        connection,
        clock: systemClock,
        signal: new AbortController().signal,
        progress: () => undefined,
        crashPoint: async () => undefined,
      },
    )
    return directory
  }
  const attacked = async (added: Omit<AddedTablespace, 'oid'>, wish: Wish): Promise<unknown> => {
    await using middle = await startMiddle(primary.port, { oid: OID, ...added })
    return await clone(`attacked-${Date.now()}`, { ...wish, port: middle.port }).then(
      () => undefined,
      (error: unknown) => error,
    )
  }
  const codeOf = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code
  const dropIn = { path: 'override.conf', content: '[Service]\nExecStartPre=+/bin/sh -c id\n' }

  test('makes no directory that only the server names', async () => {
    const location = join(rootsOwn, 'postgresql.service.d')
    const error = await attacked({ location, file: dropIn }, {})
    assert.equal(codeOf(error), 'DIRECTORY_FOREIGN')
    assert.match(String(error), new RegExp(`tablespace in "${location}", which is named nowhere`))
    assert.equal(existsSync(location), false)
  })

  test(
    'gives away no empty directory that is there',
    { skip: !isRoot && 'needs root' },
    async () => {
      const location = join(rootsOwn, 'sshd_config.d')
      mkdirSync(location)
      const refused = await attacked({ location, file: dropIn }, {})
      assert.equal(codeOf(refused), 'DIRECTORY_FOREIGN')
      const allowed = await attacked({ location, file: dropIn }, { roots: [rootsOwn] })
      assert.equal(codeOf(allowed), 'DIRECTORY_OWNER')
      assert.equal(statSync(location).uid, 0)
      assert.deepEqual(readdirSync(location), [])
    },
  )

  test(
    'makes what is allowed as PostgreSQL’s user, not as root',
    { skip: !isRoot && 'needs root' },
    async () => {
      const location = join(rootsOwn, 'new')
      const error = await attacked({ location, file: dropIn }, { roots: [rootsOwn] })
      assert.equal(codeOf(error), 'HOST_COMMAND')
      assert.match(String(error), /mkdir.*Permission denied/)
      assert.equal(existsSync(location), false)
    },
  )

  test('writes nothing into a tablespace but what PostgreSQL has there', async () => {
    const location = join(files.path, 'allowed')
    const wish = { roots: [files.path] }
    for (const path of ['override.conf', 'PG_17_202406281/5/1', '../escape', 'PG_18_202506291']) {
      const error = await attacked({ location, file: { path, content: 'x' } }, wish)
      if (path === 'PG_18_202506291') assert.equal(error, undefined)
      else assert.match(String(codeOf(error)), /^(POSTGRES_PROTOCOL|FAILED)$/, path)
      assert.deepEqual(
        existsSync(location) ? readdirSync(location) : [],
        path === 'PG_18_202506291' ? [path] : [],
      )
    }
    assert.equal(existsSync(join(files.path, 'escape')), false)
  })

  test('takes a tablespace that lies below an allowed directory, and one in the data directory itself', async () => {
    const location = join(files.path, 'spaces', 'one')
    mkdirSync(location, { recursive: true })
    if (isRoot) {
      chownSync(join(files.path, 'spaces'), unprivilegedUser.uid, unprivilegedUser.gid)
      chownSync(location, unprivilegedUser.uid, unprivilegedUser.gid)
    }
    await primary.query(`CREATE TABLESPACE one LOCATION '${location}'`)
    await primary.query("CREATE TABLESPACE within LOCATION ''")
    for (const space of ['one', 'within']) {
      await primary.query(
        `CREATE TABLE in_${space} TABLESPACE ${space} AS SELECT generate_series(1, 500) AS n`,
      )
    }
    const mapping = { [location]: join(files.path, 'copies', 'one') }
    const directory = await clone('standby', { mapping, roots: [] })
    assert.equal(readdirSync(join(files.path, 'copies', 'one')).length, 1)
    const { port, password } = primary
    const way = `host=127.0.0.1 port=${port} user=postgres password=${password}`
    const settings = { primary_conninfo: way, primary_slot_name: '', logging_collector: false }
    await using copy = await openPostgres({ major: 18, directory, settings })
    for (const space of ['one', 'within']) {
      assert.deepEqual(await copy.query(`SELECT count(*)::int AS n FROM in_${space}`), [{ n: 500 }])
    }
  })
})
