/**
 * bin/backstay.js starts the program on Node.js 24, whatever Node.js it is started with.
 */
import assert from 'node:assert/strict'
import { cp, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { backstay, LAUNCHER, olderNode, ROOT, start } from './programs.ts'

const older = olderNode()
const skip = older === undefined && 'no Node.js older than 24 on this machine'

/** A checkout whose program is test/integration/cli/waiting-program.ts. */
async function makeCheckout(directory: string): Promise<string> {
  await mkdir(join(directory, 'src/cli'), { recursive: true })
  await cp(dirname(LAUNCHER), join(directory, 'bin'), { recursive: true })
  await cp(join(ROOT, 'package.json'), join(directory, 'package.json'))
  const program = join(import.meta.dirname, 'waiting-program.ts')
  await writeFile(
    join(directory, 'src/cli/main.ts'),
    `export { main } from ${JSON.stringify(program)}\n`,
  )
  return join(directory, 'bin/backstay.js')
}

test('--version answers at once', async () => {
  const { code, stdout } = await backstay(['--version'])
  assert.equal(code, 0)
  assert.match(stdout, /^backstay \d+\.\d+\.\d+\n$/)
})

test('--version and --help answer under an older Node.js', { skip }, async () => {
  const version = await start([older ?? '', LAUNCHER, '--version']).ended
  assert.match(version.stdout, /^backstay \d/)
  const help = await start([older ?? '', LAUNCHER, '--help']).ended
  assert.deepEqual([help.code, help.stderr], [0, ''])
  assert.match(help.stdout, /^Usage: backstay /)
})

test('exit codes and streams pass through the older Node.js', { skip }, async () => {
  const ended = await start([older ?? '', LAUNCHER, 'config', '--json']).ended
  assert.deepEqual([ended.code, ended.stdout], [2, ''])
  assert.equal(JSON.parse(ended.stderr).error.code, 'USAGE')
})

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} to the older Node.js stops the program in good order`, { skip }, async () => {
    await using directory = temporaryDirectory()
    const launcher = await makeCheckout(directory.path)
    await symlink(join(ROOT, 'node_modules'), join(directory.path, 'node_modules'))
    const program = start([older ?? '', launcher, 'wait'])
    await program.said('waiting')
    program.child.kill(signal)
    const ended = await program.ended
    assert.deepEqual([ended.code, ended.stdout], [code, 'waiting\nstopping\n'])
  })
}

test('a key press that reaches both processes counts once', { skip }, async () => {
  await using directory = temporaryDirectory()
  const launcher = await makeCheckout(directory.path)
  await symlink(join(ROOT, 'node_modules'), join(directory.path, 'node_modules'))
  // A process group of its own, as a shell gives each command: the signal goes to launcher and program.
  const program = start(['setsid', older ?? '', launcher, 'wait'])
  await program.said('waiting')
  process.kill(-(program.child.pid ?? Number.NaN), 'SIGINT')
  const ended = await program.ended
  assert.deepEqual([ended.code, ended.stdout], [130, 'waiting\nstopping\n'])
})

test('without Node.js 24 the error says what is missing', { skip }, async () => {
  await using directory = temporaryDirectory()
  const launcher = await makeCheckout(directory.path)
  const ended = await start([older ?? '', launcher, 'wait']).ended
  assert.deepEqual([ended.code, ended.stdout], [1, ''])
  assert.match(ended.stderr, /^Error: Backstay needs Node\.js 24 or newer: this is v\d+.*\nHint: /)
})

test('a program that cannot be loaded stops a recovery, but not a standby', async () => {
  await using directory = temporaryDirectory()
  const launcher = await makeCheckout(directory.path)
  await rm(join(directory.path, 'src/cli/main.ts'))
  const end = async (...words: string[]): Promise<number | null> =>
    (await start([process.execPath, launcher, ...words]).ended).code
  assert.equal(await end('wal', 'get', '000000010000000000000001', 'there'), 126)
  assert.equal(await end('wal', 'get', '--standby', '000000010000000000000001', 'there'), 1)
  assert.equal(await end('status'), 1)
})
