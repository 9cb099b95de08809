/**
 * Where and as whom to connect: what libpq's conninfo says, as values.
 */

/** The words of sslmode from the weakest to the strictest. */
export const SSL_MODES = [
  'disable',
  'allow',
  'prefer',
  'require',
  'verify-ca',
  'verify-full',
] as const

/** libpq's sslmode words, with libpq's meaning. */
export type SslMode = (typeof SSL_MODES)[number]

/** The words of require_auth we know a login for. */
export const AUTH_METHODS = ['none', 'password', 'md5', 'scram-sha-256'] as const

/** libpq's words of require_auth that are understood: `none` is a login without proof. */
export type AuthMethod = (typeof AUTH_METHODS)[number]

/** The words of channel_binding, for readers of connection strings. */
export const CHANNEL_BINDINGS = ['disable', 'prefer', 'require'] as const

/** libpq's words of channel_binding. */
export type ChannelBinding = (typeof CHANNEL_BINDINGS)[number]

/** The words of ssl_min_protocol_version and ssl_max_protocol_version, ascending. */
export const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const

/** Names of TLS versions, which libpq and Node share. */
export type TlsVersion = (typeof TLS_VERSIONS)[number]

/** A connection's address and identity. Defaults are libpq's. */
export interface ConnectionOptions {
  /** Name or address, or the directory of a Unix socket when it starts with `/`. */
  readonly host: string
  readonly port: number
  /**
   * What messages call the server, where the address is only the near end of a way to it. Default:
   * the address.
   */
  readonly label?: string
  readonly user: string
  /** Default: `postgres` for SQL; ignored for physical replication. */
  readonly database?: string
  /** Wins over `passfile`. */
  readonly password?: string
  /**
   * A file in .pgpass format, read when the server asks for a password; refused when others may
   * read it.
   */
  readonly passfile?: string
  readonly sslmode?: SslMode
  readonly sslrootcert?: string
  readonly sslcert?: string
  readonly sslkey?: string
  /** A file of revoked certificates, checked with `sslrootcert`. */
  readonly sslcrl?: string
  /** Default TLSv1.2; nothing older is spoken. */
  readonly sslMinVersion?: TlsVersion
  readonly sslMaxVersion?: TlsVersion
  /**
   * Which proofs the server may ask for. Default: all but clear text, which needs `verify-full`.
   */
  readonly requireAuth?: readonly AuthMethod[]
  /**
   * Default `prefer`. `require` answers a server only that proves itself on this very TLS channel.
   */
  readonly channelBinding?: ChannelBinding
  /**
   * Names the Unix socket (one that is made anew has another name) when it belongs to the server's
   * own OS user and nobody else can exchange it, so that it is trusted without a proof where
   * `requireAuth` asks for one; undefined otherwise. Asked before connecting and after. Default:
   * belongs to root or to us.
   */
  readonly ownSocket?: () => Promise<string | undefined>
  readonly applicationName?: string
  /** Bounds the whole start: TCP, TLS, login. Default 10 s. */
  readonly connectTimeoutMs?: number
  readonly signal?: AbortSignal
}
