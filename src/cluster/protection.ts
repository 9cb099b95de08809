/**
 * How every connection of a cluster over the network is protected, as our own clients and as
 * libpq's words want to hear it: TLS as the cluster file says, and no other proof answered than the
 * method the cluster's roles have.
 */
import type { AuthMethod, ConnectionOptions } from '../wire/connection-options.ts'
import { isSocketDirectory } from '../wire/server-address.ts'
import type { ClusterWanted } from './wanted.ts'

/** The options that protect. */
export type Protection = Pick<
  ConnectionOptions,
  'sslmode' | 'sslrootcert' | 'sslcert' | 'sslkey' | 'requireAuth' | 'channelBinding'
>

const REQUIRE_AUTH_SINCE = 16
const CHANNEL_BINDING_SINCE = 13

/**
 * For connections of Backstay itself. On a Unix socket nobody is in between, and there is no
 * channel to bind.
 */
export function protectionOf(wanted: ClusterWanted, host: string): Protection {
  const { mode, rootCert, cert, key } = wanted.ssl ?? {}
  return {
    requireAuth: methodsOf(wanted),
    ...(isBound(wanted) && !isSocketDirectory(host) ? { channelBinding: 'require' } : {}),
    ...(mode === undefined ? {} : { sslmode: mode }),
    ...(rootCert === undefined ? {} : { sslrootcert: rootCert }),
    ...(cert === undefined ? {} : { sslcert: cert }),
    ...(key === undefined ? {} : { sslkey: key }),
  }
}

/**
 * For libpq of the cluster's own version: standbys, pg_rewind. Words it does not know yet are left
 * out.
 */
export function protectionWords(
  wanted: ClusterWanted,
): Readonly<Record<string, string | undefined>> {
  const { version } = wanted.postgres
  const { mode, rootCert, cert, key } = wanted.ssl ?? {}
  const binding = isBound(wanted) && version >= CHANNEL_BINDING_SINCE
  return {
    sslmode: mode,
    sslrootcert: rootCert,
    sslcert: cert,
    sslkey: key,
    channel_binding: binding ? 'require' : undefined,
    require_auth: version >= REQUIRE_AUTH_SINCE ? methodsOf(wanted).join(',') : undefined,
  }
}

/** The same as libpq's environment variables. */
export function protectionVariables(wanted: ClusterWanted): Readonly<Record<string, string>> {
  const words = Object.entries(protectionWords(wanted))
  return Object.fromEntries(
    words.flatMap(([word, value]) =>
      value === undefined ? [] : [[`PG${word.replaceAll('_', '').toUpperCase()}`, value]],
    ),
  )
}

/** Where lines say md5, a role whose password is stored for SCRAM is asked for SCRAM. */
function methodsOf({ postgres }: ClusterWanted): readonly AuthMethod[] {
  return postgres.authentication === 'md5' ? ['md5', 'scram-sha-256'] : ['scram-sha-256']
}

/**
 * Whether the server has to prove itself on this very channel. Every PostgreSQL that is supported
 * does over TLS, so that `require` is safe from somebody in the middle without any root
 * certificate; `verify-full` is so by itself.
 */
function isBound({ postgres, ssl }: ClusterWanted): boolean {
  const isUnproved = ssl?.mode === 'require' || ssl?.mode === 'verify-ca'
  return isUnproved && postgres.authentication === 'scram-sha-256'
}
