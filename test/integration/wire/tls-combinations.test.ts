/**
 * Every combination of sslmode, what the server offers, its certificate, a root certificate, what it asks for and what may be answered:
 * connected as libpq's documentation says ("SSL Support", "Protection Provided in Different Modes"), but for what docs/adr/0072 forbids. Where it must
 * fail no password leaves: the server would have taken it, and would say so in its log.
 */
import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  type AuthMethod,
  type ConnectionOptions,
  SSL_MODES,
  type SslMode,
} from '../../../src/wire/connection-options.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { SqlClient } from '../../../src/wire/sql-client.ts'
import { claimPort } from '../../harness/ports.ts'
import { startPostgres, temporaryDirectory, type TestServer } from '../../harness/postgres.ts'
import { until } from '../../harness/until.ts'
import {
  installCertificates,
  makeBadCertificates,
  makeCertificates,
  ownByServer,
} from './certificates.ts'

const PASSWORD = 'tls-combination-secret'
const AT_A_TIME = 6

/** What the server offers: no TLS, or a certificate. */
const OFFERS = ['none', 'right', 'wrong-host', 'expired', 'self-signed'] as const
type Offer = (typeof OFFERS)[number]

/** What its pg_hba.conf asks the role of this name for. */
const ASKED = { clear_role: 'password', md5_role: 'md5', scram_role: 'scram-sha-256' } as const
type Role = keyof typeof ASKED

/** What may be answered: left open (a Barman conninfo), or as the cluster file says it. */
const POLICIES = ['open', 'scram', 'md5'] as const
type Policy = (typeof POLICIES)[number]

interface Combination {
  readonly sslmode: SslMode
  readonly offer: Offer
  readonly hasRoot: boolean
  readonly role: Role
  readonly policy: Policy
}

type Outcome = 'tls' | 'plain' | 'refused'

const COMBINATIONS: readonly Combination[] = OFFERS.flatMap((offer) =>
  SSL_MODES.flatMap((sslmode) =>
    [true, false].flatMap((hasRoot) =>
      (Object.keys(ASKED) as Role[]).flatMap((role) =>
        POLICIES.map((policy) => ({ sslmode, offer, hasRoot, role, policy })),
      ),
    ),
  ),
)

/** The attempts of a mode, in order. */
const ATTEMPTS: Readonly<Record<SslMode, readonly ('tls' | 'plain')[]>> = {
  disable: ['plain'],
  allow: ['plain', 'tls'],
  prefer: ['tls', 'plain'],
  require: ['tls'],
  'verify-ca': ['tls'],
  'verify-full': ['tls'],
}

function expected(combination: Combination): Outcome {
  const { sslmode } = combination
  return ATTEMPTS[sslmode].find((way) => isOpen(combination, way)) ?? 'refused'
}

function isOpen(combination: Combination, way: 'tls' | 'plain'): boolean {
  return way === 'plain'
    ? isAnswered(combination, way)
    : isAccepted(combination) && isAnswered(combination, way)
}

/** Whether the server's certificate is good enough. With a root certificate `require` is `verify-ca`. */
function isAccepted({ sslmode, offer, hasRoot }: Combination): boolean {
  if (offer === 'none') return false
  if (sslmode === 'verify-full') return hasRoot && offer === 'right'
  if (sslmode === 'verify-ca') return hasRoot && ['right', 'wrong-host'].includes(offer)
  if (sslmode === 'require' && hasRoot) return ['right', 'wrong-host'].includes(offer)
  return true
}

/** docs/adr/0072: clear text over a verified channel only, and never where the cluster file speaks; `require` and `verify-ca` bind the channel. */
function isAnswered({ sslmode, role, policy }: Combination, way: 'tls' | 'plain'): boolean {
  const method = ASKED[role]
  if (policy === 'open')
    return method !== 'password' || (way === 'tls' && sslmode === 'verify-full')
  if (method === 'password') return false
  if (policy === 'scram') return method === 'scram-sha-256'
  return true
}

const ALLOWED: Readonly<Record<Policy, Partial<ConnectionOptions>>> = {
  open: {},
  scram: { requireAuth: ['scram-sha-256'] satisfies AuthMethod[] },
  md5: { requireAuth: ['md5', 'scram-sha-256'] satisfies AuthMethod[] },
}

/** As src/cluster does for a cluster file that says SCRAM. */
function bindingOf({ sslmode, policy }: Combination): Partial<ConnectionOptions> {
  const isBound = policy === 'scram' && (sslmode === 'require' || sslmode === 'verify-ca')
  return isBound ? { channelBinding: 'require' } : {}
}

