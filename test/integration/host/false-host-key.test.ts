/**
 * Somebody in the middle who says, in the place of ssh, that a host which is known is not.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { RemoteHosts } from '../../../src/cli/session/remote-hosts.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { SshHost } from '../../../src/host/ssh-host.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { claimPort } from '../../harness/ports.ts'
import { startSshd, whyNoSshd } from '../../harness/sshd.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const LIE = `bye
No ED25519 host key is known for db1 and you have requested strict checking.
Host key verification failed.`

const noSsh = existsSync('/usr/bin/ssh') ? false : 'ssh is not installed'

function text(words: string): Buffer {
  const bytes = Buffer.alloc(4 + words.length)
  bytes.writeUInt32BE(words.length)
  bytes.write(words, 4)
  return bytes
}

/** SSH_MSG_DISCONNECT in clear text, as RFC 4253 has it before keys were exchanged. */
function disconnect(words: string): Buffer {
  const payload = Buffer.concat([Buffer.from([1, 0, 0, 0, 11]), text(words), text('')])
  const padding = 16 - ((5 + payload.length) % 8)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(1 + payload.length + padding)
  head[4] = padding
  return Buffer.concat([head, payload, Buffer.alloc(padding)])
}

/** Listens; each connection is lied to, or, when `next` says so, led on to that port. */
async function stranger(
  next: () => number | undefined,
): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined))
    const port = next()
    if (port === undefined) {
      socket.end(Buffer.concat([Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'), disconnect(LIE)]))
      return
    }
    const on = connect(port, '127.0.0.1').on('error', () => socket.destroy())
    socket.pipe(on).pipe(socket)
  })
  const port = await claimPort()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function makeKey(path: string): string {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path])
  return readFileSync(`${path}.pub`, 'utf8').split(' ').slice(0, 2).join(' ')
}

test(
  'what an unproved peer says in parting does not make a host unknown',
  { skip: noSsh },
  async () => {
    await using middle = await stranger(() => undefined)
    await using directory = temporaryDirectory()
    const configFile = join(directory.path, 'config')
    writeFileSync(configFile, `Host *\n  UserKnownHostsFile ${join(directory.path, 'known')}\n`)
    const options = {
      name: 'db1',
      address: '127.0.0.1',
      port: middle.port,
      configFile,
      environment: { PATH: '/usr/bin:/bin' },
      temporaryDirectory: directory.path,
      clock: systemClock,
    }
    await assert.rejects(SshHost.connect(options), (error) => {
      assert.ok(isBackstayError(error, 'HOST_UNREACHABLE'))
      assert.equal(error.details['cause'], 'other', error.message)
      return true
    })
  },
)

test(
  'nobody is asked for another key of a host that is known',
  { skip: whyNoSshd() ?? false },
  async () => {
    await using sshd = await startSshd()
    let isFirst = true
    await using middle = await stranger(() => {
      const port = isFirst ? undefined : sshd.port
      isFirst = false
      return port
    })
    const known = join(sshd.directory, 'known_before')
    const line = `[127.0.0.1]:${middle.port} ${makeKey(join(sshd.directory, 'true_key'))}\n`
    writeFileSync(known, line)
    const config = join(sshd.directory, 'config')
    writeFileSync(config, `Host *\n  UserKnownHostsFile ${known}\n  User root\n`)
    let questions = 0
    await using hosts = new RemoteHosts({
      environment: { ...sshd.environment, TMPDIR: sshd.directory },
      acceptsNewHostKeys: false,
      asking: {
        isTrusted: async () => Promise.resolve((questions += 1) > 0),
        password: async () => Promise.resolve(undefined),
      },
      clock: systemClock,
    })
    const ssh = { user: undefined, port: middle.port, sudo: false, config }
    const address = '127.0.0.1'
    await assert.rejects(hosts.open({ address, local: false, ssh }))
    assert.equal(questions, 0)
    assert.equal(readFileSync(known, 'utf8'), line)
  },
)
