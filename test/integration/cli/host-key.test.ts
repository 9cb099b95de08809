/**
 * The first contact with a host: the key that was compared is the only one that is taken. Somebody in the middle lets the true host show its
 * key until a person has looked at it, and shows his own on the connection that follows.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { RemoteHosts } from '../../../src/cli/session/remote-hosts.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { claimPort } from '../../harness/ports.ts'
import { startSshd, whyNoSshd } from '../../harness/sshd.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

/** Stands for OpenSSH. Connection N shows the key in line N of "shows", or in the last. */
const SSH = `#!/bin/sh
case " $* " in *" -O "*) exit 0 ;; *" -G "*) echo "userknownhostsfile $HOME/known /nowhere"; exit 0 ;; esac
known=$HOME/known strict=
for word; do
  case $word in
  UserKnownHostsFile=*) known=\${word#*=}; known=\${known#?}; known=\${known%?} ;;
  StrictHostKeyChecking=*) strict=\${strict:-\${word#*=}} ;;
  esac
done
echo >>"$HOME/connections"
line=$(sed -n "$(wc -l <"$HOME/connections")p;\\$p" "$HOME/shows" | head -n 1)
echo "debug1: Server host key: ssh-ed25519 SHA256:something" >&2
if ! grep -qxF "$line" "$known" 2>/dev/null; then
  [ "$strict" = accept-new ] || { echo 'Host key verification failed.' >&2; exit 255; }
  echo "$line" >>"$known"
fi
case " $* " in *PreferredAuthentications=none*) echo 'Permission denied (publickey).' >&2; exit 255 ;; esac
for last; do :; done
exec sh -c "$last"
`
const keyLine = (letter: string): string =>
  `db1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${letter.repeat(43)}`
const [TRUE, EVIL] = [keyLine('T'), keyLine('E')]

/** Hosts of somebody who answers each question with yes; `asked` collects them. */
function hostsOf(
  environment: Readonly<Record<string, string>>,
  onQuestion: (question: string) => void,
): RemoteHosts {
  return new RemoteHosts({
    environment,
    acceptsNewHostKeys: false,
    clock: systemClock,
    asking: {
      isTrusted: async (question) => {
        onQuestion(question)
        return true
      },
      password: async () => undefined,
    },
  })
}

const wanted = (address: string, config?: string): Parameters<RemoteHosts['open']>[0] => ({
  address,
  local: false,
  ssh: { user: 'root', port: undefined, sudo: false, sudoPassword: undefined, config },
})

/** A home with that ssh; `shows` are the keys of the connections. */
function homeWith(shows: readonly string[]): ReturnType<typeof temporaryDirectory> {
  const home = temporaryDirectory()
  writeFileSync(join(home.path, 'ssh'), SSH, { mode: 0o755 })
  writeFileSync(join(home.path, 'shows'), `${shows.join('\n')}\n`)
  return home
}

const environmentOf = (home: string): Readonly<Record<string, string>> => ({
  PATH: `${home}:/usr/bin:/bin`,
  HOME: home,
})

describe('the first contact with a host', () => {
  test('the key that was asked about is remembered, as it was shown, and the host is reached', async () => {
    await using home = homeWith([TRUE])
    const known = join(home.path, 'known')
    writeFileSync(known, 'other ssh-ed25519 AAAA', { mode: 0o640 })
    const asked: string[] = []
    await using hosts = hostsOf(environmentOf(home.path), (question) => asked.push(question))
    await hosts.open(wanted('db1'))
    assert.equal(asked.length, 1)
    assert.match(asked[0] ?? '', /shows the key ssh-ed25519 SHA256:[A-Za-z0-9+/]{43}\./)
    assert.equal(readFileSync(known, 'utf8'), `other ssh-ed25519 AAAA\n${TRUE}\n`)
  })

  test('a login that meets another key than the one that was asked about is refused', async () => {
    // The first finds it unknown, the second fetches it, the third logs in.
    await using home = homeWith([TRUE, TRUE, EVIL])
    const asked: string[] = []
    await using hosts = hostsOf(environmentOf(home.path), (question) => asked.push(question))
    await assert.rejects(hosts.open(wanted('db1')), { code: 'HOST_UNREACHABLE' })
    assert.equal(asked.length, 1)
    assert.equal(readFileSync(join(home.path, 'known'), 'utf8'), `${TRUE}\n`)
  })

  test('nothing is remembered, and nobody is let in, when the answer is no', async () => {
    await using home = homeWith([TRUE])
    await using hosts = new RemoteHosts({
      environment: environmentOf(home.path),
      acceptsNewHostKeys: false,
      clock: systemClock,
      asking: { isTrusted: async () => false, password: async () => undefined },
    })
    await assert.rejects(hosts.open(wanted('db1')), { code: 'HOST_UNREACHABLE' })
    assert.ok(!existsSync(join(home.path, 'known')))
  })
})

describe('the first contact with a real sshd', { skip: whyNoSshd() ?? false }, () => {
  for (const hashed of ['no', 'yes']) {
    test(`another sshd after the answer is refused (HashKnownHosts ${hashed})`, async () => {
      await using honest = await startSshd()
      await using evil = await startSshd()
      const port = await claimPort()
      let leadsTo = honest.port
      const middle = createServer((client) => {
        const server = connect(leadsTo, '127.0.0.1')
        client.pipe(server).pipe(client)
        for (const socket of [client, server]) socket.on('error', () => undefined)
      })
      await new Promise<void>((resolve) => void middle.listen(port, '127.0.0.1', resolve))
      const known = join(honest.directory, 'new folder', 'known')
      const config = join(honest.directory, 'middle_config')
      const lines = [
        `Port ${port}`,
        `UserKnownHostsFile "${known}" /nowhere/known`,
        `HashKnownHosts ${hashed}`,
        `Include ${honest.configFile}`,
      ]
      writeFileSync(config, `${lines.join('\n')}\n`)
      const asked: string[] = []
      await using hosts = hostsOf(honest.environment, (question) => {
        asked.push(question)
        leadsTo = evil.port
      })
      const fingerprint = (of: typeof honest): string =>
        execFileSync('ssh-keygen', ['-lf', join(of.directory, 'host_key.pub')], {
          encoding: 'utf8',
        }).split(' ')[1] ?? '-'
      await assert.rejects(hosts.open(wanted('127.0.0.1', config)), { code: 'HOST_UNREACHABLE' })
      assert.ok(asked[0]?.includes(fingerprint(honest)), asked[0])
      const key = (of: typeof honest): string => of.hostKey.split(' ')[1] ?? '-'
      assert.ok(readFileSync(known, 'utf8').includes(key(honest)))
      assert.ok(!readFileSync(known, 'utf8').includes(key(evil)))
      // And the true one is reached without another question.
      leadsTo = honest.port
      await using later = hostsOf(honest.environment, (question) => asked.push(question))
      assert.equal((await later.open(wanted('127.0.0.1', config))).user, 'root')
      assert.equal(asked.length, 1)
      middle.close()
    })
  }
})
