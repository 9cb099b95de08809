/**
 * Takes in the bytes of one file, in order. A returned promise holds the stream back.
 */
export interface FileIntake {
  /** A view into the receive buffer: valid until the call settles. */
  data(chunk: Uint8Array): void | Promise<void>
  /** All bytes were given. */
  end(): void | Promise<void>
}
