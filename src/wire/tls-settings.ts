/**
 * libpq's sslmode words as what to do: which connections to try, and how the server's certificate is judged.
 * Source: PostgreSQL documentation, "SSL Support" of libpq; src/interfaces/libpq/fe-connect.c, fe-secure-openssl.c.
 */
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { ConnectionOptions as NodeTlsOptions } from 'node:tls'
import { BackstayError } from '../errors/backstay-error.ts'
import type { ConnectionOptions, SslMode } from './connection-options.ts'
import { describeServer, isSocketDirectory } from './server-address.ts'

/** libpq's word for the certificate authorities of the system instead of a file. */
const SYSTEM_ROOTS = 'system'

/** Whether one attempt to connect uses TLS. */
export type Encryption = 'plain' | 'tls'

const ATTEMPTS: Readonly<Record<SslMode, readonly Encryption[]>> = {
  disable: ['plain'],
  allow: ['plain', 'tls'],
  prefer: ['tls', 'plain'],
  require: ['tls'],
  'verify-ca': ['tls'],
  'verify-full': ['tls'],
}

/** The connections to try in order; a later one only after the server refused the one before. Unix sockets are never encrypted. */
export function encryptionAttempts(options: ConnectionOptions): readonly Encryption[] {
  return isSocketDirectory(options.host) ? ['plain'] : ATTEMPTS[options.sslmode ?? 'prefer']
}

/**
 * Options for `tls.connect`: certificates read from their files and the check that the mode asks for.
 * `require` with a root certificate checks like `verify-ca`, as in libpq.
 * @throws {BackstayError} POSTGRES_TLS when a file cannot be read or `verify-…` lacks its root certificate.
 */
export async function tlsSettings(options: ConnectionOptions): Promise<NodeTlsOptions> {
  const { host, sslrootcert, sslcert, sslkey } = options
  const check = checkOf(options)
  const usesFile = sslrootcert !== undefined && sslrootcert !== SYSTEM_ROOTS
  return {
    host,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: check !== 'none',
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(check === 'host' ? {} : { checkServerIdentity: () => undefined }),
    ...(check !== 'none' && usesFile ? { ca: await readPem(options, sslrootcert) } : {}),
    ...(sslcert === undefined ? {} : { cert: await readPem(options, sslcert) }),
    ...(sslkey === undefined ? {} : { key: await readPem(options, sslkey) }),
  }
}

function checkOf(options: ConnectionOptions): 'none' | 'chain' | 'host' {
  const { sslmode = 'prefer', sslrootcert } = options
  const isVerify = sslmode === 'verify-ca' || sslmode === 'verify-full'
  if (isVerify && sslrootcert === undefined) {
    throw new BackstayError(
      'POSTGRES_TLS',
      `Cannot connect to ${describeServer(options)}: sslmode "${sslmode}" needs a root certificate`,
      { hint: 'Set sslrootcert to a file, or to "system".' },
    )
  }
  if (sslmode === 'verify-full' || (isVerify && sslrootcert === SYSTEM_ROOTS)) return 'host'
  const hasRoots = sslrootcert !== undefined && sslmode === 'require'
  return sslmode === 'verify-ca' || hasRoots ? 'chain' : 'none'
}

async function readPem(options: ConnectionOptions, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new BackstayError(
      'POSTGRES_TLS',
      `Cannot connect to ${describeServer(options)}: file "${path}" cannot be read`,
      { hint: 'Check path and permissions of the certificate file.', cause },
    )
  }
}
