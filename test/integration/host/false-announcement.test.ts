/**
 * Ending a command on another machine ends that command and nothing else, whatever pid its own user announces: he may be anybody there, and
 * who ends it is root.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { SshHost } from '../../../src/host/ssh-host.ts'
import { endCommand } from '../../../src/host/ssh-script.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'

/** Stands for OpenSSH, with a command that announces the pid in "victim" in the place of its own. */
const SSH = `#!/bin/sh
case " $* " in *" -O "*) exit 0 ;; esac
for last; do :; done
exec 3>&1
sh -c "$last" 2>&1 >&3 | sed -u "s/ pid [0-9]*\\$/ pid $(cat "$HOME/victim")/" >&2
`
const nonce = randomBytes(16).toString('hex')
const WAITING = ['sh', '-c', 'sleep 60; :', 'sh']

const started: ChildProcess[] = []
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
})

type Running = ChildProcess & { readonly pid: number }

/** Starts `command`, and waits until that is what runs: before, it is `by`, or still this process. */
async function start(command: readonly string[], by: readonly string[] = []): Promise<Running> {
  const [program = '', ...words] = [...by, ...command]
  const child = spawn(program, words, { stdio: 'ignore', cwd: '/' })
  started.push(child)
  const { pid } = child
  assert.ok(pid !== undefined)
  const runs = command.map((word) => `${word}\0`).join('')
  await until(`${program} to run`, () => readFileSync(`/proc/${pid}/cmdline`, 'utf8') === runs)
  return Object.assign(child, { pid })
}

/** Whether the script that ends commands ends this one. */
async function isEnded(child: Running): Promise<boolean> {
  const [program = '', ...words] = endCommand(child.pid, nonce)
  await once(spawn(program, words, { stdio: 'ignore' }), 'exit')
  return child.exitCode !== null || child.signalCode !== null
}

test('the timeout(1) with the nonce is ended', async () => {
  assert.ok(await isEnded(await start(['timeout', '60', ...WAITING, nonce])))
})

test('no other process is ended, though its pid was announced', async () => {
  const others = [
    ['sleep', '60'],
    ['timeout', '60', ...WAITING, randomBytes(16).toString('hex')],
    [...WAITING, nonce],
  ]
  for (const command of others) {
    assert.ok(!(await isEnded(await start(command))), command.join(' '))
  }
})

const needsRoot = isRoot ? false : 'only root can start processes of others'
test('a timeout(1) of somebody else is not ended', { skip: needsRoot }, async () => {
  const asNobody = ['setpriv', '--reuid=65534', '--clear-groups', '--']
  assert.ok(!(await isEnded(await start(['timeout', '60', ...WAITING, nonce], asNobody))))
})

test('a command whose user announces another process is aborted, and that process lives', async () => {
  await using home = temporaryDirectory()
  const victim = await start(['sleep', '61'])
  writeFileSync(join(home.path, 'ssh'), SSH, { mode: 0o755 })
  writeFileSync(join(home.path, 'victim'), String(victim.pid))
  const environment = { PATH: `${home.path}:/usr/bin:/bin`, HOME: home.path }
  const host = await SshHost.connect({
    name: 'db1',
    address: 'db1',
    environment,
    clock: systemClock,
  })
  const abort = new AbortController()
  let said = ''
  const end = host.run(['sh', '-c', 'echo begun; sleep 2', 'sh'], {
    signal: abort.signal,
    onStdout: (chunk) => (said += chunk.toString()),
  })
  await until('the command to run', () => said.includes('begun'))
  abort.abort(new Error('Ctrl-C'))
  await assert.rejects(end, /Ctrl-C/)
  assert.equal(victim.signalCode, null)
  assert.ok(process.kill(victim.pid, 0))
  await host.close()
})
