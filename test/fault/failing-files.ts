/**
 * Node's file functions with errors of a test's choice in between: what a disk or file system says when it fails. Must be the first
 * import of a test: modules that keep a reference to a function take it when they are loaded.
 */
import fs from 'node:fs'
import { open } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

/** A call that is about to be made. */
export interface FileCall {
  readonly name: 'write' | 'sync' | 'open' | 'rename' | 'truncate'
  readonly path: string
  /** Of a write at a place: the offset after its last byte. */
  readonly endOffset?: number
}

type Chooser = (call: FileCall) => string | undefined

let choose: Chooser = () => undefined

/** Asks `chooser` before every call: undefined lets it through, an errno name makes it fail. */
export function failFiles(chooser: Chooser): Disposable {
  choose = chooser
  return { [Symbol.dispose]: () => void (choose = () => undefined) }
}

function failureOf(name: FileCall['name'], path: string, given: unknown[]): Error | undefined {
  const [length, position] = name === 'write' ? given.slice(3, 5) : []
  const endOffset = typeof position === 'number' ? Number(length) + position : undefined
  const code = choose({ name, path, ...(endOffset !== undefined && { endOffset }) })
  if (code === undefined) return undefined
  return Object.assign(new Error(`${code}: made to fail, ${name} '${path}'`), { code, errno: -5 })
}

function pathOf(descriptor: number): string {
  return readlink(`/proc/self/fd/${descriptor}`)
}

const { readlinkSync: readlink } = { ...fs }

function wrapSync(
  name: 'writeSync' | 'fdatasyncSync' | 'openSync' | 'renameSync',
  call: FileCall['name'],
): void {
  const real = fs[name] as unknown as (...given: unknown[]) => unknown
  const wrapped = (...given: unknown[]): unknown => {
    const [first] = given
    const failure = failureOf(
      call,
      typeof first === 'number' ? pathOf(first) : String(first),
      given,
    )
    if (failure !== undefined) throw failure
    return real(...given)
  }
  Object.assign(fs, { [name]: wrapped })
}

function wrapCallback(name: 'fdatasync' | 'rename', call: FileCall['name']): void {
  const real = fs[name] as unknown as (...given: unknown[]) => void
  const wrapped = (...given: unknown[]): void => {
    const [first] = given
    const failure = failureOf(
      call,
      typeof first === 'number' ? pathOf(first) : String(first),
      given,
    )
    if (failure === undefined) real(...given)
    else queueMicrotask(() => (given.at(-1) as (error: Error) => void)(failure))
  }
  Object.assign(fs, { [name]: wrapped })
}

wrapSync('writeSync', 'write')
wrapSync('fdatasyncSync', 'sync')
wrapSync('openSync', 'open')
wrapSync('renameSync', 'rename')
wrapCallback('fdatasync', 'sync')
wrapCallback('rename', 'rename')
syncBuiltinESMExports()

{
  await using handle = await open('/dev/null', 'r')
  const handles = Object.getPrototypeOf(handle) as Record<string, (...given: unknown[]) => unknown>
  for (const [method, call] of [
    ['write', 'write'],
    ['sync', 'sync'],
    ['datasync', 'sync'],
  ] as const) {
    const real = handles[method] as (...given: unknown[]) => unknown
    handles[method] = async function wrapped(this: { fd: number }, ...given: unknown[]) {
      const failure = failureOf(call, pathOf(this.fd), [this, ...given])
      if (failure !== undefined) throw failure
      return await real.apply(this, given)
    }
  }
}
