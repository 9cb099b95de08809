/**
 * A process that has said that it ends does end, with its exit code and with everything it has written, whatever its threads do.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const MODULE = join(import.meta.dirname, '../../../src/util/end-process.ts')
const TIMEOUT_MS = 20_000

function run(code: string): { status: number | null; stdout: string } {
  const program = `import { endProcess, exitNow } from ${JSON.stringify(MODULE)}\n${code}`
  const { status, stdout } = spawnSync(
    process.execPath,
    ['--input-type=module-typescript', '--eval', program],
    { encoding: 'utf8', timeout: TIMEOUT_MS, maxBuffer: 8_000_000 },
  )
  return { status, stdout }
}

test('all output comes before the end, and the exit code is the one given', () => {
  const { status, stdout } = run(
    "process.stdout.write('x'.repeat(4_000_000)); await endProcess(23)",
  )
  assert.deepEqual([status, stdout.length], [23, 4_000_000])
})

test('listeners of exit are called once, and what is still open does not hold it up', () => {
  const code = `process.on('exit', (code) => console.log('exit', code))
setInterval(() => {}, 1000)
exitNow(0)`
  assert.deepEqual(run(code), { status: 0, stdout: 'exit 0\n' })
})

test('a thread that never comes back does not hold it up', async () => {
  await using base = temporaryDirectory()
  const fifo = join(base.path, 'fifo')
  execFileSync('mkfifo', [fifo])
  // Opening a pipe nobody writes to keeps a thread of the pool for ever.
  const code = `import { open } from 'node:fs'
open(${JSON.stringify(fifo)}, 'r', () => {})
setTimeout(() => exitNow(5), 50)`
  assert.equal(run(code).status, 5)
})

test('pipes that others share are blocking again', async () => {
  const code = `import { exitNow } from ${JSON.stringify(MODULE)}
process.stdin.on('data', () => {})
process.stdout.write('')
process.stderr.write('')
setTimeout(() => exitNow(0), 100)`
  const flags = 'grep flags /proc/self/fdinfo/0 /proc/self/fdinfo/1 /proc/self/fdinfo/2'
  const script = `"$0" --input-type=module-typescript --eval "$1"; ${flags}`
  // Standard input stays open meanwhile.
  const child = spawn('sh', ['-c', script, process.execPath, code], { timeout: TIMEOUT_MS })
  let stdout = ''
  for await (const part of child.stdout) stdout += String(part)
  child.stdin.end()
  const found = [...stdout.matchAll(/flags:\s+([0-7]+)/g)].map(([, octal]) => octal ?? '')
  assert.equal(found.length, 3)
  const isNonBlocking = (octal: string): boolean => (Number.parseInt(octal, 8) & 0o4000) !== 0
  assert.deepEqual(found.filter(isNonBlocking), [])
})
