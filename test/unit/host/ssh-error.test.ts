/**
 * What ssh and sudo say, read.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostKeyProblem, sshError, sudoError } from '../../../src/host/ssh-error.ts'

const target = { host: 'db1', address: '192.0.2.1', began: false, shownHostKey: undefined }
const TEXTS: readonly (readonly [string, string])[] = [
  ['refused', 'ssh: connect to host 192.0.2.1 port 22: Connection refused'],
  ['timeout', 'ssh: connect to host 192.0.2.1 port 22: Connection timed out'],
  ['timeout', 'Connection timed out during banner exchange'],
  ['timeout', 'Timeout, server 192.0.2.1 not responding.'],
  ['no-route', 'ssh: connect to host 192.0.2.1 port 22: No route to host'],
  ['no-route', 'ssh: connect to host 192.0.2.1 port 22: Network is unreachable'],
  ['unknown-name', 'ssh: Could not resolve hostname db1: Name or service not known'],
  ['permission-denied', 'op@192.0.2.1: Permission denied (publickey,password).'],
  [
    'permission-denied',
    'Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures',
  ],
  [
    'host-key-unknown',
    'No ED25519 host key is known for db1 and you have requested strict checking.\r\nHost key verification failed.',
  ],
  [
    'host-key-changed',
    '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nOffending ED25519 key in /home/op/.ssh/known_hosts:7\r\nHost key verification failed.',
  ],
  ['lost', 'Connection to 192.0.2.1 closed by remote host.'],
  ['lost', 'mux_client_request_session: read from master failed: Broken pipe'],
  ['other', 'Bad configuration option: foo'],
]

for (const [cause, text] of TEXTS) {
  test(`«${text.split('\r')[0]}» is ${cause}`, () => {
    const error = sshError(target, text)
    assert.equal(error.code, 'HOST_UNREACHABLE')
    assert.equal(error.details['cause'], cause)
    assert.match(error.message, /^Cannot reach "db1" by ssh \(192\.0\.2\.1\): /)
  })
}

test('once a command had begun, its end without an answer is a lost connection', () => {
  const error = sshError({ ...target, began: true }, 'Permission denied')
  assert.equal(error.details['cause'], 'lost')
})

test('a changed key comes with its fingerprint and the place of the known one', () => {
  const shownHostKey = { fingerprint: 'ssh-ed25519 SHA256:abc', lines: 'db1 ssh-ed25519 AAAA\n' }
  const text = 'REMOTE HOST IDENTIFICATION HAS CHANGED!\r\nOffending ED25519 key in /k:7\r\n'
  const { message, details } = sshError({ ...target, shownHostKey }, text)
  assert.match(message, /it shows ssh-ed25519 SHA256:abc, the known one is in \/k:7$/)
  assert.equal(
    details['knownHostsLines'],
    undefined,
    'nobody is led to put it beside the known one',
  )
})

test('a refusing sudo is a matter of privilege, other texts are not', () => {
  for (const text of [
    'sudo: a password is required',
    'op is not in the sudoers file.',
    'sh: 1: exec: sudo: not found',
  ]) {
    assert.equal(sudoError('db1', `lecture\n${text}\n`)?.code, 'HOST_PRIVILEGE', text)
  }
  assert.equal(sudoError('db1', 'Connection closed by 192.0.2.1'), undefined)
})

test('a megabyte of words that begin a message is read soon', { timeout: 10_000 }, () => {
  for (const words of ['Offending ', 'host key for ', 'Timeout, server ', 'sh: sudo ']) {
    const text = words.repeat(1_000_000 / words.length)
    assert.equal(sshError(target, text).details['cause'], 'other')
    assert.equal(sudoError('db1', text), undefined)
  }
})

test('the words of a peer do not begin where they are no longer seen', () => {
  const lie = 'Host key verification failed.'
  const parting = `Received disconnect from 192.0.2.1 port 22:11: ${'bye\n'.repeat(1000)}${lie}`
  assert.equal(hostKeyProblem(parting), undefined)
})
