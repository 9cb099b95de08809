#!/usr/bin/env node
/**
 * Starts `barman`.
 */
import { fileURLToPath } from 'node:url'
import { start } from './start-barman.js'

await start('main', fileURLToPath(import.meta.url))
