/**
 * A server, or whoever stands in its place, that says its configuration or data directory is another's file: root reads nothing there, writes
 * nothing there, and the plan stops.
 */
import assert from 'node:assert/strict'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { ClusterContext } from '../../../src/cluster/context.ts'
import { bringUp } from '../../../src/build/up.ts'
import { renderErrorText } from '../../../src/errors/render.ts'
import type { ServerWanted } from '../../../src/cluster/wanted.ts'
import { claimPort } from '../../harness/ports.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { makeHouse } from './house.ts'

const MARK = 'root:$y$j9T$marked-secret:20000::::::'
const LONG_AGO_S = 1_000_000

/** Stands between Backstay and the server and gives other values for some in the rows of answers. */
async function standBetween(
  target: number,
  lies: ReadonlyMap<string, string>,
): Promise<AsyncDisposable & { readonly port: number; told(): number }> {
  const port = await claimPort()
  const sockets = new Set<Socket>()
  let told = 0
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => [client, upstream].forEach((each) => each.destroy()))
    }
    client.pipe(upstream)
    let pending = Buffer.alloc(0)
    upstream.on('data', (chunk: Buffer) => {
      // The answer to a wish for encryption is one letter.
      if (pending.length === 0 && chunk.length === 1) {
        client.write(chunk)
        return
      }
      pending = Buffer.concat([pending, chunk])
      while (pending.length >= 5 && pending.length >= pending.readUInt32BE(1) + 1) {
        const end = pending.readUInt32BE(1) + 1
        const message = pending.subarray(0, end)
        pending = pending.subarray(end)
        client.write(message[0] === 0x44 ? lying(message) : message)
      }
    })
  })
  /** A DataRow: values with their lengths. */
  const lying = (message: Buffer): Buffer => {
    const parts: Buffer[] = []
    let at = 7
    for (let column = message.readUInt16BE(5); column > 0; column -= 1) {
      const length = message.readInt32BE(at)
      const value = length < 0 ? undefined : message.subarray(at + 4, at + 4 + length)
      at += 4 + Math.max(0, length)
      const lie = value && lies.get(value.toString())
      if (lie !== undefined) told += 1
      const said = lie === undefined ? value : Buffer.from(lie)
      const head = Buffer.alloc(4)
      head.writeInt32BE(said?.length ?? -1)
      parts.push(head, said ?? Buffer.alloc(0))
    }
    const body = Buffer.concat([message.subarray(5, 7), ...parts])
    const head = Buffer.from('D\0\0\0\0')
    head.writeUInt32BE(body.length + 4, 1)
    return Buffer.concat([head, body])
  }
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  return {
    port,
    told: () => told,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

describe('up against a server that names files of others', { skip: !isRoot }, () => {
  test('reads nothing, writes nothing, and stops', async () => {
    await using house = await makeHouse({ major: 18, standbys: 0 })
    await bringUp(house.context())
    const db1 = house.wanted.servers[0] as ServerWanted
    const roots = mkdtempSync(join(tmpdir(), 'backstay-test-roots-'))
    try {
      const [shadow, others, planted] = ['shadow', 'others', 'cron.d/x'].map((name) =>
        join(roots, name),
      ) as [string, string, string]
      mkdirSync(join(roots, 'cron.d'))
      const files = [shadow, others]
      for (const path of files) {
        writeFileSync(path, `${MARK}\n`, { mode: 0o600 })
        utimesSync(path, LONG_AGO_S, LONG_AGO_S)
      }
      chownSync(others, unprivilegedUser.uid + 1, unprivilegedUser.gid + 1)
      const before = files.map((path) => statSync(path))
      const [main, hba] = [
        join(db1.directory, 'postgresql.conf'),
        join(db1.directory, 'pg_hba.conf'),
      ]
      // Something to do, so that a place that is believed would be written.
      const { postgres } = house.wanted
      const parameters = { ...postgres.parameters, work_mem: '5MB' }
      const access = ['host all all 10.0.0.0/8 reject']
      const wanted = { ...house.wanted, postgres: { ...postgres, parameters, access } }
      for (const [real, lie] of [
        [main, shadow],
        [main, others],
        [main, planted],
        [hba, shadow],
        [hba, others],
        [hba, planted],
        [db1.directory, roots],
      ] as const) {
        house.events.length = 0
        await using middle = await standBetween(db1.port, new Map([[real, lie]]))
        // Where packets to the server's address go is the network's choice.
        const context: ClusterContext = {
          ...house.context({ wanted }),
          reachAddress: () => Promise.resolve({ host: '127.0.0.1', port: middle.port }),
          reach: () => Promise.resolve(),
          socketDirectoryOf: () => undefined,
        }
        const outcome = await bringUp(context).then(
          (value) =>
            JSON.stringify(value, (_, item: unknown) =>
              typeof item === 'bigint' ? String(item) : item,
            ),
          (error: unknown) => renderErrorText(error),
        )
        assert.ok(middle.told() > 0, `the lie about ${real} was not heard`)
        const said = `${outcome}\n${JSON.stringify(house.events)}`
        assert.ok(!said.includes('marked-secret'), said)
        if (real !== db1.directory) assert.ok(outcome.includes(lie), outcome)
        for (const [index, path] of files.entries()) {
          const now = statSync(path)
          const { mtimeMs, atimeMs, uid, gid, mode, ino, ctimeMs } = now
          const known = before[index]
          assert.deepEqual(
            { mtimeMs, atimeMs, uid, gid, mode, ino, ctimeMs },
            {
              mtimeMs: known?.mtimeMs,
              atimeMs: known?.atimeMs,
              uid: known?.uid,
              gid: known?.gid,
              mode: known?.mode,
              ino: known?.ino,
              ctimeMs: known?.ctimeMs,
            },
            `${path} after ${real} was said to be ${lie}`,
          )
        }
        assert.equal(existsSync(planted), false)
      }
      for (const path of files) assert.equal(readFileSync(path, 'utf8'), `${MARK}\n`)
    } finally {
      rmSync(roots, { recursive: true })
    }
  })
})
