/**
 * The login conversation: startup message, then whatever proof the server asks for, up to ReadyForQuery.
 */
import { randomBytes } from 'node:crypto'
import { BackstayError } from '../errors/backstay-error.ts'
import { decodeAuthentication, type AuthenticationRequest } from './backend-messages.ts'
import { serverEndPoint } from './channel-binding.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { type Exchange, unexpectedMessage } from './conversation.ts'
import { encodePassword, encodeSaslInitial, encodeSaslResponse } from './frontend-messages.ts'
import { BACKEND } from './message-types.ts'
import { findPassword, md5Answer } from './password.ts'
import {
  checkServerFinal,
  SCRAM,
  SCRAM_PLUS,
  scramFinal,
  scramFirst,
  type ScramStart,
} from './scram.ts'
import { isSocketDirectory } from './server-address.ts'
import type { Transport } from './transport.ts'

const NONCE_BYTES = 18
/** The database that password files and pg_hba.conf name for physical replication. */
const DATABASE = 'replication'

/** Answers the server's authentication requests. One object for one login. */
export class LoginExchange implements Exchange {
  readonly action: string
  readonly #options: ConnectionOptions
  readonly #transport: Transport
  #scram: ScramStart | undefined
  #serverSignature: Buffer | undefined
  /** The server proved itself, or was not asked to (no SCRAM). */
  #isProved = true

  constructor(action: string, options: ConnectionOptions, transport: Transport) {
    this.action = action
    this.#options = options
    this.#transport = transport
  }

  message(type: number, payload: Buffer): void | Promise<void> {
    if (type === BACKEND.negotiateProtocolVersion) return
    if (type !== BACKEND.authentication) throw unexpectedMessage(this.action, type)
    return this.#answer(decodeAuthentication(payload))
  }

  async #answer(request: AuthenticationRequest): Promise<void> {
    switch (request.kind) {
      case 'ok':
        if (!this.#isProved) throw this.#refuse('the server skipped its own proof')
        return
      case 'cleartext':
        this.#assertSafe()
        this.#transport.write(encodePassword(await this.#password()))
        return
      case 'md5': {
        const login = { user: this.#options.user, password: await this.#password() }
        this.#transport.write(encodePassword(md5Answer(login, request.salt)))
        return
      }
      case 'sasl':
        this.#transport.write(this.#startScram(request.mechanisms))
        return
      case 'sasl-continue':
        this.#transport.write(await this.#continueScram(request.data))
        return
      case 'sasl-final':
        if (this.#serverSignature === undefined) throw this.#refuse('SCRAM ended before it began')
        checkServerFinal(request.data, this.#serverSignature)
        this.#isProved = true
        return
      case 'unsupported':
        throw this.#refuse(`authentication method ${request.number} is not supported`)
    }
  }

  async #password(): Promise<string> {
    return findPassword(this.#options, DATABASE)
  }

  #startScram(mechanisms: readonly string[]): Buffer {
    const certificate = this.#transport.certificate
    const binding = certificate === undefined ? undefined : serverEndPoint(certificate.raw)
    const mechanism = binding !== undefined && mechanisms.includes(SCRAM_PLUS) ? SCRAM_PLUS : SCRAM
    if (!mechanisms.includes(mechanism)) {
      throw this.#refuse(`no SASL mechanism of "${mechanisms.join(', ')}" is supported`)
    }
    this.#isProved = false
    this.#scram = {
      mechanism,
      nonce: randomBytes(NONCE_BYTES).toString('base64'),
      binding: mechanism === SCRAM_PLUS ? binding : undefined,
      couldBind: binding !== undefined,
    }
    return encodeSaslInitial(mechanism, scramFirst(this.#scram))
  }

  async #continueScram(serverFirst: string): Promise<Buffer> {
    if (this.#scram === undefined) throw this.#refuse('SCRAM went on before it began')
    const final = await scramFinal(this.#scram, serverFirst, await this.#password())
    this.#serverSignature = final.serverSignature
    return encodeSaslResponse(final.message)
  }

  #assertSafe(): void {
    if (this.#transport.isEncrypted || isSocketDirectory(this.#options.host)) return
    throw this.#refuse('it asks for the password in clear text over an unencrypted connection', {
      hint: 'Use scram-sha-256 in pg_hba.conf, or sslmode=require.',
    })
  }

  #refuse(why: string, options: { hint?: string } = {}): BackstayError {
    return new BackstayError('POSTGRES_AUTH', `${this.action}: ${why}`, options)
  }
}
