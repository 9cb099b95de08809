/** A pipe in the place of a file that is read, put there by whoever owns the directory, holds nobody up; a long file fills no memory. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { takeIncoming } from '../../../src/barman/wal/incoming.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { rootsFiles } from '../../../src/host/other-hands.ts'
import { claimCluster } from '../../../src/repository/cluster-repository.ts'
import { MemoryStore } from '../../harness/memory-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { pushWalFile } from '../../../src/wal/push.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'

const SEGMENT = '000000010000000000000003'
const LIMIT_MS = 60_000
const LIMIT_BYTES = 16 * 1024 * 1024
const GIB = 1024 ** 3

const { uid, gid, username, homedir } = userInfo()

/** Through the tools it is as over ssh. */
const drivers: Record<string, (path: string, limitBytes: number) => Promise<Buffer | undefined>> = {
  'by this process': async (path, limitBytes) => new LocalHost('here').readFile(path, limitBytes),
  'through the tools': async (path, limitBytes) =>
    rootsFiles({ uid, gid, name: username, home: homedir }).read(path, limitBytes),
}

for (const [driver, read] of Object.entries(drivers)) {
  describe(`files of others, read ${driver}`, () => {
    test('a pipe is refused at once, a device as well', { timeout: LIMIT_MS }, async () => {
      await using folder = temporaryDirectory()
      const fifo = join(folder.path, 'postmaster.pid')
      execFileSync('mkfifo', [fifo])
      for (const path of [fifo, '/dev/zero']) {
        await assert.rejects(read(path, LIMIT_BYTES), /no regular file/)
      }
    })

    test('files are read as before: of /proc, empty, long, absent, no file at all', async () => {
      await using folder = temporaryDirectory()
      const path = join(folder.path, '-x y')
      writeFileSync(path, '')
      assert.deepEqual(await read(path, LIMIT_BYTES), Buffer.alloc(0))
      const content = Buffer.alloc(1_000_000, 'x')
      writeFileSync(path, content)
      assert.deepEqual(await read(path, LIMIT_BYTES), content)
      await assert.rejects(read(path, 999_999), /longer than/)
      assert.match(String(await read('/proc/self/status', LIMIT_BYTES)), /^Name:/)
      assert.equal(await read(`${path}.absent`, LIMIT_BYTES), undefined)
      await assert.rejects(read(folder.path, LIMIT_BYTES), /[Dd]irectory/)
    })
  })
}

test('a pipe is not opened to find out that it is one, so no device would be', async () => {
  await using folder = temporaryDirectory()
  const fifo = join(folder.path, 'postmaster.pid')
  execFileSync('mkfifo', [fifo])
  // Opening it for writing waits for somebody who reads.
  const writer = spawn('sh', ['-c', 'exec 3>"$1" && echo opened', 'sh', fifo])
  let said = ''
  writer.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const ended = once(writer, 'close')
  try {
    await until('the writer to wait', () => waitsForReader(writer.pid), LIMIT_MS)
    await assert.rejects(new LocalHost('here').readFile(fifo, LIMIT_BYTES), /no regular file/)
    assert.ok(waitsForReader(writer.pid))
    assert.equal(said, '')
  } finally {
    writer.kill()
    await ended
  }
})

/** Whether the process sleeps in its open(2) of a pipe. */
function waitsForReader(pid = 0): boolean {
  return /wait_for_partner/.test(readFileSync(`/proc/${pid}/wchan`, 'utf8'))
}

describe('WAL that others put there', () => {
  test('is no pipe, and not longer than a segment', { timeout: LIMIT_MS }, async () => {
    await using folder = temporaryDirectory()
    const repository = await claimCluster({
      store: new MemoryStore(),
      name: 'shop',
      server: { systemIdentifier: '7', major: 18, segmentBytes: 16 * 1024 * 1024 },
      clock: systemClock,
    })
    const path = join(folder.path, SEGMENT)
    const isRefused = (text: RegExp) => (error: unknown) =>
      isBackstayError(error, 'WAL_INVALID') && text.test(error.message)
    execFileSync('mkfifo', [path])
    await assert.rejects(pushWalFile(repository, path), isRefused(/no regular file/))
    const long = join(folder.path, '00000002.history')
    writeFileSync(long, '')
    truncateSync(long, 64 * GIB)
    await assert.rejects(pushWalFile(repository, long), isRefused(/longer than 1048576 bytes/))
  })

  test(
    'is neither in the incoming directory of a Barman server',
    { timeout: LIMIT_MS },
    async () => {
      await using folder = temporaryDirectory()
      const incomingDirectory = join(folder.path, 'incoming')
      mkdirSync(incomingDirectory)
      execFileSync('mkfifo', [join(incomingDirectory, SEGMENT)])
      const history = join(incomingDirectory, '00000002.history')
      writeFileSync(history, '')
      truncateSync(history, 64 * GIB)
      const server = { incomingDirectory, archiverBatchSize: 0 }
      const taken = await takeIncoming({} as never, server as never)
      const told = Object.fromEntries(taken.map(({ name, setAside }) => [name, String(setAside)]))
      assert.match(told[SEGMENT] ?? '', /no regular file/)
      assert.match(told['00000002.history'] ?? '', /longer than/)
    },
  )
})
