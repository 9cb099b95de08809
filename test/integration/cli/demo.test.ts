/**
 * The demo as a newcomer runs it: a process, real servers, Ctrl-C.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { claimPort, claimPorts } from '../../harness/ports.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { LAUNCHER } from './programs.ts'

const TIMEOUT_MS = 180_000

interface Played {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs Backstay to its end; `until`: what it has to say before `meanwhile` is done and it gets SIGINT. */
async function play(
  words: readonly string[],
  until?: string,
  meanwhile: () => Promise<void> = async () => {},
): Promise<Played> {
  const child = spawn(process.execPath, [LAUNCHER, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  let interrupted = false
  let waited = Promise.resolve()
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
    if (until === undefined || interrupted || !stdout.includes(until)) return
    interrupted = true
    waited = meanwhile().finally(() => child.kill('SIGINT'))
  })
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  await waited
  return { code, stdout, stderr }
}

describe('demo', () => {
  const place = temporaryDirectory()
  const directory = join(place.path, 'demo')
  after(async () => place[Symbol.asyncDispose]())

  test('builds, proves, backs up, restores, stops, and ends with 0', async () => {
    const [port] = await claimPorts(3)
    const words = ['demo', '--once', '--directory', directory, '--port', String(port)]
    const { code, stdout, stderr } = await play(words)
    assert.equal(code, 0, `${stdout}\n${stderr}`)
    assert.match(stdout, /✓ Write a row on the primary, read it on the standby/)
    assert.match(stdout, /✓ Restore to the latest moment, open the copy, find the row/)
    assert.match(stdout, /Cluster demo: ok/)
    assert.match(stdout, /WAL receiver streaming/)
    assert.equal(existsSync(join(directory, 'db1/postmaster.pid')), false)
    assert.equal(existsSync(join(directory, 'db2/postmaster.pid')), false)
    assert.equal(existsSync(join(directory, 'restored')), false)
  })

  test('a second start goes on with the cluster, and Ctrl-C stops everything with 0', async () => {
    const { code, stdout, stderr } = await play(['demo', '--directory', directory], 'Ctrl-C stops')
    assert.equal(code, 0, `${stdout}\n${stderr}`)
    assert.doesNotMatch(stdout, /create the PostgreSQL/)
    assert.equal(existsSync(join(directory, 'db1/postmaster.pid')), false)
    const log = readFileSync(join(directory, 'serve.log'), 'utf8').trim().split('\n')
    assert.match(log.at(-1) ?? '', /"msg":"(ended|service stopped|service stops)"/)
  })

  test('while one runs, another in the same directory is refused and stops nothing', async () => {
    const { code } = await play(['demo', '--directory', directory], 'Ctrl-C stops', async () => {
      const second = await play(['demo', '--once', '--directory', directory])
      assert.match(second.stderr, /"backstay demo" is at work already: pid \d+/)
      assert.notEqual(second.code, 0)
      for (const name of ['db1', 'db2']) {
        assert.equal(existsSync(join(directory, name, 'postmaster.pid')), true, name)
      }
    })
    assert.equal(code, 0)
  })

  test('another version in the same directory is refused and changes nothing', async () => {
    const before = readFileSync(join(directory, 'backstay.yaml'), 'utf8')
    const { code, stderr } = await play(['demo', '--directory', directory, '--postgres', '15'])
    assert.equal(code, 2)
    assert.match(stderr, /it has PostgreSQL 18/)
    assert.equal(readFileSync(join(directory, 'backstay.yaml'), 'utf8'), before)
  })

  test('a directory with something else in it is refused', async () => {
    const { code, stderr } = await play(['demo', '--once', '--directory', place.path])
    assert.equal(code, 1)
    assert.match(stderr, /it is not empty, and no demo is in it/)
  })

  test('a restore with --copy-wal opens without reading the repository', async () => {
    const file = join(directory, 'backstay.yaml')
    const copy = join(place.path, 'copy')
    const words = ['restore', 'latest', copy, '--copy-wal', '-c', file]
    const { code, stderr } = await play([...words, '--start', String(await claimPort())])
    assert.equal(code, 0, stderr)
    const log = readFileSync(join(copy, 'log/backstay-start.log'), 'utf8')
    assert.match(log, /archive recovery complete/)
    assert.doesNotMatch(log, /restored log file .* from archive/)
    const settings = readFileSync(join(copy, 'postgresql.auto.conf'), 'utf8')
    assert.doesNotMatch(settings, /^restore_command/m, 'it ends with the recovery')
    const waiting = join(place.path, 'waiting')
    const made = await play(['restore', 'latest', waiting, '--copy-wal', '-c', file])
    assert.equal(made.code, 0, made.stderr)
    assert.match(
      readFileSync(join(waiting, 'postgresql.auto.conf'), 'utf8'),
      /^restore_command = false$/m,
    )
  })
})
