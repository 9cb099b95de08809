/**
 * Serves a store, and whatever else it is given, to the process at the other end of a pipe
 * (pipe-client.ts). Only names inside one scope are seen; everything is read, nothing written.
 */
import type { Readable, Writable } from 'node:stream'
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import {
  answerFrame,
  type PipeAnswer,
  type PipeRequest,
  READ_BYTES_MAX,
  readRequests,
} from './pipe-frames.ts'
import type { ObjectReader, Store } from './store.ts'

/** Requests answered at a time; a client that sends more waits. */
const RUNNING_MAX = 32
/**
 * Bytes of answers that are not written yet, besides one: a client that takes none must not fill
 * the memory.
 */
const UNWRITTEN_BYTES_MAX = 2 * READ_BYTES_MAX
/** Objects kept open. */
const OPEN_MAX = 64

/** Answers one kind of call with a value. */
export type PipeHandler = (given: Readonly<Record<string, unknown>>) => Promise<unknown>

/** The store that is served, what of it is seen, and when a silent client is given up. */
export interface PipeService {
  readonly store: Store
  /** Whether a name, or a folder, may be seen. */
  readonly sees: (name: string) => boolean
  /** Calls besides those of the store. */
  readonly calls?: Readonly<Record<string, PipeHandler>>
  /**
   * Ends when so long no request comes and no answer is taken; left out: never. What was not taken
   * is told to `giveUp`.
   */
  readonly idle?: { readonly limitMs: number; readonly giveUp: () => void }
}

/**
 * Answers until the input ends. Objects stay open while they are read.
 * @throws {BackstayError} INTERRUPTED when it was idle
 */
export async function servePipe(
  service: PipeService,
  input: Readable,
  output: Writable,
): Promise<void> {
  await using objects = new OpenObjects(service)
  using idle = watchIdle(service.idle, input, output)
  const calls: Readonly<Record<string, PipeHandler>> = { ...storeCalls(service), ...service.calls }
  const running = new Map<Promise<void>, number>()
  let listed: Promise<void> = Promise.resolve()
  const bytesRunning = (): number => [...running.values()].reduce((sum, bytes) => sum + bytes, 0)
  for await (const request of readRequests(input)) {
    idle.refresh()
    while (bytesRunning() > UNWRITTEN_BYTES_MAX) await Promise.race(running.keys())
    idle.throwIfOver()
    const work = async (): Promise<void> => write(output, await answer(request, calls, objects))
    const answered = hasKnownSize(request) ? work() : (listed = listed.then(work))
    const done = answered.finally(() => {
      idle.refresh()
      running.delete(done)
    })
    running.set(done, bytesOf(request))
    // One that cannot be written ends everything below.
    done.catch(() => undefined)
    if (running.size >= RUNNING_MAX) await Promise.race(running.keys())
  }
  await Promise.all(running.keys())
}

/**
 * Others are answered one at a time: how much a list is shows when it is made, and a client need
 * not take it.
 */
function hasKnownSize({ call }: PipeRequest): boolean {
  return call === 'read' || call === 'size'
}

/** Bytes the answer may have: those of a read are known. */
function bytesOf({ call, with: given }: PipeRequest): number {
  return call === 'read' && isCount(given['length']) ? given['length'] : 0
}

interface IdleWatch extends Disposable {
  refresh(): void
  throwIfOver(): void
}

