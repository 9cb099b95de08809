/**
 * The script around remote commands, run by shells of this machine as a login shell would.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { pathOfBytes } from '../../../src/util/byte-path.ts'
import { ownOutput, ownOutputOnly, parseReply, remotePid } from '../../../src/host/ssh-reply.ts'
import { remoteCommandLine, remoteInputPrefix } from '../../../src/host/ssh-script.ts'

const nonce = 'cafe'.repeat(8)
const basic = { nonce, directory: '/', environment: {}, timeoutMs: 10_000 }
const WORDS = ['a b', "it's", '$(id)', '`id`', 'new\nline', '\\', '"', '!x', '*', '', '-n']
const LOGIN_SHELLS = ['sh', 'bash', 'dash', 'zsh', 'csh', 'tcsh', 'fish', 'ksh']

for (const shell of LOGIN_SHELLS) {
  const found = ['/bin', '/usr/bin'].some((folder) => existsSync(`${folder}/${shell}`))
  test(
    `${shell} as login shell passes every word on`,
    { skip: found ? false : 'not installed' },
    () => {
      const line = remoteCommandLine({ ...basic, command: ['printf', '%s\\0', ...WORDS] })
      const result = spawnSync(shell, ['-c', line])
      const output = ownOutput(result.stdout, nonce).toString()
      assert.deepEqual(output.split('\0').slice(0, -1), WORDS)
      const reply = parseReply(result.stderr.toString(), nonce)
      assert.deepEqual(reply, { exitCode: 0, refused: undefined, stderr: '' })
      assert.ok((remotePid(result.stderr.toString(), nonce) ?? 0) > 0)
    },
  )
}

test('a word that is not UTF-8 arrives byte by byte', () => {
  const bytes = Buffer.from([0x67, 0xfc, 0x27, 0xe2, 0x82])
  const line = remoteCommandLine({ ...basic, command: ['printf', '%s', pathOfBytes(bytes)] })
  assert.deepEqual(ownOutput(spawnSync('sh', ['-c', line]).stdout, nonce), bytes)
})

test('a command line for ssh has no character that any login shell could misread', () => {
  const line = remoteCommandLine({ ...basic, command: ['echo', ...WORDS] })
  assert.match(line, /^exec sh -c 'eval "\$\(printf "[A-Za-z0-9 \\]+"\)"'$/)
})

test('what was not started is told apart from what failed', () => {
  const ask = (remote: object): ReturnType<typeof parseReply> => {
    const line = remoteCommandLine({ ...basic, command: ['true'], ...remote })
    return parseReply(spawnSync('sh', ['-c', line]).stderr.toString(), nonce)
  }
  assert.equal(ask({ user: 'no-such-user' }).refused, 'no-user')
  assert.equal(ask({ directory: '/no/such' }).refused, 'no-directory')
  assert.equal(ask({ command: ['sh', '-c', 'exit 255'] }).exitCode, 255)
  assert.equal(ask({ command: ['/no/such'] }).exitCode, 127)
  assert.equal(ask({ command: ['sleep', '60'], timeoutMs: 1000 }).exitCode, 124)
})

test('a password goes before the input, and what sudo did not read of it is skipped', () => {
  const sudo = { password: 'secret' }
  const command = ['cat']
  // Stands in for sudo where it needs no password and reads nothing.
  const line = remoteCommandLine({ ...basic, command, sudo })
  assert.ok(!line.includes('secret'))
  const octal = /printf "(.*)"\)"'$/.exec(line)?.[1] ?? ''
  const decoded = spawnSync('printf', [octal]).stdout.toString()
  assert.match(decoded, /^LC_ALL=C exec sudo -k -S -p '' -- sh -c /)
  const script = decoded.replace("sudo -k -S -p '' -- ", '')
  const input = `${remoteInputPrefix({ sudo, nonce })}line 1\nline 2`
  const result = spawnSync('sh', ['-c', script], { input })
  assert.equal(ownOutput(result.stdout, nonce).toString(), 'line 1\nline 2')
  assert.equal(remoteInputPrefix({ nonce, sudo: undefined }), '')
})

test('names that env(1) would misread are refused', () => {
  for (const remote of [{ command: ['A=b'] }, { command: [] }, { environment: { 'a b': 'x' } }]) {
    assert.throws(() => remoteCommandLine({ ...basic, command: ['true'], ...remote }), {
      code: 'FAILED',
    })
  }
})

test('what login shell and sudo say before the command is not its output', () => {
  const stderr = `motd\n${nonce} pid 12\nfrom the command${nonce} exit 3\nafterwards\n`
  assert.deepEqual(parseReply(stderr, nonce), {
    exitCode: 3,
    refused: undefined,
    stderr: 'from the commandafterwards\n',
  })
  assert.equal(ownOutput(Buffer.from(`welcome!\n${nonce}\ndata`), nonce).toString(), 'data')
  const lost = 'Connection closed by 127.0.0.1 port 22\n'
  assert.deepEqual(parseReply(lost, nonce), {
    exitCode: undefined,
    refused: undefined,
    stderr: lost,
  })
})

test('output that comes in pieces begins after the nonce, wherever it is cut', () => {
  const nonce = '0123456789abcdef0123456789abcdef'
  const whole = Buffer.from(`welcome!\n${nonce}\nline 1\nline 2`)
  for (let at = 0; at <= whole.length; at += 1) {
    let seen = ''
    const onTooMuch = (): void => assert.fail('it is not much')
    const see = ownOutputOnly({ see: (chunk) => (seen += chunk.toString()), onTooMuch }, nonce)
    see(whole.subarray(0, at))
    see(whole.subarray(at))
    assert.equal(seen, 'line 1\nline 2', `cut at ${at}`)
  }
})

test('a machine that talks on before the line with the nonce is cut off, with nothing kept or seen', () => {
  let [seen, complaints] = [0, 0]
  const see = ownOutputOnly({ see: () => (seen += 1), onTooMuch: () => (complaints += 1) }, nonce)
  const chunk = Buffer.alloc(16 * 1024, 'x')
  for (let sent = 0; sent < 64 * 1024; sent += chunk.length) see(chunk)
  assert.equal(complaints, 0)
  for (let more = 0; more < 10_000; more += 1) see(chunk)
  see(Buffer.from(`\n${nonce}\nlate`))
  assert.deepEqual([seen, complaints], [0, 1])
})
