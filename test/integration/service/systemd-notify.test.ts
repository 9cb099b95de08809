/** What systemd hears, through a real datagram socket. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { SystemdNotifier } from '../../../src/service/systemd-notify.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'

/** Node has no Unix datagram sockets: Python listens and prints. Descriptors that come along (barriers) are closed by leaving. */
const LISTENER = `
import socket, sys, array, os
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("listening", flush=True)
while True:
    data, anc, _, _ = s.recvmsg(4096, 1024)
    for level, kind, fds in anc:
        for fd in array.array("i", fds[: len(fds) - len(fds) % 4]): os.close(fd)
    print(data.decode().replace("\\n", " "), flush=True)
`
const hasTools =
  spawnSync('python3', ['--version']).status === 0 && existsSync('/usr/bin/systemd-notify')

void it(
  'systemd hears that the service is ready, alive and stopping',
  { skip: !hasTools && 'needs python3 and systemd-notify' },
  async () => {
    await using folder = temporaryDirectory()
    const path = join(folder.path, 'notify')
    const listener = spawn('python3', ['-c', LISTENER, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let heard = ''
    listener.stdout.on('data', (chunk: Buffer) => (heard += chunk.toString()))
    try {
      await until('the listener to listen', () => heard.includes('listening'))
      using notifier = new SystemdNotifier({ notifySocket: path, watchdogMicroseconds: 2_000_000 })
      await notifier.ready('2 tasks')
      await until('READY', () => /READY=1.*STATUS=2 tasks/.test(heard))
      await until('WATCHDOG', () => heard.includes('WATCHDOG=1'))
      await notifier.stopping()
      await until('STOPPING', () => heard.includes('STOPPING=1'))
    } finally {
      listener.kill('SIGKILL')
    }
    assert.ok(heard.includes('READY=1'))
  },
)

void it('nothing is sent outside systemd', async () => {
  using notifier = new SystemdNotifier({ notifySocket: undefined, watchdogMicroseconds: undefined })
  await notifier.ready('x')
  await notifier.stopping()
})
