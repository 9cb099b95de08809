/**
 * Hook scripts: their order, what they are told, and which exit codes decide.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { withHooks } from '../../../src/barman/hooks.ts'
import type { BarmanContext } from '../../../src/barman/context.ts'
import { BarmanOutput } from '../../../src/barman/output/output.ts'
import type { BarmanServer } from '../../../src/config/barman/model.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

function place(options: Record<string, string>): Parameters<typeof withHooks<string>>[0] {
  const lines: string[] = []
  const stream = { write: (text: string) => lines.push(text) }
  const output = new BarmanOutput({
    format: 'console',
    isQuiet: false,
    isColoured: false,
    stdout: stream,
    stderr: stream,
    log: { write: () => {} },
  })
  const config = { file: '/etc/barman.conf' }
  const context = {
    output,
    config,
    clock: { ...systemClock, sleep: async () => {} },
    signal: new AbortController().signal,
    environment: { PATH: '/usr/bin:/bin' },
  } as unknown as BarmanContext
  const server = {
    name: 'pg',
    options: new Map(Object.entries(options)),
  } as unknown as BarmanServer
  const variables = (result: string | undefined): Record<string, string> => ({
    BARMAN_BACKUP_ID: result ?? '',
  })
  return { context, server, name: 'backup', variables }
}

test('scripts run around the work in Barman’s order and are told what happened', async () => {
  await using base = temporaryDirectory()
  const file = join(base.path, 'said')
  const say = `echo "$BARMAN_PHASE $BARMAN_HOOK $BARMAN_SERVER [$BARMAN_BACKUP_ID] $BARMAN_ERROR" >> ${file}`
  const options = {
    pre_backup_script: `${say}; exit 1`,
    pre_backup_retry_script: say,
    post_backup_retry_script: say,
    post_backup_script: say,
  }
  assert.equal(await withHooks(place(options), async () => Promise.resolve('ID')), 'ID')
  await assert.rejects(
    withHooks(place(options), () => Promise.reject(new Error('no space'))),
    /no space/,
  )
  assert.deepEqual((await readFile(file, 'utf8')).trimEnd().split('\n'), [
    'pre backup_script pg [] ',
    'pre backup_retry_script pg [] ',
    'post backup_retry_script pg [ID] ',
    'post backup_script pg [ID] ',
    'pre backup_script pg [] ',
    'pre backup_retry_script pg [] ',
    'post backup_retry_script pg [] no space',
    'post backup_script pg [] no space',
  ])
})

test('63 before the work stops it, 62 does not, anything else is tried again', async () => {
  const never = (): Promise<string> => Promise.reject(new Error('ran'))
  const stop = place({ pre_backup_retry_script: 'exit 63' })
  await assert.rejects(withHooks(stop, never), /pre_backup_retry_script asked to stop/)
  const goOn = place({ pre_backup_retry_script: 'exit 62' })
  await assert.rejects(withHooks(goOn, never), /ran/)
  await using base = temporaryDirectory()
  const count = join(base.path, 'n')
  const twice = `echo x >> ${count}; test $(wc -l < ${count}) -ge 3`
  await withHooks(place({ pre_backup_retry_script: twice }), async () => Promise.resolve(''))
  assert.equal((await readFile(count, 'utf8')).length, 6)
})
