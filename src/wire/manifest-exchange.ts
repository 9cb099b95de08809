/**
 * UPLOAD_MANIFEST: sends an earlier backup's manifest, so that an incremental base backup can refer
 * to it. Source: PostgreSQL documentation, "Streaming Replication Protocol", UPLOAD_MANIFEST (17+).
 */
import { type Exchange, unexpectedMessage } from './conversation.ts'
import { encodeCopyData, encodeCopyDone, encodeCopyFail } from './frontend-messages.ts'
import { BACKEND } from './message-types.ts'
import type { Transport } from './transport.ts'

/** The bytes of a manifest, in pieces of any size. */
export type ManifestSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** Sends one manifest when the server is ready for it. */
export class ManifestExchange implements Exchange {
  readonly action: string
  readonly #transport: Transport
  readonly #source: ManifestSource
  #failure: { readonly error: unknown } | undefined

  constructor(action: string, transport: Transport, source: ManifestSource) {
    this.action = action
    this.#transport = transport
    this.#source = source
  }

  /** What the source threw: the server was told and answered with an error of its own. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure
  }

  message(type: number): void | Promise<void> {
    if (type === BACKEND.copyInResponse) return this.#send()
    if (type !== BACKEND.commandComplete) throw unexpectedMessage(this.action, type)
  }

  async #send(): Promise<void> {
    try {
      for await (const piece of this.#source) {
        if (!this.#transport.write(encodeCopyData(piece))) await this.#transport.drained()
      }
      this.#transport.write(encodeCopyDone())
    } catch (error) {
      if (!this.#transport.isWritable) return
      this.#failure = { error }
      this.#transport.write(encodeCopyFail('the manifest could not be read'))
    }
  }
}
