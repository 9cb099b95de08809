/**
 * What a change of roles tells the repository of timelines: where production is then.
 */
import { posix } from 'node:path'
import { clusterNames, FORMAT_VERSION } from '../repository/format.ts'
import { decodeLine, lineObject, nextRecord } from '../repository/line-records.ts'
import { openSealedJson, sealJson } from '../repository/sealed-json.ts'
import { type ClusterContext, factOf } from '../cluster/context.ts'

/**
 * Records in the repository that production is on `timeline` now. One that cannot be reached learns
 * it from its receiver.
 */
export async function noteLineThere(context: ClusterContext, timeline: number): Promise<void> {
  const { backup, name } = context.wanted
  if (backup === undefined) return
  const names = clusterNames(name)
  const pathOf = (object: string): string => posix.join(backup.repository, object)
  try {
    const { host, osUser: owner } = await context.machineOf(backup)
    if ((await host.inspect(pathOf(names.identity))) === undefined) return
    const newest = (await host.list(pathOf(names.lines)))?.toSorted().at(-1)
    const content = newest && (await host.readFile(pathOf(`${names.lines}/${newest}`)))
    const last = content ? decodeLine(openSealedJson(newest, content)) : undefined
    const known = ((await host.list(pathOf(names.wal))) ?? []).flatMap((entry) => {
      const match = /^([0-9A-F]{8})(?:\.history\.zst)?$/.exec(entry)
      return match?.[1] === undefined ? [] : [Number.parseInt(match[1], 16)]
    })
    const record = nextRecord(last, { timeline, known, by: 'roles' }, context.clock.now())
    if (record === undefined) return
    await host.makeDirectory(pathOf(names.lines), { mode: 0o700, owner })
    const sealed = sealJson({ format: FORMAT_VERSION, ...record })
    await host.writeFile(pathOf(lineObject(names, record)), sealed, { mode: 0o600, owner })
  } catch (error) {
    factOf(error)
  }
}
