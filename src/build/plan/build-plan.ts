/**
 * The steps of a primary that does not exist yet. Pure.
 */
import type { ServerFound } from '../../cluster/found.ts'
import type { ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'
import { accessLines } from './access.ts'
import { added } from './diff.ts'
import { roleSteps } from './role-plan.ts'
import { directorySteps, passfileStep, type ServerPlan } from './server-plan.ts'
import { settingsWanted } from '../../cluster/settings.ts'
import { slotStep } from './slot-plan.ts'
import { slotsWanted } from '../../cluster/wanted-slots.ts'
import { step } from './step.ts'
import { unitSteps } from './unit-plan.ts'

/** Plans it: every step until it takes connections and has its roles and slots. */
export function planBuild(
  wanted: ClusterWanted,
  server: ServerWanted,
  found: ServerFound,
): ServerPlan {
  const settings = settingsWanted(wanted, server, { floors: {}, isSynchronous: false })
  const redo = found.directory.state === 'initdb-unfinished'
  const lines = Object.entries(settings).map(([name, value]) => added(`${name} = ${value}`))
  const { locale, encoding, checksums, version } = wanted.postgres
  return {
    problems: [],
    steps: [
      ...directorySteps(found),
      step(
        server.name,
        { action: 'initdb' },
        {
          title: `create the PostgreSQL ${version} cluster in ${server.directory}`,
          reason: redo ? 'an earlier initdb did not finish' : 'there is no data directory',
          diff: [
            added(
              `encoding ${encoding}, locale ${locale}, checksums ${checksums ? 'on' : 'off'}, port ${server.port}`,
            ),
            ...lines,
            ...accessLines(wanted, found.osUser).map(added),
          ],
        },
      ),
      passfileStep(server, 'missing'),
      ...unitSteps(wanted, server, found),
      step(server.name, { action: 'start' }, { title: 'start PostgreSQL', reason: 'it is new' }),
      ...roleSteps(wanted, server.name, []),
      ...slotsWanted(wanted, server.name).map((slot) => slotStep(server.name, slot, undefined)),
    ],
  }
}
