/**
 * The client's side of SCRAM-SHA-256, with or without channel binding, as pure steps: text in, text
 * out. Proves the server too: a server that does not know the password's verifier is refused.
 * Source: RFC 5802, RFC 7677; PostgreSQL documentation, "SASL Authentication".
 */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { BackstayError } from '../errors/backstay-error.ts'
import { saslprep } from './saslprep.ts'

/** The SASL mechanism without channel binding. */
export const SCRAM = 'SCRAM-SHA-256'
/** The SASL mechanism with channel binding: over TLS only. */
export const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS'

/**
 * The most rounds a server may ask for; it is the server that chooses how long we compute
 * (PostgreSQL's default is 4096).
 */
export const MAX_ITERATIONS = 1_000_000

const KEY_BYTES = 32
const derive = promisify(pbkdf2)

/** What the client starts from. */
export interface ScramStart {
  readonly mechanism: typeof SCRAM | typeof SCRAM_PLUS
  /** Printable characters without a comma; fresh for each login. */
  readonly nonce: string
  /** The data of tls-server-end-point, for SCRAM_PLUS. */
  readonly binding: Buffer | undefined
  /**
   * Whether this side could bind the channel although the server did not offer it: shows a
   * downgrade.
   */
  readonly couldBind: boolean
}

/** The client's last message and the signature that the server must answer with. */
export interface ScramFinal {
  readonly message: string
  readonly serverSignature: Buffer
}

/**
 * The client's first message. PostgreSQL takes the user from the startup message, so the name is
 * left empty.
 */
export function scramFirst(start: ScramStart): string {
  return `${channelHeader(start)}${firstBare(start)}`
}

/**
 * Answers the server's first message.
 * @throws {BackstayError} POSTGRES_PROTOCOL when it is malformed.
 */
export async function scramFinal(
  start: ScramStart,
  serverFirst: string,
  password: string,
): Promise<ScramFinal> {
  const { nonce, salt, iterations } = readServerFirst(start, serverFirst)
  const salted = await derive(saslprep(password), salt, iterations, KEY_BYTES, 'sha256')
  const header = Buffer.from(channelHeader(start))
  const channel = Buffer.concat([header, start.binding ?? Buffer.alloc(0)]).toString('base64')
  const withoutProof = `c=${channel},r=${nonce}`
  const authMessage = `${firstBare(start)},${serverFirst},${withoutProof}`
  const clientKey = hmac(salted, 'Client Key')
  const signature = hmac(sha256(clientKey), authMessage)
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)))
  return {
    message: `${withoutProof},p=${proof.toString('base64')}`,
    serverSignature: hmac(hmac(salted, 'Server Key'), authMessage),
  }
}

/**
 * Checks the server's last message.
 * @throws {BackstayError} POSTGRES_AUTH when the server did not prove itself.
 */
export function checkServerFinal(serverFinal: string, expected: Buffer): void {
  const given = Buffer.from(/^v=([^,]+)/.exec(serverFinal)?.[1] ?? '', 'base64')
  if (given.length === expected.length && timingSafeEqual(given, expected)) return
  throw new BackstayError(
    'POSTGRES_AUTH',
    'Cannot log in: the server did not prove that it knows the password',
    { hint: 'Something else may answer at this address: check host and port.' },
  )
}

function channelHeader(start: ScramStart): string {
  if (start.mechanism === SCRAM_PLUS) return 'p=tls-server-end-point,,'
  return start.couldBind ? 'y,,' : 'n,,'
}

function firstBare(start: ScramStart): string {
  return `n=,r=${start.nonce}`
}

function readServerFirst(
  start: ScramStart,
  serverFirst: string,
): { nonce: string; salt: Buffer; iterations: number } {
  const match = /^r=([^,]+),s=([A-Za-z0-9+/=]+),i=([1-9]\d{0,8})(?:,|$)/.exec(serverFirst)
  const [, nonce = '', salt = '', count] = match ?? []
  const iterations = Number(count)
  const isOurs = nonce.startsWith(start.nonce) && nonce.length > start.nonce.length
  if (match === null || !isOurs || iterations > MAX_ITERATIONS) {
    throw new BackstayError('POSTGRES_PROTOCOL', 'Cannot log in: the SCRAM challenge is malformed')
  }
  return { nonce, salt: Buffer.from(salt, 'base64'), iterations }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
