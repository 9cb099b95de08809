/**
 * What was seen of the line production is on, as durable objects (docs/repository-format.md §9): a
 * record for each time it was seen elsewhere or beside a branch not known before, and what an
 * operator declared dead.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import type { Store } from '../store/store.ts'
import type { Clock } from '../util/clock.ts'
import { textOf } from '../util/text-of.ts'
import type { ClusterNames } from './format.ts'
import { putSealed, readSealed } from './sealed-object.ts'

const LINE_WITNESSES = ['receiver', 'backup', 'roles', 'operator'] as const

/** Who saw it. `roles`: switchover, failover, rejoin, up. */
export type LineWitness = (typeof LINE_WITNESSES)[number]

/** Production was on `timeline`, at a time when the repository knew `known`. */
export interface LineRecord {
  readonly timeline: number
  /** Ascending; `timeline` is one of them. */
  readonly known: readonly number[]
  /** ISO 8601 UTC. */
  readonly recordedAt: string
  readonly by: LineWitness
}

/** All records of a cluster, and the timelines an operator declared dead. */
export interface LineRecords {
  /** Oldest first. */
  readonly records: readonly LineRecord[]
  readonly abandoned: ReadonlySet<number>
}

/** Where lines are recorded. */
export interface LinePlace {
  readonly store: Store
  readonly names: ClusterNames
  readonly clock: Clock
}

/**
 * Reads all of it. A damaged record is left out: those beside it tell, or it is asked.
 * @throws {BackstayError} STORE
 */
export async function readLines({ store, names }: LinePlace): Promise<LineRecords> {
  const records: LineRecord[] = []
  for (const object of (await store.listObjects(names.lines)).toSorted()) {
    const record = await readLine(store, `${names.lines}/${object}`)
    if (record !== undefined) records.push(record)
  }
  const abandoned = new Set<number>()
  for (const object of await store.listObjects(names.abandoned)) {
    const timeline = Number.parseInt(/^([0-9A-F]{8})\.json$/.exec(object)?.[1] ?? '', 16)
    if (timeline > 0) abandoned.add(timeline)
  }
  return { records, abandoned }
}

async function readLine(store: Store, name: string): Promise<LineRecord | undefined> {
  try {
    const value = await readSealed(store, name)
    return value && decodeLine(value)
  } catch (error) {
    if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
    return undefined
  }
}

/** Records durably where production was seen; nothing when the newest record says the same. */
export async function recordLine(
  place: LinePlace,
  seen: { readonly timeline: number; readonly known: readonly number[]; readonly by: LineWitness },
): Promise<void> {
  const record = await nextLine(place, seen)
  if (record === undefined) return
  await putSealed(place.store, lineObject(place.names, record), { ...record })
}

/**
 * The record to write now; undefined when it would say nothing new.
 * @throws {BackstayError} STORE
 */
export async function nextLine(
  { store, names, clock }: LinePlace,
  seen: { readonly timeline: number; readonly known: readonly number[]; readonly by: LineWitness },
): Promise<LineRecord | undefined> {
  return nextRecord(await newestLine(store, names), seen, clock.now())
}

/** Damaged ones are passed over. */
async function newestLine(store: Store, names: ClusterNames): Promise<LineRecord | undefined> {
  for (const object of (await store.listObjects(names.lines)).toSorted().toReversed()) {
    const record = await readLine(store, `${names.lines}/${object}`)
    if (record !== undefined) return record
  }
  return undefined
}

/**
 * The record to write after `last`; undefined when it would say nothing new. Later than `last`
 * whatever the clock says.
 */
export function nextRecord(
  last: LineRecord | undefined,
  seen: { readonly timeline: number; readonly known: readonly number[]; readonly by: LineWitness },
  nowMs: number,
): LineRecord | undefined {
  const known = [...new Set([...seen.known, seen.timeline])].sort((a, b) => a - b)
  const isSame = last?.timeline === seen.timeline && known.every((one) => last.known.includes(one))
  if (isSame) return undefined
  const atMs = last === undefined ? nowMs : Math.max(nowMs, Date.parse(last.recordedAt) + 1)
  return {
    timeline: seen.timeline,
    known,
    recordedAt: new Date(atMs).toISOString(),
    by: seen.by,
  }
}

/** The object of a record; names sort as time. */
export function lineObject(names: ClusterNames, { timeline, recordedAt }: LineRecord): string {
  const time = recordedAt.replace(/[-:.Z]/g, '')
  return `${names.lines}/${time}-${hex(timeline)}.json`
}

/** Declares a timeline dead. */
export async function abandonTimeline(place: LinePlace, timeline: number): Promise<void> {
  const abandonedAt = new Date(place.clock.now()).toISOString()
  const name = `${place.names.abandoned}/${hex(timeline)}.json`
  await putSealed(place.store, name, { timeline, abandonedAt })
}

/** Takes the declaration back; false when there was none. */
export async function reviveTimeline(place: LinePlace, timeline: number): Promise<boolean> {
  return await place.store.delete(`${place.names.abandoned}/${hex(timeline)}.json`)
}

/** What a sealed object of `lines/` says; undefined for one that Backstay has not written. */
function decodeLine(value: Readonly<Record<string, unknown>>): LineRecord | undefined {
  const known = Array.isArray(value['known'])
    ? value['known'].filter((one) => typeof one === 'number')
    : []
  const by = LINE_WITNESSES.find((witness) => witness === value['by']) ?? 'operator'
  const timeline = typeof value['timeline'] === 'number' ? value['timeline'] : 0
  const record = { timeline, known, recordedAt: textOf(value['recordedAt']), by }
  return isLine(record) ? record : undefined
}

/** Of a time that is none, or the last there is, no later one could be made. */
function isLine({ timeline, known, recordedAt }: LineRecord): boolean {
  const areNumbers = [timeline, ...known].every((one) => Number.isSafeInteger(one) && one > 0)
  return areNumbers && /^\d{4}-/.test(recordedAt) && Number.isFinite(Date.parse(recordedAt))
}

function hex(timeline: number): string {
  return timeline.toString(16).toUpperCase().padStart(8, '0')
}