function watchIdle(limit: PipeService['idle'], input: Readable, output: Writable): IdleWatch {
  const nothing = (): void => undefined
  if (limit === undefined)
    return { refresh: nothing, throwIfOver: nothing, [Symbol.dispose]: nothing }
  const { limitMs, giveUp } = limit
  let over: BackstayError | undefined
  const timer = setTimeout(() => {
    over = new BackstayError('INTERRUPTED', `Nobody has asked for ${limitMs / 1000} s`)
    input.destroy(over)
    // Whoever waits for it to be taken goes on.
    output.destroy()
    giveUp()
  }, limitMs)
  return {
    refresh: () => void (over === undefined && timer.refresh()),
    // Requests that came before it was over are not answered any more.
    throwIfOver: () => {
      if (over !== undefined) throw over
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  }
}

async function answer(
  request: PipeRequest,
  calls: Readonly<Record<string, PipeHandler>>,
  objects: OpenObjects,
): Promise<PipeAnswer> {
  const { id, call, with: given } = request
  try {
    if (call === 'read') return { id, bytes: await objects.read(given) }
    const handler = Object.hasOwn(calls, call) ? calls[call] : undefined
    if (handler !== undefined) return { id, value: await handler(given) }
    throw new BackstayError('FAILED', `Cannot answer: "${call}" is no call`)
  } catch (error) {
    const failure = isBackstayError(error)
      ? error
      : new BackstayError('BUG', error instanceof Error ? error.message : String(error))
    return { id, failure }
  }
}

async function write(output: Writable, answered: PipeAnswer): Promise<void> {
  output.cork()
  const isRoomy = answerFrame(answered).map((part) => output.write(part))
  output.uncork()
  if (isRoomy.every(Boolean) || output.destroyed) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      output.off('drain', done).off('close', done)
      resolve()
    }
    output.on('drain', done).on('close', done)
  })
}

function storeCalls({ store, sees }: PipeService): Record<string, PipeHandler> {
  return {
    size: async ({ name }) => (sees(text(name)) ? await store.size(text(name)) : undefined),
    list: async ({ folder }) => {
      const names: string[] = []
      for await (const name of store.list(text(folder))) if (sees(name)) names.push(name)
      return names
    },
    listObjects: async ({ folder }) => {
      const names = await store.listObjects(text(folder))
      return names.filter((name) => sees(join(text(folder), name)))
    },
    listFolders: async ({ folder }) => {
      const names = await store.listFolders(text(folder))
      return names.filter((name) => sees(join(text(folder), name)))
    },
  }
}

interface OpenObject {
  readonly object: Promise<ObjectReader | undefined>
  /** Reads under way. */
  readers: number
}

/** Keeps objects open between reads: a restore comes back to the same packs again and again. */
class OpenObjects implements AsyncDisposable {
  readonly #service: PipeService
  readonly #open = new Map<string, OpenObject>()

  constructor(service: PipeService) {
    this.#service = service
  }

  async read(given: Readonly<Record<string, unknown>>): Promise<Buffer> {
    const [name, position, length] = [text(given['name']), given['position'], given['length']]
    if (!isCount(position) || !isCount(length) || length > READ_BYTES_MAX) {
      throw new BackstayError('FAILED', 'Cannot read: position or length is none')
    }
    const open = this.#opened(name)
    open.readers += 1
    try {
      const object = await open.object
      if (object === undefined) throw absent(name)
      const target = Buffer.allocUnsafe(length)
      await object.read(position, target)
      return target
    } finally {
      open.readers -= 1
      await this.#closeIdle(OPEN_MAX)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closeIdle(0)
  }

  #opened(name: string): OpenObject {
    const known = this.#open.get(name)
    if (known !== undefined) return known
    const { sees, store } = this.#service
    const object = sees(name) ? store.open(name) : Promise.resolve(undefined)
    const open = { object, readers: 0 }
    this.#open.set(name, open)
    return open
  }

  /** The oldest that nobody reads, until `most` are left. */
  async #closeIdle(most: number): Promise<void> {
    for (const [name, { object, readers }] of this.#open) {
      if (this.#open.size <= most) return
      if (readers > 0) continue
      this.#open.delete(name)
      // One that could not be opened has been told to its reader.
      await (await object.catch(() => undefined))?.[Symbol.asyncDispose]()
    }
  }
}

function absent(name: string): BackstayError {
  return new BackstayError('REPOSITORY_DAMAGED', `Cannot read "${name}": it is not there`)
}

function join(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`
}

function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw new BackstayError('FAILED', 'Cannot answer: a name is missing')
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
