/**
 * A machine in other hands that sends without end, and never the line with which a command's own output begins.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runOrdered } from '../../../src/fleet/order-line.ts'
import { SshHost } from '../../../src/host/ssh-host.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

/** Stands for OpenSSH: the first command is answered. */
const SSH = `#!/bin/sh
case " $* " in *" -O "*) exit 0 ;; esac
for last; do :; done
[ -e "$HOME/seen" ] || { : >"$HOME/seen"; exec sh -c "$last"; }
exec cat /dev/zero
`

test('it is left with an error, and what it sends is not kept', { timeout: 60_000 }, async () => {
  await using home = temporaryDirectory()
  writeFileSync(join(home.path, 'ssh'), SSH, { mode: 0o755 })
  const environment = { PATH: `${home.path}:/usr/bin:/bin`, HOME: home.path }
  const host = await SshHost.connect({
    name: 'db1',
    address: 'db1',
    environment,
    clock: systemClock,
  })
  const before = process.memoryUsage().rss
  const { signal } = new AbortController()
  const order = { order: {}, hear: () => assert.fail('nothing is told'), signal }
  await assert.rejects(runOrdered(host, ['backstay', 'clone-here', '--json'], order), {
    code: 'HOST_COMMAND',
    message: /on "db1": more than 64\.0 kB came before its own output/,
  })
  assert.ok(process.memoryUsage().rss - before < 100 * 1024 ** 2)
  await host.close()
})
