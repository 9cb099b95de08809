/**
 * How long the command line takes to start and to tell the status of a running trio: whole processes through bin/backstay.js.
 * Run: node bench/start.ts [rounds]
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { claimPorts } from '../test/harness/ports.ts'
import { temporaryDirectory } from '../test/harness/temporary-directory.ts'
import { runOwnCommand } from '../src/cli/demo/own-command.ts'
import { median } from './figures.ts'

const LAUNCHER = join(import.meta.dirname, '../bin/backstay.js')
const rounds = Number(process.argv[2] ?? 11)

function medianMs(words: readonly string[]): number {
  const times = Array.from({ length: rounds + 1 }, () => {
    const startedAtMs = performance.now()
    const { status, stderr } = spawnSync(process.execPath, [LAUNCHER, ...words])
    if (status !== 0) throw new Error(`backstay ${words.join(' ')} failed: ${stderr.toString()}`)
    return performance.now() - startedAtMs
  })
  // The first one fills the compile cache.
  return median(times.slice(1))
}

function tell(name: string, ms: number): void {
  console.log(`${name.padEnd(24)} ${(ms / 1000).toFixed(3)} s`)
}

tell('backstay --version', medianMs(['--version']))
tell('backstay --help', medianMs(['--help']))
await using place = temporaryDirectory()
const directory = join(place.path, 'demo')
const [port] = await claimPorts(3)
const startedAtMs = performance.now()
spawnSync(process.execPath, [
  LAUNCHER,
  'demo',
  '--once',
  '--directory',
  directory,
  '--port',
  String(port),
])
tell('backstay demo --once', performance.now() - startedAtMs)
const configFile = join(directory, 'backstay.yaml')
const run = async (...words: string[]): Promise<unknown> =>
  runOwnCommand({ configFile, words, environment: process.env }, new AbortController().signal)
await run('up')
try {
  tell('backstay status', medianMs(['status', '-c', configFile]))
  tell('backstay plan', medianMs(['plan', '-c', configFile]))
  tell('backstay up, nothing to do', medianMs(['up', '-c', configFile]))
} finally {
  await run('down')
}
