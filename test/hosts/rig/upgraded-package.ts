/**
 * This Backstay with another content, and so another version, as on an operator's machine that was upgraded.
 */
import { appendFileSync, cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { packageFile } from '../../../src/cli/version.ts'

/** Makes it in a folder of its own below `directory`. @returns its launcher */
export function upgradedPackage(directory: string, number: number): string {
  const root = join(directory, `upgrade-${number}`)
  mkdirSync(root)
  for (const name of ['bin', 'src'])
    cpSync(packageFile(name), join(root, name), { recursive: true })
  cpSync(packageFile('package.json'), join(root, 'package.json'))
  symlinkSync(packageFile('node_modules'), join(root, 'node_modules'))
  appendFileSync(join(root, 'src/cli/version.ts'), `// upgrade ${number}\n`)
  return join(root, 'bin/backstay.js')
}