/** Passes everything on and keeps what clients say. */
async function startRelay(target: number) {
  const port = await claimPort()
  const heard: Buffer[] = []
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => [client, upstream].forEach((each) => each.destroy()))
    }
    client.on('data', (chunk: Buffer) => heard.push(chunk))
    client.pipe(upstream).pipe(client)
  })
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  return {
    port,
    heard: () => Buffer.concat(heard),
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function connectBy(isSql: boolean, options: ConnectionOptions): Promise<Outcome> {
  if (!isSql) {
    await using connection = await ReplicationConnection.connect(options)
    return connection.isEncrypted ? 'tls' : 'plain'
  }
  await using sql = await SqlClient.connect(options)
  const { ssl } = await sql.one<{ ssl: boolean }>(
    'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
  )
  return ssl ? 'tls' : 'plain'
}

const nameOf = (combination: Combination): string => Object.values(combination).join(' ')

describe('TLS in every combination', { concurrency: false }, () => {
  const files = temporaryDirectory()
  const certificates = makeCertificates(files.path)
  let server: TestServer
  let relay: Awaited<ReturnType<typeof startRelay>>
  before(async () => {
    server = await startPostgres({
      major: 18,
      stopped: true,
      hba: Object.entries(ASKED).map(
        ([role, method]) => `host all,replication ${role} 127.0.0.1/32 ${method}`,
      ),
      settings: { ssl: true, log_connections: 'all', max_wal_senders: 40 },
    })
    installCertificates(certificates, server.directory)
    for (const [offer, { certificate, key }] of Object.entries(
      makeBadCertificates(certificates, files.path),
    )) {
      copyFileSync(certificate, join(server.directory, `${offer}.crt`))
      copyFileSync(key, join(server.directory, `${offer}.key`))
      ownByServer(join(server.directory, `${offer}.crt`), join(server.directory, `${offer}.key`))
    }
    await server.start()
    for (const [role, method] of Object.entries(ASKED)) {
      const stored = method === 'md5' ? 'md5' : 'scram-sha-256'
      await server.query(
        `SET password_encryption = '${stored}'; CREATE ROLE ${role} LOGIN REPLICATION PASSWORD '${PASSWORD}'`,
      )
    }
    relay = await startRelay(server.port)
  })
  after(async () => {
    await relay.close()
    await server[Symbol.asyncDispose]()
    await files[Symbol.asyncDispose]()
  })

  /** Has the server offer it. A new session sees what the postmaster has read. */
  const offerNow = async (offer: Offer): Promise<void> => {
    const name = offer === 'right' || offer === 'none' ? 'server' : offer
    const [ssl, file] = [offer === 'none' ? 'off' : 'on', `${name}.crt`]
    await server.query(`ALTER SYSTEM SET ssl = ${ssl}`)
    await server.query(`ALTER SYSTEM SET ssl_cert_file = '${file}'`)
    await server.query(`ALTER SYSTEM SET ssl_key_file = '${name}.key'`)
    await server.query('SELECT pg_reload_conf()')
    await until(`the server to offer ${offer}`, async () => {
      await using sql = await SqlClient.connect({ ...server.connection, sslmode: 'disable' })
      const row = await sql.one<{ is: boolean }>(
        `SELECT current_setting('ssl') = '${ssl}' AND current_setting('ssl_cert_file') = '${file}' AS is`,
      )
      return row.is
    })
  }

  const tryOne = async (combination: Combination, number: number): Promise<string | undefined> => {
    const { sslmode, hasRoot, role, policy } = combination
    const wanted = expected(combination)
    const outcome = await connectBy(number % 2 === 0, {
      host: 'localhost',
      port: relay.port,
      user: role,
      password: PASSWORD,
      database: 'postgres',
      sslmode,
      applicationName: `c${number}.`,
      connectTimeoutMs: 60_000,
      ...(hasRoot ? { sslrootcert: certificates.authority } : {}),
      ...ALLOWED[policy],
      ...bindingOf(combination),
    }).catch((error: unknown) => {
      const { code } = error as { code?: string }
      return code === 'POSTGRES_TLS' || code === 'POSTGRES_AUTH' ? ('refused' as const) : error
    })
    return outcome === wanted
      ? undefined
      : `${nameOf(combination)}: ${String(outcome)} instead of ${wanted}`
  }

  for (const offer of OFFERS) {
    it(`the server's certificate: ${offer}`, async () => {
      await offerNow(offer)
      const numbered = [...COMBINATIONS.entries()].filter(([, one]) => one.offer === offer)
      const wrong: string[] = []
      for (let at = 0; at < numbered.length; at += AT_A_TIME) {
        const some = numbered.slice(at, at + AT_A_TIME)
        const found = await Promise.all(some.map(async ([number, one]) => tryOne(one, number)))
        wrong.push(...found.filter((one) => one !== undefined))
      }
      assert.deepEqual(wrong, [])
      const log = await server.log()
      for (const [number, combination] of numbered) {
        const isIn = new RegExp(String.raw`authorized: .*application_name=c${number}\.`).test(log)
        assert.equal(isIn, expected(combination) !== 'refused', nameOf(combination))
      }
    })
  }

  it('no password in clear text ever went over a line that was not encrypted', () => {
    assert.ok(!relay.heard().includes(PASSWORD))
    assert.ok(relay.heard().includes('scram_role'))
  })
})
