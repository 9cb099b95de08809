/**
 * Everything that can be said of the code without PostgreSQL: format, lint, types, boundaries and figures, dead code, unit tests.
 * Prints a line for each part with its time, and what a failing part said.
 */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** Scripts of package.json, the longest first so that the others fill the gaps. */
const PARTS = ['unit', 'lint', 'figures', 'dead', 'types', 'format:check']

/** Runs one part and tells how it went. */
async function runPart(name: string): Promise<boolean> {
  const startedAtMs = performance.now()
  const child = spawn('npm', ['run', '--silent', name], { cwd: ROOT })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise((resolve) => child.on('close', resolve))
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1)
  console.log(`${code === 0 ? '✓' : '✗'} ${name} (${seconds} s)`)
  if (code !== 0) console.log(output)
  return code === 0
}

/** Takes parts from the list until none is left. */
async function runLane(parts: string[]): Promise<boolean> {
  let isGood = true
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    isGood = (await runPart(part)) && isGood
  }
  return isGood
}

const waiting = [...PARTS]
const lanes = Array.from({ length: Math.min(4, availableParallelism()) }, () => runLane(waiting))
const isGood = (await Promise.all(lanes)).every(Boolean)
// Not process.exit: what a failing part said may still be on its way through a pipe.
process.exitCode = isGood ? 0 : 1
