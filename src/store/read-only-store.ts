/**
 * What a store does that is only read from here: everything that writes is refused.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type {
  ObjectReader,
  ObjectWriter,
  PutOutcome,
  Store,
  StoreAddress,
  SweptLeftovers,
} from './store.ts'

/** The half of a store that writes. A driver adds the half that reads. */
export abstract class ReadOnlyStore implements Store {
  abstract readonly location: string
  abstract readonly address: StoreAddress | undefined
  abstract get(name: string, limitBytes: number): Promise<Buffer | undefined>
  abstract open(name: string): Promise<ObjectReader | undefined>
  abstract size(name: string): Promise<number | undefined>
  abstract list(folder: string): AsyncIterable<string>
  abstract listObjects(folder: string): Promise<string[]>
  abstract listFolders(folder: string): Promise<string[]>

  put(): Promise<PutOutcome> {
    return this.#refuse()
  }

  replace(): Promise<void> {
    return this.#refuse()
  }

  create(): Promise<ObjectWriter> {
    return this.#refuse()
  }

  delete(): Promise<boolean> {
    return this.#refuse()
  }

  sweep(): Promise<SweptLeftovers> {
    return this.#refuse()
  }

  #refuse(): Promise<never> {
    return Promise.reject(new BackstayError('BUG', `Cannot write to ${this.location} from here`))
  }
}
