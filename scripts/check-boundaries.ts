/**
 * Checks the import directions of .dependency-cruiser.cjs, and that each folder of src has a row there. Fails as well when nothing was looked at: with a TypeScript
 * it does not understand, dependency-cruiser finds no module and calls that success.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
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
const { forbidden } = createRequire(import.meta.url)(join(ROOT, '.dependency-cruiser.cjs')) as {
  readonly forbidden: readonly { readonly name: string }[]
}
const unruled = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .filter(({ name }) => !forbidden.some((rule) => rule.name === `${name}-imports`))
for (const { name } of unruled) console.log(`src/${name} has no row in .dependency-cruiser.cjs`)
console.log(`${summary.totalCruised} modules cruised, ${summary.error} violations`)
process.exit(summary.totalCruised === 0 || summary.error > 0 || unruled.length > 0 ? 1 : 0)
