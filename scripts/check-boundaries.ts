/**
 * Checks the import directions of .dependency-cruiser.cjs. Fails as well when nothing was looked at: with a TypeScript
 * it does not understand, dependency-cruiser finds no module and calls that success.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

interface Report {
  readonly summary: {
    readonly totalCruised: number
    readonly error: number
    readonly violations: readonly {
      readonly from: string
      readonly to: string
      readonly rule: { readonly name: string }
    }[]
  }
}

const cruiser = spawnSync(
  process.execPath,
  [join(ROOT, 'node_modules/.bin/depcruise'), 'src', '-T', 'json'],
  { cwd: ROOT, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 },
)
if (cruiser.stdout === '') {
  console.error(cruiser.stderr)
  process.exit(1)
}
const { summary } = JSON.parse(cruiser.stdout) as Report
for (const { from, to, rule } of summary.violations) console.log(`${rule.name}: ${from} → ${to}`)
console.log(`${summary.totalCruised} modules cruised, ${summary.error} violations`)
process.exit(summary.totalCruised === 0 || summary.error > 0 ? 1 : 0)
