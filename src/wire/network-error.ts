/**
 * What goes wrong below PostgreSQL's protocol (sockets, name lookup, TLS) as our errors.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ErrorCode } from '../errors/codes.ts'

const TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused: nothing listens there',
  ECONNRESET: 'the other side reset the connection',
  EPIPE: 'the other side closed the connection',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ETIMEDOUT: 'no answer',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name could not be looked up for now',
  ENOENT: 'there is no such Unix socket',
  EACCES: 'the OS user may not open the Unix socket',
  EPROTO: 'the TLS handshake failed: versions or ciphers of the two sides do not meet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host',
}

const LOST = new Set(['ECONNRESET', 'EPIPE'])
const TLS =
  /^(EPROTO|ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_|INVALID_CA)/

/**
 * The error for a socket failure; `action` is the start of the sentence: `Cannot connect to
 * db1:5432`.
 */
export function networkError(action: string, error: unknown): BackstayError {
  if (error instanceof BackstayError) return error
  const code = errnoOf(error)
  const text = TEXTS[code] ?? (error instanceof Error ? error.message : String(error))
  return new BackstayError(kindOf(code), `${action}: ${text}`, {
    ...(code === '' ? {} : { details: { errno: code } }),
    cause: error,
  })
}

function kindOf(errno: string): ErrorCode {
  if (TLS.test(errno)) return 'POSTGRES_TLS'
  return LOST.has(errno) ? 'POSTGRES_CONNECTION_LOST' : 'POSTGRES_UNREACHABLE'
}

function errnoOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : ''
}
