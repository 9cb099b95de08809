/**
 * What the client sends, as bytes. Pure; secrets pass through and are kept nowhere.
 * Source: PostgreSQL documentation, "Message Formats".
 */

const PROTOCOL_3_0 = 196_608
const SSL_REQUEST = 80_877_103
const CANCEL_REQUEST = 80_877_102

/** Names the server process that a CancelRequest is for. */
export interface BackendKey {
  readonly processId: number
  /** Four bytes up to protocol 3.0; kept as bytes because later protocols send more. */
  readonly secret: Buffer
}

/** StartupMessage of protocol 3.0. Values must not hold a zero byte. */
export function encodeStartup(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [text(name), text(value)])
  return untyped(int32(PROTOCOL_3_0), ...pairs, Buffer.of(0))
}

/** SSLRequest: the server answers with the single byte `S` or `N`. */
export function encodeSslRequest(): Buffer {
  return untyped(int32(SSL_REQUEST))
}

/** CancelRequest: sent alone on a connection of its own, which the server then closes. */
export function encodeCancelRequest(key: BackendKey): Buffer {
  return untyped(int32(CANCEL_REQUEST), int32(key.processId), key.secret)
}

/** PasswordMessage with an md5 answer or, over a safe connection, the clear text. */
export function encodePassword(password: string): Buffer {
  return typed('p', text(password))
}

/** SASLInitialResponse: the chosen mechanism and the client's first message. */
export function encodeSaslInitial(mechanism: string, response: string): Buffer {
  const bytes = Buffer.from(response)
  return typed('p', text(mechanism), int32(bytes.length), bytes)
}

/** SASLResponse: the client's message after a challenge of the server. */
export function encodeSaslResponse(response: string): Buffer {
  return typed('p', Buffer.from(response))
}

/** Query of the simple protocol: SQL, or a replication command. */
export function encodeQuery(command: string): Buffer {
  return typed('Q', text(command))
}

/** CopyData; `payload` is copied. */
export function encodeCopyData(payload: Uint8Array): Buffer {
  return typed('d', payload)
}

/** CopyDone: no more CopyData from this side. */
export function encodeCopyDone(): Buffer {
  return typed('c')
}

/** CopyFail: the server rejects the copy with `reason` in its error. */
export function encodeCopyFail(reason: string): Buffer {
  return typed('f', text(reason))
}

/** Terminate: a polite end, so that the server logs no broken connection. */
export function encodeTerminate(): Buffer {
  return typed('X')
}

function typed(type: string, ...parts: Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from(type, 'latin1'), untyped(...parts)])
}

function untyped(...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([int32(body.length + 4), body])
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`)
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
