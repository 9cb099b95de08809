/**
 * Names of unfinished files: they begin with a dot and say which process writes them.
 */
import { createHash } from 'node:crypto'
import { livenessOf, type Liveness, type ProcessIdentity } from '../util/process-identity.ts'

const PATTERN = /^\..+\.([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{8})-(\d+)-(\d+)-\d+\.tmp$/

/**
 * `.<base>.<host>-<boot>-<namespace>-<pid>-<start>-<number>.tmp`, unique as long as `number` is
 * within the process.
 */
export function temporaryName(base: string, owner: ProcessIdentity, number: number): string {
  const place = [owner.host, owner.bootId, owner.pidNamespace].map(shortHash).join('-')
  return `.${base}.${place}-${owner.pid}-${owner.startTicks}-${number}.tmp`
}

/** Whether the writer of the unfinished file `name` lives; undefined when it is no such name. */
export function writerLiveness(name: string, self: ProcessIdentity): Liveness | undefined {
  const match = PATTERN.exec(name)
  if (match === null) return undefined
  const [host, bootId, pidNamespace] = [self.host, self.bootId, self.pidNamespace].map(shortHash)
  const writer = {
    host: match[1] === host ? self.host : '',
    bootId: match[2] === bootId ? self.bootId : '',
    pidNamespace: match[3] === pidNamespace ? self.pidNamespace : '',
    pid: Number(match[4]),
    startTicks: Number(match[5]),
  }
  return livenessOf(writer, self)
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}
