/**
 * What goes through the pipe between a store's user and the process that has its files: frames,
 * each with its length ahead. Requests are JSON, because who asks may be somebody else; answers are
 * bytes, or values as text (pipe-values.ts), because who answers may be.
 */
import type { Readable } from 'node:stream'
import { BackstayError } from '../errors/backstay-error.ts'
import { ERROR_KINDS, type ErrorCode } from '../errors/codes.ts'
import { textOf } from '../util/text-of.ts'
import { decodeValue, encodeValue } from './pipe-values.ts'

/** What is asked: a word, and what it needs. */
export interface PipeRequest {
  readonly id: number
  readonly call: string
  readonly with: Readonly<Record<string, unknown>>
}

/** The answer to the request `id`: bytes that were read, a value, or the error it failed with. */
export type PipeAnswer =
  | { readonly id: number; readonly bytes: Buffer }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: BackstayError }

const KIND_BYTES = 0
const KIND_VALUE = 1
const KIND_FAILURE = 2
/** Length of what follows, number of the request, kind. */
const HEAD_BYTES = 9
/** One read asks for at most this many bytes; a frame may have a little more. */
export const READ_BYTES_MAX = 8 * 1024 * 1024
const ANSWER_BYTES_MAX = 64 * 1024 * 1024
const REQUEST_BYTES_MAX = 256 * 1024
/** The head of an answer holds 32 bits of it. */
const ID_MAX = 2 ** 32 - 1

/** The frame of a request. */
export function requestFrame(request: PipeRequest): Buffer {
  const text = Buffer.from(JSON.stringify(request))
  const head = Buffer.alloc(4)
  head.writeUInt32BE(text.length)
  return Buffer.concat([head, text])
}

/** Cuts requests out of a stream. @throws {BackstayError} FAILED for what is none */
export async function* readRequests(stream: Readable): AsyncGenerator<PipeRequest> {
  for await (const body of bodies(stream, { extra: 0, limit: REQUEST_BYTES_MAX })) {
    yield requestOf(body)
  }
}

function requestOf(body: Buffer): PipeRequest {
  const value = parsed(() => JSON.parse(body.toString()) as unknown)
  const { id, call, with: given } = Object(value) as Partial<PipeRequest>
  const isNumber = Number.isInteger(id) && Number(id) >= 0 && Number(id) <= ID_MAX
  if (isNumber && typeof call === 'string' && typeof given === 'object' && Boolean(given)) {
    return { id: Number(id), call, with: given }
  }
  throw new BackstayError('FAILED', 'Cannot answer: what came is no request')
}

/** What came may be anything: what cannot be read is no bug of this side. */
function parsed(read: () => unknown): unknown {
  try {
    return read()
  } catch (cause) {
    throw new BackstayError('FAILED', 'Cannot read from the pipe: what came is damaged', { cause })
  }
}

/** The parts of an answer's frame, to be written one after the other. */
export function answerFrame(answer: PipeAnswer): readonly Buffer[] {
  const [kind, body] =
    'bytes' in answer
      ? [KIND_BYTES, answer.bytes]
      : 'value' in answer
        ? [KIND_VALUE, encodeValue(answer.value)]
        : [KIND_FAILURE, encodeValue(failureOf(answer.failure))]
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt32BE(body.length)
  head.writeUInt32BE(answer.id, 4)
  head.writeUInt8(kind, 8)
  return [head, body]
}

/** Cuts answers out of a stream. @throws {BackstayError} FAILED for what is none */
export async function* readAnswers(stream: Readable): AsyncGenerator<PipeAnswer> {
  const extra = HEAD_BYTES - 4
  for await (const frame of bodies(stream, { extra, limit: ANSWER_BYTES_MAX })) {
    const id = frame.readUInt32BE(0)
    const body = frame.subarray(extra)
    const kind = frame.readUInt8(4)
    if (kind === KIND_BYTES) yield { id, bytes: body }
    else if (kind === KIND_VALUE) yield { id, value: parsed(() => decodeValue(body)) }
    else yield { id, failure: asError(parsed(() => decodeValue(body))) }
  }
}

interface Failure {
  readonly code: string
  readonly message: string
  readonly hint: string
}

function failureOf({ code, message, hint }: BackstayError): Failure {
  return { code, message, hint }
}

function asError(value: unknown): BackstayError {
  const { code, message, hint } = Object(value) as Partial<Failure>
  const isKnown = typeof code === 'string' && Object.hasOwn(ERROR_KINDS, code)
  const known = isKnown ? (code as ErrorCode) : 'FAILED'
  return new BackstayError(known, textOf(message), { hint: textOf(hint) })
}

/** Bodies of frames whose first four bytes are the length of what follows `extra` more. */
async function* bodies(
  stream: Readable,
  { extra, limit }: { readonly extra: number; readonly limit: number },
): AsyncGenerator<Buffer> {
  let parts: Buffer[] = []
  let held = 0
  let wanted = 4
  let isHead = true
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    parts.push(chunk)
    held += chunk.length
    while (held >= wanted) {
      const [first] = parts
      const all = parts.length === 1 && first !== undefined ? first : Buffer.concat(parts, held)
      const body = all.subarray(0, wanted)
      const rest = all.subarray(wanted)
      parts = rest.length === 0 ? [] : [rest]
      held = rest.length
      if (!isHead) yield body
      wanted = isHead ? body.readUInt32BE() + extra : 4
      isHead = !isHead
      if (wanted <= limit) continue
      throw new BackstayError('FAILED', `Cannot read from the pipe: a frame of ${wanted} bytes`)
    }
  }
  if (held === 0 && isHead) return
  throw new BackstayError('FAILED', 'Cannot read from the pipe: it ended within a frame')
}
