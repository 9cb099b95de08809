/**
 * Writes the pages that are generated from code.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { clusterJsonSchema } from '../src/config/json-schema.ts'
import { commandsPage } from './docs/commands.ts'
import { configurationPage } from './docs/configuration.ts'
import { errorsPage, exitCodesPage } from './docs/errors.ts'

const ROOT = join(import.meta.dirname, '..')

/** Every generated file with its content. */
export async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['docs/errors.md', errorsPage()],
    ['docs/exit-codes.md', exitCodesPage()],
    ['docs/reference/commands.md', await commandsPage()],
    ['docs/reference/configuration.md', configurationPage()],
    ['docs/reference/backstay.schema.json', `${JSON.stringify(clusterJsonSchema(), null, 2)}\n`],
  ])
}

if (import.meta.main) {
  for (const [path, content] of await generatedFiles()) {
    const file = join(ROOT, path)
    writeFileSync(file, content)
    console.log(path)
  }
}
