/**
 * libpq's sslmode words as what to do: which connections to try, and how the server's certificate
 * is judged. Source: PostgreSQL documentation, "SSL Support" of libpq;
 * src/interfaces/libpq/fe-connect.c, fe-secure-openssl.c.
 */
import { open } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { ConnectionOptions as NodeTlsOptions } from 'node:tls'
import { BackstayError } from '../errors/backstay-error.ts'
import type { ConnectionOptions, SslMode } from './connection-options.ts'
import { describeServer, isSocketDirectory } from './server-address.ts'

/** libpq's word for the certificate authorities of the system instead of a file. */
/** All roots of a system are a quarter of this. */
const PEM_BYTES_MAX = 1024 * 1024
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

/**
 * The connections to try in order; a later one only after the server refused the one before. Unix
 * sockets are never encrypted.
 */
export function encryptionAttempts(options: ConnectionOptions): readonly Encryption[] {
  return isSocketDirectory(options.host) ? ['plain'] : ATTEMPTS[options.sslmode ?? 'prefer']
}

/**
 * Options for `tls.connect`: certificates read from their files and the check that the mode asks
 * for. `require` with a root certificate checks like `verify-ca`, as in libpq.
 * @throws {BackstayError} POSTGRES_TLS when a file cannot be read or `verify-…` lacks its root
 * certificate.
 */
export async function tlsSettings(options: ConnectionOptions): Promise<NodeTlsOptions> {
  const { host, sslrootcert, sslcert, sslkey, sslcrl } = options
  const check = checkOf(options)
  const usesFile = sslrootcert !== undefined && sslrootcert !== SYSTEM_ROOTS
  return {
    host,
    ...versionsOf(options),
    rejectUnauthorized: check !== 'none',
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(check === 'host' ? {} : { checkServerIdentity: () => undefined }),
    ...(check !== 'none' && usesFile ? { ca: await readPem(options, sslrootcert) } : {}),
    ...(check !== 'none' && sslcrl !== undefined ? { crl: await readPem(options, sslcrl) } : {}),
    ...(sslcert === undefined ? {} : { cert: await readPem(options, sslcert) }),
    ...(sslkey === undefined ? {} : { key: await readPem(options, sslkey) }),
  }
}

const OLDEST = 'TLSv1.2'

/** Older versions than 1.2 may be asked for as the least, and are not spoken all the same. */
function versionsOf(options: ConnectionOptions): NodeTlsOptions {
  const { sslMinVersion = OLDEST, sslMaxVersion } = options
  return {
    minVersion: sslMinVersion === 'TLSv1.3' ? sslMinVersion : OLDEST,
    ...(sslMaxVersion === undefined ? {} : { maxVersion: sslMaxVersion }),
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
  const tooLong = new BackstayError(
    'POSTGRES_TLS',
    `Cannot connect to ${describeServer(options)}: file "${path}" is longer than ${PEM_BYTES_MAX} bytes`,
    { hint: 'It is no file of certificates or a key: look at it.' },
  )
  try {
    await using file = await open(path)
    const { size } = await file.stat()
    // One byte more tells whether it grew, or claims less than it has.
    const buffer = Buffer.alloc(Math.min(size, PEM_BYTES_MAX) + 1)
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null)
    if (size > PEM_BYTES_MAX || bytesRead > size) throw tooLong
    return buffer.subarray(0, bytesRead)
  } catch (cause) {
    if (cause === tooLong) throw cause
    throw new BackstayError(
      'POSTGRES_TLS',
      `Cannot connect to ${describeServer(options)}: file "${path}" cannot be read`,
      { hint: 'Check path and permissions of the certificate file.', cause },
    )
  }
}
