/**
 * Locks between processes (docs/repository-format.md §10). A holder that died, by SIGKILL or with
 * its host, does not block.
 */
import { randomUUID } from 'node:crypto'
import { BackstayError } from '../errors/backstay-error.ts'
import {
  isProcessIdentity,
  type Liveness,
  livenessOf,
  type ProcessIdentity,
  thisProcess,
} from '../util/process-identity.ts'
import type { Store } from '../store/store.ts'
import type { Clock } from '../util/clock.ts'
import type { ClusterNames } from './format.ts'
import { putSealed, readSealed } from './sealed-object.ts'

/** Shared holders exclude exclusive ones only. */
export type LockMode = 'exclusive' | 'shared'

/** Tries when two come at the same moment and both step back. */
const ATTEMPTS = 8

/** A claim older than this is no coincidence. */
const SETTLED_MS = 2000

/** What a lock's object says. */
export interface LockClaim {
  readonly name: string
  readonly mode: LockMode
  /** For people: «backup 20261122T084545 of "shop"». */
  readonly purpose: string
  readonly holder: ProcessIdentity
  /** ISO 8601 UTC. */
  readonly takenAt: string
  /** ISO 8601 UTC. Held until then whatever becomes of its holder, and not longer. */
  readonly until?: string
  /** The database server whose key it was taken with (repository/hold-for-server.ts). */
  readonly server?: string
  /**
   * ISO 8601 UTC. `until` may be put off to here while that server shows that it still needs it.
   */
  readonly longest?: string
  /** Tells a server's holds apart; stays when one is renewed. */
  readonly order?: string
}

/** What a lock is taken for. */
export type LockWish = Omit<LockClaim, 'holder' | 'takenAt'>

/** A claim as found, and whether its holder lives. */
export interface FoundLock extends LockClaim {
  /** The claim's object. */
  readonly object: string
  readonly liveness: Liveness
}

/** A lock that is held; disposing gives it back. */
export interface HeldLock extends AsyncDisposable {
  readonly claim: LockClaim
  /** The claim's object. */
  readonly object: string
}

/** Where and when locks are taken. */
export interface LockPlace {
  readonly store: Store
  readonly names: ClusterNames
  readonly clock: Clock
}

/**
 * Takes a lock at once or not at all.
 * @throws {BackstayError} REPOSITORY_LOCKED naming the holder.
 */
export async function takeLock(place: LockPlace, wish: LockWish): Promise<HeldLock> {
  const claim: LockClaim = {
    ...wish,
    holder: thisProcess(),
    takenAt: new Date(place.clock.now()).toISOString(),
  }
  for (let attempt = 1; ; attempt += 1) {
    const object = `${place.names.locks}/${wish.name}/${randomUUID()}.json`
    await putSealed(place.store, object, { ...claim })
    const rival = (await findLocks(place, wish.name)).find(
      (lock) => lock.object !== object && lock.liveness !== 'dead' && conflicts(lock, claim),
    )
    if (rival === undefined) return hold(place.store, object, claim)
    await place.store.delete(object)
    // Claims are made visible before the others are listed, so of two at least one steps back,
    // perhaps both; who has held it for a while will not.
    const heldMs = place.clock.now() - Date.parse(rival.takenAt)
    if (attempt >= ATTEMPTS || heldMs > SETTLED_MS) throw lockedError(place, rival)
    await place.clock.sleep(5 + Math.random() * 40)
  }
}

/** All claims on a lock. Claims of dead holders are deleted on the way. */
export async function findLocks(place: LockPlace, name: string): Promise<FoundLock[]> {
  const self = thisProcess()
  const found: FoundLock[] = []
  for await (const object of place.store.list(`${place.names.locks}/${name}`)) {
    const claim = await readSealed(place.store, object)
    if (claim === undefined) continue
    if (!isClaim(claim)) throw strangeError(place, object)
    const liveness = livenessNow(claim, self, place.clock)
    if (liveness === 'dead') await place.store.delete(object)
    found.push({ ...claim, object, liveness })
  }
  return found
}

function isClaim(value: unknown): value is LockClaim {
  const { name, mode, purpose, holder, takenAt, until } = Object(value) as Partial<LockClaim>
  return (
    [name, purpose, takenAt].every((part) => typeof part === 'string') &&
    (mode === 'exclusive' || mode === 'shared') &&
    (until === undefined || typeof until === 'string') &&
    isProcessIdentity(holder)
  )
}

/** Who holds it cannot be known, so nobody may pass. */
function strangeError({ store }: LockPlace, object: string): BackstayError {
  return new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read "${store.location}/${object}": it is no lock of a kind this version knows`,
    { hint: 'When nothing works in the repository, delete it.' },
  )
}

function livenessNow({ holder, until }: LockClaim, self: ProcessIdentity, clock: Clock): Liveness {
  if (until === undefined) return livenessOf(holder, self)
  return clock.now() < Date.parse(until) ? 'alive' : 'dead'
}

function conflicts(lock: LockClaim, wish: LockClaim): boolean {
  return lock.mode === 'exclusive' || wish.mode === 'exclusive'
}

function hold(store: Store, object: string, claim: LockClaim): HeldLock {
  return {
    claim,
    object,
    [Symbol.asyncDispose]: async () => {
      await store.delete(object)
    },
  }
}

function lockedError(place: LockPlace, rival: FoundLock): BackstayError {
  const { pid, host } = rival.holder
  const hostName = host.split('/')[0] ?? host
  return new BackstayError(
    'REPOSITORY_LOCKED',
    `Cannot lock "${rival.name}": pid ${pid} on host "${hostName}" holds it since ${rival.takenAt} for ${rival.purpose}`,
    {
      hint:
        rival.until === undefined
          ? whatToDo(place, rival)
          : `It ends at ${rival.until} by itself. To end it now, delete "${place.store.location}/${rival.object}".`,
      details: { pid, host: hostName, purpose: rival.purpose, takenAt: rival.takenAt },
    },
  )
}

function whatToDo(place: LockPlace, rival: FoundLock): string {
  return rival.liveness === 'unknown'
    ? `Whether that process lives cannot be seen from here. If it is gone for good, delete "${place.store.location}/${rival.object}".`
    : 'Wait for it, or stop it.'
}
