/**
 * The program as a process: exit codes, what goes to which stream, and what signals do.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Ended, type Running, start } from './programs.ts'

const PROGRAM = join(import.meta.dirname, 'waiting-program.ts')

function run(...words: string[]): Running {
  return start([process.execPath, PROGRAM, ...words])
}

function end(...words: string[]): Promise<Ended> {
  return run(...words).ended
}

test('a result is text, or one JSON object with --json; progress is lines in a pipe', async () => {
  const text = await end('task')
  assert.match(text.stdout, /^✓ Think \(0\.\d s\)\nthought\nanswer 42\n$/)
  assert.deepEqual([text.code, text.stderr], [0, ''])
  assert.equal((await end('task', '--json')).stdout, '{"answer":42}\n')
  assert.equal((await end('task', '--quiet')).stdout, 'answer 42\n')
})

test('a command can end with a code of its own', async () => {
  assert.equal((await end('partly')).code, 3)
})

test('an error is text on stderr with its hint, and its exit code', async () => {
  const { code, stdout, stderr } = await end('fail')
  assert.deepEqual([code, stdout], [21, ''])
  assert.equal(
    stderr,
    'Error: Cannot log in to "db1"\n  because: password=*** was refused\nHint: Check password file and role.\n',
  )
})

test('with --json an error is one JSON object on stderr, without secrets', async () => {
  const { code, stdout, stderr } = await end('--json', 'fail')
  assert.deepEqual([code, stdout], [21, ''])
  assert.deepEqual(JSON.parse(stderr), {
    error: {
      code: 'POSTGRES_AUTH',
      message: 'Cannot log in to "db1"',
      hint: 'Check password file and role.',
      details: { causes: ['password=*** was refused'] },
    },
  })
})

test('--verbose says where an error arose', async () => {
  assert.match((await end('fail', '--verbose')).stderr, /Hint: .*\n.* {4}at .*waiting-program\.ts/s)
})

test('a wrong command line ends with 2 and says so on stderr', async () => {
  const { code, stdout, stderr } = await end('fial')
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /^Error: Cannot read the command line: unknown command "fial"/)
  assert.equal(JSON.parse((await end('fial', '--json')).stderr).error.code, 'USAGE')
})

test('a bug ends with 70 and its stack', async () => {
  for (const command of ['bug', 'stray']) {
    const { code, stderr } = await end(command)
    assert.equal(code, 70)
    assert.match(stderr, /^Error: This is a bug in Backstay.*\nTypeError: .*\n {4}at /)
  }
})

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(`${signal} lets the command stop and ends with ${code}`, async () => {
    const program = run('wait')
    await program.said('waiting')
    program.child.kill(signal)
    const ended = await program.ended
    assert.equal(ended.code, code)
    assert.equal(ended.stdout, 'waiting\nstopping\n')
    assert.match(ended.stderr, new RegExp(`^Error: Interrupted by ${signal}\n`))
  })
}

test('an aborted wait is an interruption, not a bug', async () => {
  const program = run('sleep')
  await program.said('waiting')
  program.child.kill('SIGINT')
  const { code, stderr } = await program.ended
  assert.equal(code, 130)
  assert.match(stderr, /^Error: Interrupted by SIGINT\n/)
})

test('a command that ends well after a signal has ended well', async () => {
  const program = run('graceful')
  await program.said('waiting')
  program.child.kill('SIGINT')
  assert.equal((await program.ended).code, 0)
})

test('a second SIGINT ends a command that does not stop', async () => {
  const program = run('stubborn')
  await program.said('waiting')
  program.child.kill('SIGINT')
  await program.said('stopping')
  // The same key press can arrive twice (see interrupts.ts): signals go on until one is a second one. One that comes while the process
  // ends would end the shell that it has become, instead of its exit code.
  const again = setInterval(() => program.child.kill('SIGINT'), 1000)
  const { code } = await program.ended
  clearInterval(again)
  assert.equal(code, 130)
})

test('everything written has left the process when it ends', async () => {
  const { stdout } = await end('much')
  assert.equal(stdout.length, 4_000_001)
})

test('a reader that goes away ends the command with 141', async () => {
  const program = run('endless')
  await program.said('y')
  program.child.stdout?.destroy()
  assert.equal((await program.ended).code, 141)
})

test('a full disk behind standard output is an error that says so, not a bug', async () => {
  const { code, stderr } = await start([
    '/bin/sh',
    '-c',
    'exec "$0" "$1" much >/dev/full',
    process.execPath,
    PROGRAM,
  ]).ended
  assert.match(stderr, /^Error: Cannot write to standard output: no space left on the device\n/)
  assert.equal(code, 1)
})

test('a daemon goes on when its session goes away', async () => {
  const program = run('daemon')
  await program.said('waiting')
  program.child.kill('SIGHUP')
  // SIGTERM comes after it: were SIGHUP heeded, it would be named.
  program.child.kill('SIGTERM')
  const { code, stderr } = await program.ended
  assert.equal(code, 143)
  assert.match(stderr, /^Error: Interrupted by SIGTERM\n/)
})
