/**
 * What a server's machine is ordered when a restore goes onto it: the Backstay there reads the repository through the gate, tells its
 * plan as data, and restores. The gate is started by a program in ssh's place.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { wayPaths } from '../../../src/cluster/machine/way-files.ts'
import { parseRestoreTold, type RestoreTold } from '../../../src/fleet/restore-order.ts'
import { decodePlan } from '../../../src/fleet/told-plan.ts'
import { startPostgres } from '../../harness/postgres.ts'
import { startVault, type Vault } from './vault.ts'

const PROGRAM = join(import.meta.dirname, '../../../bin/backstay.js')

/** A directory with `ssh` in it, which leads to the gate. */
async function sshTo(vault: Vault): Promise<string> {
  const directory = join(vault.base, 'programs')
  await mkdir(directory)
  const gate = `gate --repository '${vault.repository.store.location}' --cluster shop --server db2`
  const script = `#!/bin/sh\nSSH_ORIGINAL_COMMAND="$4" exec '${process.execPath}' '${PROGRAM}' ${gate}\n`
  await writeFile(join(directory, 'ssh'), script, { mode: 0o755 })
  return directory
}

/** Everything it told, until it ended. */
async function order(programs: string, words: object): Promise<readonly RestoreTold[]> {
  const env = { ...process.env, PATH: `${programs}:${process.env['PATH'] ?? ''}` }
  const child = spawn(process.execPath, [PROGRAM, 'restore-here', '--json'], { env, stdio: 'pipe' })
  let complaint = ''
  child.stderr.on('data', (part: Buffer) => (complaint += part.toString()))
  // It stays open: whoever ordered it is there.
  child.stdin.write(`${JSON.stringify(words)}\n`)
  const told: RestoreTold[] = []
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) =>
    told.push(...[parseRestoreTold(line)].filter((one) => one !== undefined)),
  )
  const code = await new Promise((resolve) => child.once('close', resolve))
  assert.equal(code, 0, complaint)
  return told
}

test('an ordered restore tells its plan as data, and restores through the gate', async () => {
  await using pg = await startPostgres({ major: 18 })
  await using vault = await startVault(pg)
  const { id } = await vault.backup()
  await vault.caughtUp()
  await vault.stop()
  const programs = await sshTo(vault)
  const way = join(vault.base, 'way')
  await mkdir(way)
  await writeFile(wayPaths(way).config, '')
  const directory = join(vault.base, 'restored')
  const words = {
    cluster: 'shop',
    way,
    wish: {
      backup: 'latest',
      targetImmediate: false,
      exclusive: false,
      targetTli: 'current',
      targetAction: 'promote',
      standbyMode: false,
    },
    directory,
    tablespaces: {},
    tablespaceRoots: [],
    isDelta: false,
    allowDataLoss: false,
    keepArchiving: false,
    startTimeoutMs: 60_000,
    holdForMs: 60_000,
    program: ['backstay'],
  }
  const [planned, ...more] = await order(programs, { ...words, isPlanOnly: true })
  assert.ok(planned?.told === 'plan')
  assert.equal(decodePlan(planned.plan)?.backup.id, id)
  assert.deepEqual(more, [])
  assert.ok(!existsSync(directory), 'a plan writes nothing')
  const told = await order(programs, { ...words, isPlanOnly: false })
  const done = told.at(-1)
  assert.ok(done?.told === 'done')
  assert.equal(done.restored.files > 0 && done.opened === null, true)
  assert.ok(existsSync(join(directory, 'global/pg_control')))
})
