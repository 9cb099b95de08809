/**
 * Certificates for tests, made fresh with openssl: an authority, a server certificate for `localhost`, a client's.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

/** Files of one authority and what it signed. */
export interface TestCertificates {
  readonly authority: string
  readonly serverCertificate: string
  readonly serverKey: string
  readonly clientCertificate: string
  readonly clientKey: string
}

const LOCALHOST = 'subjectAltName=DNS:localhost\n'

/** What a server may offer that is not right: of the same authority for another host, of the same authority and over, of nobody. */
export function makeBadCertificates(
  { authority }: TestCertificates,
  directory: string,
): Readonly<
  Record<'wrong-host' | 'expired' | 'self-signed', { certificate: string; key: string }>
> {
  if (dirname(authority) !== directory) throw new Error('the authority is in another directory')
  const common = { directory, digest: 'sha256' }
  const extensions = 'subjectAltName=DNS:db9.example\n'
  signCertificate({ ...common, name: 'wrong-host', subject: 'db9.example', extensions, days: 2 })
  const over = { ...common, name: 'expired', subject: 'localhost', extensions: LOCALHOST, days: -1 }
  signCertificate(over)
  const of = (name: string): { certificate: string; key: string } => ({
    certificate: join(directory, `${name}.crt`),
    key: join(directory, `${name}.key`),
  })
  const own = of('self-signed')
  openssl('req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost', [
    ['-addext', LOCALHOST.trim()],
    ['-keyout', own.key],
    ['-out', own.certificate],
  ])
  return { 'wrong-host': of('wrong-host'), expired: of('expired'), 'self-signed': own }
}

interface Signing {
  readonly directory: string
  readonly name: string
  readonly subject: string
  readonly extensions: string
  readonly digest: string
  /** -1: it ended yesterday. */
  readonly days: number
}

function signCertificate({ directory, name, subject, extensions, digest, days }: Signing): void {
  const path = (file: string): string => join(directory, file)
  openssl(`req -newkey rsa:2048 -nodes -${digest} -subj /CN=${subject}`, [
    ['-keyout', path(`${name}.key`)],
    ['-out', path(`${name}.csr`)],
  ])
  writeFileSync(path(`${name}.ext`), extensions)
  openssl(`x509 -req -${digest} -days ${days} -CAcreateserial`, [
    ['-in', path(`${name}.csr`)],
    ['-CA', path('authority.crt')],
    ['-CAkey', path('authority.key')],
    ['-extfile', path(`${name}.ext`)],
    ['-out', path(`${name}.crt`)],
  ])
}

/** Makes them in `directory`; `digest` is the hash that signs them. */
export function makeCertificates(directory: string, digest = 'sha256'): TestCertificates {
  const path = (name: string): string => join(directory, name)
  openssl(`req -x509 -newkey rsa:2048 -nodes -${digest} -days 2 -subj /CN=test-authority`, [
    ['-keyout', path('authority.key')],
    ['-out', path('authority.crt')],
  ])
  const sign = (name: string, subject: string, extensions: string): void =>
    signCertificate({ directory, name, subject, extensions, digest, days: 2 })
  sign('server', 'localhost', LOCALHOST)
  sign('client', 'cert_role', 'extendedKeyUsage=clientAuth\n')
  return {
    authority: path('authority.crt'),
    serverCertificate: path('server.crt'),
    serverKey: path('server.key'),
    clientCertificate: path('client.crt'),
    clientKey: path('client.key'),
  }
}

/** Puts the server's files into a data directory, as PostgreSQL wants them. */
export function installCertificates(certificates: TestCertificates, dataDirectory: string): void {
  for (const [from, name] of [
    [certificates.authority, 'root.crt'],
    [certificates.serverCertificate, 'server.crt'],
    [certificates.serverKey, 'server.key'],
  ] as const) {
    const target = join(dataDirectory, name)
    copyFileSync(from, target)
    ownByServer(target)
  }
}

/** Gives files to the server's OS user, readable by him alone. */
export function ownByServer(...paths: readonly string[]): void {
  for (const path of paths) {
    chmodSync(path, 0o600)
    if (isRoot) chownSync(path, unprivilegedUser.uid, unprivilegedUser.gid)
  }
}

function openssl(words: string, files: readonly (readonly [string, string])[]): void {
  execFileSync('openssl', [...words.split(' '), ...files.flat()], { stdio: 'pipe' })
}
