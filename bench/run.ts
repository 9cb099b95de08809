/**
 * Runs benchmarks one after the other: those named, or all. Each can be run alone: node bench/<name>.ts
 * Run: npm run bench -- [name]...
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const ALL = [
  'start',
  'receive',
  'clone',
  'backup',
  'restore',
  'wal',
  'many-files',
  'switchover',
  'failover',
] as const

const named = process.argv.slice(2)
for (const name of named.length === 0 ? ALL : named) {
  console.log(`\n# ${name}`)
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, `${name}.ts`)], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exitCode = 1
}
