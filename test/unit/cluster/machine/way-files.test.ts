/**
 * Texts of the ways into the repository: what sshd and ssh read back from them.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  authorizedLine,
  wayConfigText,
  wayKnownHosts,
  wayPaths,
  withAuthorizedLine,
} from '../../../../src/cluster/machine/way-files.ts'
import type { BackupWanted } from '../../../../src/cluster/wanted.ts'
import { isBackstayError } from '../../../../src/errors/backstay-error.ts'
import { wish } from '../builders.ts'

const BACKUP: BackupWanted = {
  ...(wish().backup as BackupWanted),
  program: ['/opt/node', '/opt/backstay.js'],
}
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA'
const OWNER = { cluster: 'shop', server: 'db1' }

describe('our line in authorized_keys', () => {
  const line = (backup: BackupWanted = BACKUP): string =>
    authorizedLine('shop', backup, { server: 'db1', publicKey: KEY })

  test('lets the key do nothing but the gate of this cluster', () => {
    assert.equal(
      line(),
      `restrict,command="/opt/node /opt/backstay.js gate --repository /vault --cluster shop --server db1" ${KEY} backstay:shop/db1`,
    )
  })

  test('quotes a path for the shell and then for sshd', () => {
    const text = line({ ...BACKUP, repository: `/v "a" $(id) 'b'` })
    assert.ok(text.includes(String.raw`--repository '/v \"a\" $(id) '\''b'\''' --cluster`), text)
    assert.throws(
      () => line({ ...BACKUP, repository: '/v\nssh-ed25519' }),
      (error) => isBackstayError(error, 'CONFIG_INVALID'),
    )
  })

  test('takes a key and nothing that a machine says behind it', () => {
    for (const publicKey of [`${KEY}\nssh-ed25519\tAAAA`, `${KEY} x`, `ssh-rsa AAAA`, '']) {
      assert.throws(
        () => authorizedLine('shop', BACKUP, { server: 'db1', publicKey }),
        (error) => isBackstayError(error, 'HOST_COMMAND'),
      )
    }
  })

  test('takes the place of the one before, and leaves those of others alone', () => {
    const others = `# mine\nssh-rsa AAAA me@desk\n${line().replaceAll('db1', 'db2')}\n`
    const once = withAuthorizedLine(others, OWNER, line())
    assert.equal(once, `${others}${line()}\n`)
    assert.equal(withAuthorizedLine(once, OWNER, line()), once)
    assert.equal(withAuthorizedLine(once, OWNER, undefined), others)
  })

  test('comes after a file without a last line break on a line of its own', () => {
    assert.equal(withAuthorizedLine('ssh-rsa AAAA me', OWNER, 'x'), 'ssh-rsa AAAA me\nx\n')
    assert.equal(withAuthorizedLine('', OWNER, 'x'), 'x\n')
  })
})

describe('what ssh is told', () => {
  const paths = wayPaths('/data/100 %/shop.ssh')

  test('names address, port, user and nothing of the user’s own', () => {
    const host = { ...BACKUP.host, address: 'vault', ssh: { ...BACKUP.host.ssh, port: 2222 } }
    const text = wayConfigText({ ...BACKUP, host }, 'backstay', paths)
    for (const said of [
      'HostName "vault"',
      'Port 2222',
      'User "backstay"',
      'IdentityFile "/data/100 %%/shop.ssh/id"',
      'StrictHostKeyChecking yes',
      'BatchMode yes',
    ]) {
      assert.ok(text.includes(`  ${said}\n`), said)
    }
  })

  test('refuses what ssh_config could not hold', () => {
    assert.throws(() => wayConfigText({ ...BACKUP, address: 'a"b' }, 'backstay', paths))
    assert.throws(() => wayConfigText(BACKUP, 'back\nProxyCommand', paths))
  })

  test('holds the host keys of the backup server and no other words', () => {
    const keys = [`${KEY} root@vault`, 'ecdsa-sha2-nistp256 AAAAE2V= x', 'what is this', '']
    assert.equal(
      wayKnownHosts(keys),
      `repository ecdsa-sha2-nistp256 AAAAE2V=\nrepository ${KEY}\n`,
    )
  })
})
