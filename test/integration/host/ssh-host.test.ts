/**
 * What goes wrong with ssh, against a real sshd on this machine.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { SshOptions } from '../../../src/host/ssh-connection.ts'
import { SshHost } from '../../../src/host/ssh-host.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { claimPort } from '../../harness/ports.ts'
import {
  startSshd,
  temporarySudoers,
  temporaryUser,
  type TestSshd,
  whyNoSshd,
} from '../../harness/sshd.ts'
import { until } from '../../harness/until.ts'

const noSudo = existsSync('/usr/bin/sudo') ? false : 'sudo is not installed'

describe('SshHost', { skip: whyNoSshd() ?? false }, () => {
  let sshd: TestSshd
  before(async () => {
    sshd = await startSshd(['MaxAuthTries 3'])
  })
  after(async () => sshd?.[Symbol.asyncDispose]())

  const options = (more: Partial<SshOptions> = {}): SshOptions => {
    const { address, configFile, environment, directory } = sshd
    const basic = { name: 'db1', user: 'root', clock: systemClock, temporaryDirectory: directory }
    return { ...basic, address, configFile, environment, ...more }
  }
  /** A client configuration that differs from the working one in `lines`, which come first and so win. */
  const config = (name: string, lines: readonly string[]): string => {
    const path = join(sshd.directory, name)
    writeFileSync(path, `${lines.join('\n')}\nInclude ${sshd.configFile}\n`)
    return path
  }
  const refuses = async (cause: string, wrong: SshOptions, message: RegExp): Promise<void> => {
    await assert.rejects(SshHost.connect(wrong), (error) => {
      if (!isBackstayError(error, 'HOST_UNREACHABLE')) throw error
      assert.equal(error.details['cause'], cause, error.message)
      assert.match(error.message, message)
      return true
    })
    assert.deepEqual(sockets(), [])
  }
  const sockets = (): string[] =>
    readdirSync(sshd.directory).filter((name) => name.startsWith('backstay-ssh-'))

  test('an unknown host key is refused, with its fingerprint', async () => {
    const fingerprint = execFileSync('ssh-keygen', ['-lf', join(sshd.directory, 'host_key.pub')])
    const shown = fingerprint.toString().split(' ')[1] ?? ''
    const configFile = config('unknown', [
      'UserKnownHostsFile /dev/null',
      'StrictHostKeyChecking no',
    ])
    const message = new RegExp(
      `host key is unknown, it shows ssh-ed25519 ${shown.replaceAll('+', '\\+')}`,
    )
    await refuses('host-key-unknown', options({ configFile }), message)
  })

  test('a changed host key is refused, with its fingerprint and where the known one is', async () => {
    const other = readdirSync(sshd.directory).includes('user_key.pub') ? 'user_key.pub' : ''
    const key = execFileSync('cut', [
      '-d',
      ' ',
      '-f',
      '1,2',
      join(sshd.directory, other),
    ]).toString()
    const known = join(sshd.directory, 'wrong_known_hosts')
    writeFileSync(known, `[127.0.0.1]:${sshd.port} ${key}`)
    const configFile = config('changed', [`UserKnownHostsFile ${known}`])
    const message =
      /not the known one, it shows ssh-ed25519 SHA256:\S+, the known one is in .*wrong_known_hosts:1/
    await refuses('host-key-changed', options({ configFile }), message)
  })

  test('a key that the host does not know is refused', async () => {
    const identity = join(sshd.directory, 'other_key')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', identity])
    const configFile = join(sshd.directory, 'other_config')
    const lines = [`IdentityFile ${identity}`, 'IdentitiesOnly yes', `Port ${sshd.port}`]
    writeFileSync(configFile, `${[...lines, `UserKnownHostsFile ${sshd.knownHosts}`].join('\n')}\n`)
    await refuses('permission-denied', options({ configFile }), /refused the login/)
  })

  test('a port where nothing listens, a name nobody knows, a server that says nothing', async () => {
    await refuses('refused', options({ port: await claimPort() }), /nothing listens/)
    await refuses('unknown-name', options({ address: 'no-such-host.invalid' }), /name is unknown/)
    const silent = createServer().unref()
    const port = await claimPort()
    await new Promise<void>((resolve) => void silent.listen(port, '127.0.0.1', resolve))
    await refuses('timeout', options({ port, connectTimeoutMs: 1000 }), /did not answer in time/)
    silent.close()
  })

  test('an address that looks like an option is an address', async () => {
    const address = '-oProxyCommand=touch /tmp/backstay-was-here'
    await assert.rejects(SshHost.connect(options({ address })), { code: 'HOST_UNREACHABLE' })
    assert.ok(!existsSync('/tmp/backstay-was-here'))
  })

  /** Starts a command that does not end and gives what becomes of it, once it runs. */
  const hanging = async (host: SshHost): Promise<{ pid: number; end: Promise<unknown> }> => {
    const pidFile = join(sshd.directory, `running-${Math.random()}`)
    const end = host
      .run(['sh', '-c', `echo $$ >${pidFile}; exec sleep 60`])
      .catch((error: unknown) => error)
    await until('the command to run', async () => (await host.readFile(pidFile))?.length)
    return { pid: Number((await host.readFile(pidFile))?.toString()), end }
  }

  test('a connection lost while a command runs is told, and the next command connects again', async () => {
    const host = await SshHost.connect(options())
    const { pid, end } = await hanging(host)
    killSessionOf(pid)
    const error = await end
    assert.ok(isBackstayError(error, 'HOST_UNREACHABLE') && error.retryable)
    assert.equal(error.details['cause'], 'lost')
    assert.equal((await host.run(['echo', 'back'])).stdout, 'back\n')
    await host.close()
    assert.deepEqual(sockets(), [])
  })

  for (const isCompressed of [false, true]) {
    const how = isCompressed ? 'compressed' : 'written'
    test(`a connection lost while a tree is ${how} is told by the next call`, async () => {
      const host = await SshHost.connect(options())
      const tree = await host.openTree(join(sshd.directory, `tree ${how}`), { isCompressed })
      await tree.beginFile('half', { mode: 0o600, sizeBytes: 50_000_000 })
      await tree.write(randomBytes(3_000_000))
      const { pid, end } = await hanging(host)
      killSessionOf(pid)
      await end
      const rest = async (): Promise<void> => {
        for (let index = 0; index < 47; index++) await tree.write(randomBytes(1_000_000))
        await tree.endFile()
        await tree.sync()
      }
      await assert.rejects(rest(), { code: 'HOST_UNREACHABLE' })
      await assert.rejects(tree.sync(), { code: 'HOST_UNREACHABLE' })
      await tree.close()
      await host.close()
    })
  }

  test('a compressed tree arrives as it was, and tar that cannot go on is told of', async () => {
    const host = await SshHost.connect(options())
    const directory = join(sshd.directory, 'compressed')
    const content = randomBytes(5_000_000)
    const tree = await host.openTree(directory, { isCompressed: true })
    await tree.beginFile('a/file', { mode: 0o640, sizeBytes: content.length })
    await tree.write(content)
    await tree.endFile()
    await tree.sync()
    await tree.close()
    assert.ok((await host.readFile(join(directory, 'a/file')))?.equals(content))
    const other = await host.openTree(directory, { isCompressed: true })
    await other.beginFile('b', { mode: 0o600, sizeBytes: 2 * content.length })
    await other.write(content)
    await host.remove(directory)
    const rest = async (): Promise<void> => {
      await other.write(content)
      await other.endFile()
      await other.makeDirectory('c', 0o700)
      await other.sync()
    }
    await assert.rejects(rest())
    await other.close()
    await host.close()
  })

  test('more commands than sshd has sessions for wait their turn', async () => {
    const host = await SshHost.connect(options())
    const runs = Array.from({ length: 15 }, (_, index) => host.run(['echo', String(index)]))
    const said = (await Promise.all(runs)).map(({ stdout }) => Number(stdout))
    assert.deepEqual(said, [...said.keys()])
    await host.close()
  })

  describe('with sudo', { skip: noSudo }, () => {
    const password = "it's \\ a $ecret"
    let user: ReturnType<typeof temporaryUser>
    before(() => {
      user = temporaryUser(password)
    })
    after(async () => user[Symbol.asyncDispose]())
    const sudoing = (given?: string): SshOptions =>
      options({ user: user.name, sudo: given === undefined ? {} : { password: given } })
    const refusesSudo = async (wrong: SshOptions): Promise<void> => {
      await assert.rejects(SshHost.connect(wrong), (error) => {
        if (!isBackstayError(error, 'HOST_PRIVILEGE')) throw error
        assert.match(error.message, /^Cannot become root on "db1" with sudo: /)
        assert.ok(!error.message.includes(password))
        return true
      })
    }

    test('a user who may not use sudo, a missing and a wrong password are refused', async () => {
      await refusesSudo(sudoing(password))
      using _ = temporarySudoers(`${user.name} ALL=(ALL) ALL`)
      await refusesSudo(sudoing())
      await refusesSudo(sudoing('wrong'))
      const host = await SshHost.connect(sudoing(password))
      assert.equal(host.user, 'root')
      assert.equal((await host.run(['cat'], { input: 'in' })).stdout, 'in')
      await host.close()
    })

    test('a sudo that needs no password never lets one into the input', async () => {
      using _ = temporarySudoers(`${user.name} ALL=(ALL) NOPASSWD: ALL`)
      for (const given of [undefined, password]) {
        const host = await SshHost.connect(sudoing(given))
        assert.equal((await host.run(['cat'], { input: 'in' })).stdout, 'in')
        assert.equal((await host.run(['cat'])).stdout, '')
        const ps = await host.run(['ps', '-eo', 'args'])
        assert.ok(!ps.stdout.includes('ecret'))
        await host.close()
      }
    })
  })

  /** Kills the sshd process that serves the remote process `pid`: its nearest ancestor of that name. */
  function killSessionOf(pid: number): void {
    const field = (at: number, name: string): string =>
      execFileSync('ps', ['-o', `${name}=`, '-p', String(at)])
        .toString()
        .trim()
    let at = pid
    while (field(at, 'comm') !== 'sshd') at = Number(field(at, 'ppid'))
    process.kill(at, 'SIGKILL')
  }
})
