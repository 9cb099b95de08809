/**
 * Answers a server's requests for proof, for replication and SQL alike: nothing is answered, and no
 * end accepted, that the options' `requireAuth` and `channelBinding` do not allow.
 */
import { randomBytes } from 'node:crypto'
import { BackstayError } from '../errors/backstay-error.ts'
import type { AuthenticationRequest } from './backend-messages.ts'
import { serverEndPoint } from './channel-binding.ts'
import type { AuthMethod, ConnectionOptions } from './connection-options.ts'
import { encodePassword, encodeSaslInitial, encodeSaslResponse } from './frontend-messages.ts'
import { type LoginRefusal, refusalOf, refusalWithoutProof } from './login-policy.ts'
import { findPassword, md5Answer } from './password.ts'
import {
  checkServerFinal,
  SCRAM,
  SCRAM_PLUS,
  scramFinal,
  scramFirst,
  type ScramStart,
} from './scram.ts'

const NONCE_BYTES = 18

/** What a login needs of the stream. */
export interface LoginChannel {
  readonly isEncrypted: boolean
  /** The server's certificate in DER, when the stream is encrypted. */
  readonly certificate: { readonly raw?: Uint8Array } | undefined
  write(bytes: Uint8Array): boolean
}

/** What a login is for. */
export interface LoginOrder {
  /** Start of the sentence of an error: `Cannot log in to db1:5432 as "x"`. */
  readonly action: string
  readonly options: ConnectionOptions
  /** As password files and pg_hba.conf name it; `replication` for physical replication. */
  readonly database: string
  /** What `vouchingSocket` said before the connection was made. */
  readonly socket: string | undefined
}

/** One login. Calls of `answer` one after the other. */
export class Login {
  readonly #order: LoginOrder
  readonly #channel: LoginChannel
  #scram: ScramStart | undefined
  #serverSignature: Buffer | undefined
  /** What we answered last; for SCRAM the server has to prove itself before it counts. */
  #proof: Exclude<AuthMethod, 'none'> | 'unproved' | undefined
  #isOver = false

  constructor(order: LoginOrder, channel: LoginChannel) {
    this.#order = order
    this.#channel = channel
  }

  /** Whether the server said that it lets us in, and that was acceptable. */
  get isOver(): boolean {
    return this.#isOver
  }

  /**
   * @throws {BackstayError} POSTGRES_AUTH when the request is not allowed, there is no password,
   * the server is not who it should be; POSTGRES_PROTOCOL
   */
  async answer(request: AuthenticationRequest): Promise<void> {
    if (this.#isOver) throw this.#refuse('the login went on after its end')
    switch (request.kind) {
      case 'ok':
        return this.#end()
      case 'cleartext':
        this.#allow('password')
        this.#channel.write(encodePassword(await this.#password()))
        return
      case 'md5': {
        this.#allow('md5')
        const login = { user: this.#order.options.user, password: await this.#password() }
        this.#channel.write(encodePassword(md5Answer(login, request.salt)))
        return
      }
      case 'sasl':
        this.#allow('scram-sha-256')
        this.#channel.write(this.#startScram(request.mechanisms))
        return
      case 'sasl-continue':
        this.#channel.write(await this.#continueScram(request.data))
        return
      case 'sasl-final':
        return this.#finishScram(request.data)
      case 'unsupported':
        throw this.#refuse(`authentication method ${request.number} is not supported`)
    }
  }

  #allow(method: Exclude<AuthMethod, 'none'>): void {
    // A server asks once: a second question would turn one kind of proof into another.
    if (this.#proof !== undefined) throw this.#refuse('the server asked for a second proof')
    const { options } = this.#order
    const refusal = refusalOf(options, method, { isEncrypted: this.#channel.isEncrypted })
    if (refusal !== undefined) throw this.#refusal(refusal)
    this.#proof = method === 'scram-sha-256' ? 'unproved' : method
  }

  async #end(): Promise<void> {
    if (this.#proof === 'unproved') throw this.#refuse('the server skipped its own proof')
    if (this.#proof === undefined) {
      const { options, socket } = this.#order
      const refusal = await refusalWithoutProof(options, socket)
      if (refusal !== undefined) throw this.#refusal(refusal)
    }
    this.#isOver = true
  }

  async #password(): Promise<string> {
    return findPassword(this.#order.options, this.#order.database)
  }

  #startScram(mechanisms: readonly string[]): Buffer {
    const binding = this.#binding()
    const mechanism = binding !== undefined && mechanisms.includes(SCRAM_PLUS) ? SCRAM_PLUS : SCRAM
    if (this.#order.options.channelBinding === 'require' && mechanism !== SCRAM_PLUS) {
      throw this.#refusal(unbound(this.#channel, binding))
    }
    if (!mechanisms.includes(mechanism)) {
      throw this.#refuse(`no SASL mechanism of "${mechanisms.join(', ')}" is supported`)
    }
    this.#scram = {
      mechanism,
      nonce: randomBytes(NONCE_BYTES).toString('base64'),
      binding: mechanism === SCRAM_PLUS ? binding : undefined,
      couldBind: binding !== undefined,
    }
    return encodeSaslInitial(mechanism, scramFirst(this.#scram))
  }

  #binding(): Buffer | undefined {
    const { certificate } = this.#channel
    const isUnwanted = this.#order.options.channelBinding === 'disable'
    return certificate?.raw === undefined || isUnwanted
      ? undefined
      : serverEndPoint(certificate.raw)
  }

  async #continueScram(serverFirst: string): Promise<Buffer> {
    if (this.#scram === undefined) throw this.#refuse('SCRAM went on before it began')
    if (this.#serverSignature !== undefined) throw this.#refuse('SCRAM went on after its end')
    const final = await scramFinal(this.#scram, serverFirst, await this.#password())
    this.#serverSignature = final.serverSignature
    return encodeSaslResponse(final.message)
  }

  #finishScram(serverFinal: string): void {
    if (this.#serverSignature === undefined) throw this.#refuse('SCRAM ended before it began')
    checkServerFinal(serverFinal, this.#serverSignature)
    this.#proof = 'scram-sha-256'
  }

  #refusal({ why, hint }: LoginRefusal): BackstayError {
    return this.#refuse(why, { hint })
  }

  #refuse(why: string, options: { hint?: string } = {}): BackstayError {
    return new BackstayError('POSTGRES_AUTH', `${this.#order.action}: ${why}`, options)
  }
}

function unbound(channel: LoginChannel, binding: Buffer | undefined): LoginRefusal {
  const offered = 'the server does not offer to bind its proof to this TLS channel'
  const why = !channel.isEncrypted
    ? 'the channel must be bound, and it is not encrypted'
    : binding === undefined
      ? "the channel must be bound, and the server's certificate has no hash to bind it with"
      : `the channel must be bound, and ${offered}: something may stand in between`
  return {
    why,
    hint: 'Every PostgreSQL from 11 on offers it over TLS; with sslmode verify-full it is not needed.',
  }
}
