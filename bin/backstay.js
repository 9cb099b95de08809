#!/usr/bin/env node
/**
 * Starts Backstay. It answers --version itself; `backstay barman …` is Barman's command line; start.js does the rest.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { root, start } from './start.js'

const words = process.argv.slice(2)

if (words.length === 1 && (words[0] === '--version' || words[0] === '-V')) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  process.stdout.write(`backstay ${version}\n`)
} else if (words[0] === 'barman') {
  await start('barman/main', import.meta.url, words.slice(1))
} else {
  await start('cli/main', import.meta.url)
}
