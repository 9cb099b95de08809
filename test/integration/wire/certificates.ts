/**
 * Certificates for tests, made fresh with openssl: an authority, a server certificate for `localhost`, a client's.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

/** Files of one authority and what it signed. */
export interface TestCertificates {
  readonly authority: string
  readonly serverCertificate: string
  readonly serverKey: string
  readonly clientCertificate: string
  readonly clientKey: string
}

/** Makes them in `directory`; `digest` is the hash that signs them. */
export function makeCertificates(directory: string, digest = 'sha256'): TestCertificates {
  const path = (name: string): string => join(directory, name)
  openssl(`req -x509 -newkey rsa:2048 -nodes -${digest} -days 2 -subj /CN=test-authority`, [
    ['-keyout', path('authority.key')],
    ['-out', path('authority.crt')],
  ])
  const sign = (name: string, subject: string, extensions: string): void => {
    openssl(`req -newkey rsa:2048 -nodes -${digest} -subj /CN=${subject}`, [
      ['-keyout', path(`${name}.key`)],
      ['-out', path(`${name}.csr`)],
    ])
    writeFileSync(path(`${name}.ext`), extensions)
    openssl(`x509 -req -${digest} -days 2 -CAcreateserial`, [
      ['-in', path(`${name}.csr`)],
      ['-CA', path('authority.crt')],
      ['-CAkey', path('authority.key')],
      ['-extfile', path(`${name}.ext`)],
      ['-out', path(`${name}.crt`)],
    ])
  }
  sign('server', 'localhost', 'subjectAltName=DNS:localhost\n')
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
    chmodSync(target, 0o600)
    if (isRoot) chownSync(target, unprivilegedUser.uid, unprivilegedUser.gid)
  }
}

function openssl(words: string, files: readonly (readonly [string, string])[]): void {
  execFileSync('openssl', [...words.split(' '), ...files.flat()], { stdio: 'pipe' })
}
