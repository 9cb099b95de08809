/**
 * Which proofs a server may ask for, and which end of a login is accepted without one: libpq's
 * require_auth and channel_binding, with a stricter default for passwords in clear text. Whoever
 * answers at an address chooses what it asks for, so it is judged here first. Source: PostgreSQL
 * documentation, "Parameter Key Words": require_auth, channel_binding.
 */
import { lstat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { findDistrust, trustedUids } from '../util/trusted-path.ts'
import type { AuthMethod, ConnectionOptions } from './connection-options.ts'
import { isSocketDirectory, socketPath } from './server-address.ts'

/** What is known of the stream when the server asks. */
export interface LoginGround {
  readonly isEncrypted: boolean
}

/** Why a method is not answered, with what to do. */
export interface LoginRefusal {
  readonly why: string
  readonly hint: string
}

const NAMES: Readonly<Record<AuthMethod, string>> = {
  none: 'lets us in without a proof of who it is',
  password: 'asks for the password in clear text',
  md5: 'asks for the md5 of the password',
  'scram-sha-256': 'asks for SCRAM',
}

/** Undefined when the method may be answered. `none` is a login that ends without any proof. */
export function refusalOf(
  options: ConnectionOptions,
  method: Exclude<AuthMethod, 'none'>,
  ground: LoginGround,
): LoginRefusal | undefined {
  if (options.channelBinding === 'require' && method !== 'scram-sha-256') {
    return refuse(method, 'the channel must be bound, which only SCRAM does')
  }
  const { requireAuth } = options
  if (requireAuth !== undefined) {
    return requireAuth.includes(method) ? undefined : refuse(method, wanted(requireAuth))
  }
  const isVerified = ground.isEncrypted && options.sslmode === 'verify-full'
  if (method !== 'password' || isVerified) return undefined
  const over = ground.isEncrypted
    ? 'the certificate was not checked'
    : 'over an unencrypted connection'
  return refuse(method, over)
}

/**
 * The name of the socket that may vouch for a server, to be asked for before the connection is
 * made; undefined when none can or need. After the login alone it would say nothing of who accepted
 * the connection.
 */
export async function vouchingSocket(options: ConnectionOptions): Promise<string | undefined> {
  const { host, requireAuth, channelBinding } = options
  if (channelBinding === 'require' || requireAuth?.includes('none') !== false) return undefined
  if (!isSocketDirectory(host)) return undefined
  return options.ownSocket === undefined ? await ownSocket(options) : await options.ownSocket()
}

/**
 * Undefined when a server that proved nothing may be talked to: `none` is allowed, or its Unix
 * socket belongs to whom it should, so that nobody else can listen there, and is the one that was
 * there before. @param before what `vouchingSocket` said then.
 */
export async function refusalWithoutProof(
  options: ConnectionOptions,
  before: string | undefined,
): Promise<LoginRefusal | undefined> {
  if (options.channelBinding === 'require') return refuse('none', 'the channel must be bound')
  const { requireAuth } = options
  if (requireAuth === undefined || requireAuth.includes('none')) return undefined
  if (before === undefined) return refuse('none', wanted(requireAuth))
  if ((await vouchingSocket(options)) === before) return undefined
  return refuse('none', 'and its socket was exchanged while we connected')
}

async function ownSocket(options: ConnectionOptions): Promise<string | undefined> {
  const path = socketPath(options)
  const trusted = trustedUids(process.getuid?.() ?? 0, undefined)
  try {
    const found = await lstat(path)
    const isOwn = found.isSocket() && trusted.has(found.uid)
    return isOwn && findDistrust(dirname(path), trusted) === undefined
      ? `${found.dev}:${found.ino}:${found.birthtimeMs}`
      : undefined
  } catch {
    return undefined
  }
}

function wanted(methods: readonly AuthMethod[]): string {
  return `allowed is ${methods.join(', ') || 'nothing'}`
}

function refuse(method: AuthMethod, why: string): LoginRefusal {
  return {
    why: `the server ${NAMES[method]}, ${why}`,
    hint: 'Nothing was told to it. If this is your server, give the role a line with scram-sha-256 in pg_hba.conf (a cluster file says md5 with postgres.authentication); otherwise something stands in between.',
  }
}
