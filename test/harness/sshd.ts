/**
 * A real sshd for tests on 127.0.0.1, with keys, users' authorized_keys and client configuration of its own.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { claimPort } from './ports.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { isRoot } from './unprivileged-user.ts'
import { until } from './until.ts'

const SSHD = '/usr/sbin/sshd'

/** Why no sshd can be started here; undefined when one can. */
export function whyNoSshd(): string | undefined {
  if (!existsSync(SSHD)) return 'sshd (openssh-server) is not installed'
  if (!isRoot) return 'only root can let others log in'
  return undefined
}

/** A running sshd that lets the bearer of its key log in as anybody. */
export interface TestSshd extends AsyncDisposable {
  readonly address: '127.0.0.1'
  readonly port: number
  /** For `ssh -F`: names key and known_hosts. */
  readonly configFile: string
  readonly knownHosts: string
  /** The public key line a client must know. */
  readonly hostKey: string
  /** Where the rest lies: may be used by tests. */
  readonly directory: string
  /** Environment for ssh. */
  readonly environment: Readonly<Record<string, string>>
}

/** Starts an sshd; `settings` are lines for sshd_config. */
export async function startSshd(settings: readonly string[] = []): Promise<TestSshd> {
  const base = temporaryDirectory()
  const directory = base.path
  if (isRoot) chownSync(directory, 0, 0)
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const port = await claimPort()
  for (const name of ['host_key', 'user_key']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(directory, name)])
  }
  const path = (name: string): string => join(directory, name)
  const userKey = readFileSync(path('user_key.pub'), 'utf8')
  writeFileSync(path('authorized_keys'), userKey, { mode: 0o644 })
  const hostKey = readFileSync(path('host_key.pub'), 'utf8').split(' ').slice(0, 2).join(' ')
  writeFileSync(path('known_hosts'), `[127.0.0.1]:${port} ${hostKey}\n`)
  writeFileSync(
    path('sshd_config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${path('host_key')}`,
      `AuthorizedKeysFile ${path('authorized_keys')}`,
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PrintMotd no',
      'PermitRootLogin prohibit-password',
      // Locked passwords do not lock out keys then.
      'UsePAM yes',
      'StrictModes no',
      'PidFile none',
      ...settings,
    ].join('\n') + '\n',
  )
  writeFileSync(
    path('ssh_config'),
    [
      'Host *',
      `IdentityFile ${path('user_key')}`,
      'IdentitiesOnly yes',
      `UserKnownHostsFile ${path('known_hosts')}`,
      'GlobalKnownHostsFile /dev/null',
      `Port ${port}`,
    ].join('\n') + '\n',
  )
  const command = ['setpriv', '--pdeathsig=TERM', '--', SSHD, '-D', '-e', '-f', path('sshd_config')]
  const [program = '', ...words] = command
  const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'ignore'] })
  child.unref()
  await until(`sshd on port ${port}`, () => answers(port))
  return {
    address: '127.0.0.1',
    port,
    configFile: path('ssh_config'),
    knownHosts: path('known_hosts'),
    hostKey,
    directory,
    environment: { PATH: '/usr/bin:/bin', HOME: directory },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await base[Symbol.asyncDispose]()
    },
  }
}

/** A user of this machine for the time of a test, with a password for sudo. Only root can make one. */
export function temporaryUser(password: string): AsyncDisposable & { readonly name: string } {
  const name = `backstay-test-${process.pid}`
  execFileSync('useradd', [
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/bin/sh',
    name,
  ])
  execFileSync('chpasswd', { input: `${name}:${password}\n` })
  return {
    name,
    async [Symbol.asyncDispose]() {
      const remove = (): boolean => spawnSync('userdel', [name], { stdio: 'ignore' }).status === 0
      await until(`the last process of ${name} to end`, remove)
    },
  }
}

/** Lines in force for sudo until disposed. */
export function temporarySudoers(lines: string): Disposable {
  const file = `/etc/sudoers.d/backstay-test-${process.pid}`
  writeFileSync(file, `${lines}\n`, { mode: 0o440 })
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.once('error', () => resolve(false))
    socket.once('data', () => {
      resolve(true)
      socket.destroy()
    })
  })
}
