/**
 * A client that asks for nothing, or takes nothing of what it asked for, gives its process on the backup server back.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { PipeClient } from '../../../src/store/pipe-client.ts'
import { requestFrame } from '../../../src/store/pipe-frames.ts'
import { temporaryDirectory } from '../../harness/postgres.ts'
import { until } from '../../harness/until.ts'

const SERVER = join(import.meta.dirname, 'pipe-process.ts')
const OBJECT_BYTES = 8 * 1024 * 1024
const LIMIT_MS = 60_000

interface Served {
  readonly child: ChildProcess & { readonly pid: number }
  readonly ended: Promise<{ code: number | null; said: string }>
}

function serve(directory: string, idleMs: number): Served {
  const child = spawn(process.execPath, [SERVER, directory, String(idleMs)], { stdio: 'pipe' })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  child.stdin.on('error', () => undefined)
  const ended = new Promise<{ code: number | null; said: string }>((resolve) => {
    // Not `close`: what it wrote stays in the pipe, because nobody takes it.
    child.on('exit', (code) => setImmediate(() => resolve({ code, said })))
  })
  return { child: child as Served['child'], ended }
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`${what} after ${LIMIT_MS} ms`)), LIMIT_MS)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

const read = (id: number): Buffer =>
  requestFrame({ id, call: 'read', with: { name: 'large', position: 0, length: OBJECT_BYTES } })

describe('a client that only holds its place', { concurrency: false }, () => {
  test('is left when it asks for nothing', async () => {
    await using folder = temporaryDirectory()
    const { child, ended } = serve(folder.path, 500)
    const { code, said } = await within(ended, 'it still serves')
    child.kill('SIGKILL')
    assert.deepEqual({ code, said }, { code: 1, said: 'INTERRUPTED\n' })
  })

  test('is left when it takes nothing of what it asked for, and cannot fill the memory', async () => {
    await using folder = temporaryDirectory()
    writeFileSync(join(folder.path, 'large'), Buffer.alloc(OBJECT_BYTES))
    const { child, ended } = serve(folder.path, 3000)
    for (let id = 1; id <= 31; id += 1) child.stdin?.write(read(id))
    let peakKib = 0
    const watch = setInterval(() => {
      peakKib = Math.max(peakKib, Number(/VmHWM:\s+(\d+)/.exec(readStatus(child.pid))?.[1] ?? 0))
    }, 50)
    const over = within(ended, 'it still serves').finally(() => {
      clearInterval(watch)
      child.kill('SIGKILL')
    })
    assert.equal((await over).code, 1)
    // 31 answers of 8 MiB would be 248 MiB.
    assert.ok(peakKib > 0 && peakKib < 200 * 1024, `${peakKib} KiB`)
  })

  test('one that goes on asking stays for longer than that', async () => {
    await using folder = temporaryDirectory()
    writeFileSync(join(folder.path, 'large'), Buffer.alloc(OBJECT_BYTES))
    await using client = new PipeClient([process.execPath, SERVER, folder.path, '2000'])
    const startedAtMs = performance.now()
    await until('five seconds of questions', async () => {
      assert.equal(await client.call('size', { name: 'large' }), OBJECT_BYTES)
      return performance.now() - startedAtMs > 5000
    })
  })
})

function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return ''
  }
}
