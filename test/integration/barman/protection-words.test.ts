/**
 * The words of a Barman connection string that protect: each keeps out what it should on a real server, or is refused.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { connectionOf } from '../../../src/barman/server/connections.ts'
import { withSql } from '../../../src/wire/sql-client.ts'
import { startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { installCertificates, makeCertificates } from '../wire/certificates.ts'
import { startMiddle } from '../wire/man-in-the-middle.ts'

const PASSWORD = 'barman-test-secret'

/** A list of revoked certificates, of the authority in `directory`, with the server's on it or not. */
function revocations(directory: string, isRevoked: boolean): string {
  const path = (name: string): string => join(directory, name)
  writeFileSync(path('index.txt'), '')
  writeFileSync(path('crlnumber'), '01\n')
  writeFileSync(
    path('ca.conf'),
    [
      '[ca]',
      'default_ca = all',
      '[all]',
      `database = ${path('index.txt')}`,
      `crlnumber = ${path('crlnumber')}`,
      'default_md = sha256',
      'default_crl_days = 1',
      `certificate = ${path('authority.crt')}`,
      `private_key = ${path('authority.key')}`,
      '',
    ].join('\n'),
  )
  const ca = (...words: string[]): void =>
    void execFileSync('openssl', ['ca', '-config', path('ca.conf'), ...words], { stdio: 'pipe' })
  if (isRevoked) ca('-revoke', path('server.crt'))
  const list = path(`list-${isRevoked}.crl`)
  ca('-gencrl', '-out', list)
  return list
}

describe('words of a conninfo that protect', { concurrency: false }, async () => {
  const files = temporaryDirectory()
  const certificates = makeCertificates(files.path)
  const server = await startPostgres({
    major: 18,
    stopped: true,
    settings: { ssl: true, ssl_max_protocol_version: 'TLSv1.2' },
    hba: [
      'host all md5_role 127.0.0.1/32 md5',
      'host all trust_role 127.0.0.1/32 trust',
      'host all scram_role 127.0.0.1/32 scram-sha-256',
    ],
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await files[Symbol.asyncDispose]()
  })
  installCertificates(certificates, server.directory)
  appendFileSync(join(server.directory, 'postgresql.conf'), "log_statement = 'none'\n")
  await server.start()
  await server.query(`CREATE ROLE scram_role LOGIN PASSWORD '${PASSWORD}'; CREATE ROLE trust_role LOGIN;
    SET password_encryption = 'md5'; CREATE ROLE md5_role LOGIN PASSWORD '${PASSWORD}'`)

  const connect = async (words: string, environment: Record<string, string> = {}) =>
    withSql(
      connectionOf(
        `host=localhost port=${server.port} dbname=postgres user=scram_role password=${PASSWORD} ${words}`,
        environment,
      ),
      async (sql) => sql.query('SELECT 1'),
    )

  it('require_auth answers and believes nothing else, from the environment too', async () => {
    await connect('require_auth=scram-sha-256')
    await connect('require_auth=!password,!none')
    await connect('user=md5_role')
    await connect('user=trust_role')
    const refused = { code: 'POSTGRES_AUTH' }
    await assert.rejects(connect('user=md5_role require_auth=scram-sha-256'), refused)
    await assert.rejects(connect('user=trust_role require_auth=scram-sha-256'), refused)
    await assert.rejects(connect('user=trust_role require_auth=!none'), refused)
    await assert.rejects(connect('user=md5_role', { PGREQUIREAUTH: 'scram-sha-256' }), refused)
    await assert.rejects(connect('require_auth=gss'), refused)
  })

  it('channel_binding=require keeps somebody in the middle out', async () => {
    await connect('sslmode=require channel_binding=require')
    const forged = { cert: certificates.clientCertificate, key: certificates.clientKey }
    await using middle = await startMiddle({ tampering: 'relay', server, certificate: forged })
    const words = `port=${middle.port} host=127.0.0.1 sslmode=require`
    await connect(words)
    await assert.rejects(connect(`${words} channel_binding=require`), { code: 'POSTGRES_AUTH' })
  })

  it('sslcrl refuses a certificate that was revoked', async () => {
    const words = `sslmode=verify-full sslrootcert=${certificates.authority}`
    await connect(`${words} sslcrl=${revocations(files.path, false)}`)
    const revoked = connect(`${words} sslcrl=${revocations(files.path, true)}`)
    await assert.rejects(revoked, { code: 'POSTGRES_TLS' })
  })

  it('ssl_min_protocol_version refuses an older TLS', async () => {
    await connect('sslmode=require ssl_min_protocol_version=TLSv1.2')
    const newer = connect('sslmode=require ssl_min_protocol_version=TLSv1.3')
    await assert.rejects(newer, { code: 'POSTGRES_TLS' })
  })

  for (const [words, text] of [
    ['gssencmode=require', /gssencmode "require" cannot be kept/],
    ['sslcertmode=require', /sslcertmode/],
    ['sslcrldir=/etc/crl', /sslcrldir/],
    ['requirepeer=postgres', /requirepeer/],
    ['sslnegotiation=direct', /sslnegotiation/],
    ['target_session_attrs=read-write', /target_session_attrs/],
    ['service=shop', /service/],
    ['require_auth=scram', /require_auth "scram" is not understood/],
    ['require_auth=md5,!none', /is not understood/],
    ['channel_binding=yes', /"yes" is no channel_binding/],
    ['ssl_min_protocol_version=1.3', /"1.3" is no ssl_min_protocol_version/],
    ['sslrootcert=system sslmode=require', /system/],
    ['sslcrl=/x', /sslcrl needs sslrootcert/],
    ['chanel_binding=require', /"chanel_binding" is no word/],
  ] as const) {
    it(`what cannot be kept is refused: ${words}`, () => {
      assert.throws(() => connectionOf(`host=x ${words}`, {}), {
        code: 'CONFIG_INVALID',
        message: text,
      })
    })
  }

  it('words that ask for nothing are taken', () => {
    const words = 'gssencmode=prefer sslnegotiation=postgres target_session_attrs=any keepalives=1'
    assert.equal(connectionOf(`host=x sslrootcert=system ${words}`, {}).sslmode, 'verify-full')
  })
})
