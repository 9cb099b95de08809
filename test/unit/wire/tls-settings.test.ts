import assert from 'node:assert/strict'
import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { ConnectionOptions, SslMode } from '../../../src/wire/connection-options.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { encryptionAttempts, tlsSettings } from '../../../src/wire/tls-settings.ts'

const OPTIONS: ConnectionOptions = { host: 'db1.example', port: 5432, user: 'x' }

describe('sslmode', () => {
  for (const [sslmode, attempts] of [
    ['disable', ['plain']],
    ['allow', ['plain', 'tls']],
    ['prefer', ['tls', 'plain']],
    ['require', ['tls']],
    ['verify-ca', ['tls']],
    ['verify-full', ['tls']],
  ] as const satisfies readonly (readonly [SslMode, readonly string[]])[]) {
    it(`${sslmode} tries ${attempts.join(', then ')}`, () => {
      assert.deepEqual(encryptionAttempts({ ...OPTIONS, sslmode }), attempts)
    })
  }

  it('is prefer by default and never used on a Unix socket', () => {
    assert.deepEqual(encryptionAttempts(OPTIONS), ['tls', 'plain'])
    assert.deepEqual(encryptionAttempts({ ...OPTIONS, host: '/run', sslmode: 'verify-full' }), [
      'plain',
    ])
  })

  it('require does not judge the certificate without roots, and its chain with them', async () => {
    const unchecked = await tlsSettings({ ...OPTIONS, sslmode: 'require' })
    assert.equal(unchecked.rejectUnauthorized, false)
    const sslrootcert = import.meta.filename
    const checked = await tlsSettings({ ...OPTIONS, sslmode: 'require', sslrootcert })
    assert.equal(checked.rejectUnauthorized, true)
    assert.equal(typeof checked.checkServerIdentity, 'function', 'any host name will do')
    assert.ok(Buffer.isBuffer(checked.ca))
  })

  it('reads no more of a certificate file than it can have', async () => {
    await using place = temporaryDirectory()
    const sslrootcert = join(place.path, 'roots.crt')
    writeFileSync(sslrootcert, '')
    truncateSync(sslrootcert, 100 * 1024 ** 3)
    for (const path of [sslrootcert, '/dev/zero']) {
      await assert.rejects(
        tlsSettings({ ...OPTIONS, sslmode: 'verify-full', sslrootcert: path }),
        (error) => isBackstayError(error, 'POSTGRES_TLS') && /is longer than/.test(error.message),
      )
    }
  })

  it('verify-full checks the host name, with the roots of the system if so said', async () => {
    const settings = await tlsSettings({
      ...OPTIONS,
      sslmode: 'verify-full',
      sslrootcert: 'system',
    })
    assert.equal(settings.rejectUnauthorized, true)
    assert.equal(settings.checkServerIdentity, undefined)
    assert.equal(settings.ca, undefined)
    assert.equal(settings.servername, 'db1.example')
  })

  it('sends no server name for an address', async () => {
    const settings = await tlsSettings({ ...OPTIONS, host: '10.0.0.1', sslmode: 'require' })
    assert.equal(settings.servername, undefined)
  })

  it('verify-ca without roots and files that cannot be read are errors', async () => {
    await assert.rejects(
      tlsSettings({ ...OPTIONS, sslmode: 'verify-ca' }),
      /needs a root certificate/,
    )
    const sslrootcert = '/nowhere/root.crt'
    await assert.rejects(tlsSettings({ ...OPTIONS, sslmode: 'verify-ca', sslrootcert }), {
      code: 'POSTGRES_TLS',
      message: /"\/nowhere\/root\.crt" cannot be read/,
    })
  })
})
